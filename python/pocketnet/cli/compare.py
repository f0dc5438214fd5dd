"""`pocket-compare`: compare networks by their `metrics.csv` files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .common import command, json_option, output_option, quiet_option, result

if TYPE_CHECKING:
    from ..contracts.configuration import ConfigurationChoice


@command("compare", examples="""
pocket-compare results/hippocampus/evaluation/*/*/metrics.csv -o comparison
pocket-compare full.csv pocket.csv -o comparison --json
pocket-compare evaluation/*/*/metrics.csv --models models --manifest manifest.json -o comparison
pocket-compare best/metrics.csv --baseline quick/metrics.csv -o best-or-quick
""")
@click.argument("metrics", nargs=-1, required=True, metavar="METRICS_CSV…", type=click.Path(path_type=Path))
@output_option("Folder for comparison.json, .csv, .md and .tex, metrics.csv and, with --baseline, baseline.json.")
@click.option("--baseline", multiple=True, metavar="METRICS_CSV", type=click.Path(path_type=Path),
              help="metrics.csv of the same networks from another run (recipe, steps, code). Each network is also "
                   "paired with itself in that run. Repeatable.")
@click.option("--models", multiple=True, type=click.Path(path_type=Path),
              help="A model folder or a folder of them: for networks that were trained in 2D and in 3D, choose the one "
                   "with the higher mean validation Dice, and compare that one. Repeatable.")
@click.option("--manifest", type=click.Path(path_type=Path),
              help="manifest.json, for --models: cases of one group (patient) count together in the intervals.")
@click.option("--allow-mixed-code", is_flag=True, help="Allow networks that were trained by different code.")
@quiet_option
@json_option
def main(metrics: tuple[Path, ...], output: Path, baseline: tuple[Path, ...], models: tuple[Path, ...],
         manifest: Path | None, allow_mixed_code: bool, quiet: bool, as_json: bool) -> None:
    """Compare the full network with every other width, paired by case.

    With --baseline, also compare each network with itself in another run. With --models, the full network and the
    others are compared in the configuration, 2D or 3D, that was chosen for each on validation cases.
    """
    from .. import outputs
    from ..evaluation import table
    from ..evaluation.baseline import against
    from ..evaluation.comparison import compare
    from ..evaluation.layout import baseline_markdown, csv_text
    from ..evaluation.tasks import TASKS
    from ..files import write_text

    written = dict.fromkeys(("metrics.csv", "comparison.md", "comparison.tex", "comparison.csv"))
    written |= {"comparison.json": "comparison"} | ({"baseline.json": "baseline"} if baseline else {})
    outputs.check_files({output / name: kind for name, kind in written.items()},
                        [*metrics, *baseline, *models, *([manifest] if manifest else [])])
    outputs.check_unaltered([*metrics, *baseline])
    rows = table.read_all(metrics)
    comparison = compare(rows, allow_mixed_code=allow_mixed_code, choices=_choices(models, manifest))
    task = TASKS[comparison.task]
    layout = task.layout
    comparison = replace(comparison, notes=(*comparison.notes, *task.comparison.cautions(metrics)))
    text = layout.markdown(comparison)
    if baseline:
        beside, notes = against(rows, table.read_all(baseline))
        text += "\n" + baseline_markdown(comparison, beside, layout.differences_table)
        text += "".join(f"\n- {note}" for note in notes) + "\n" * bool(notes)
        beside.write(output / "baseline.json")
    table.write_metrics(output / "metrics.csv", rows)
    write_text(output / "comparison.md", text)
    write_text(output / "comparison.tex", layout.latex(comparison))
    write_text(output / "comparison.csv", csv_text(layout.csv_rows(comparison), layout.CSV_COLUMNS))
    comparison.write(output / "comparison.json")
    result(comparison.to_json() | ({"baseline": beside.to_json()} if baseline else {}), as_json, text, quiet)


def _choices(models: Sequence[Path], manifest: Path | None) -> tuple[ConfigurationChoice, ...]:
    """Choose between the configurations of the networks in folders.

    Raises:
        UsageError: A folder has no model, or as `configurations.choose`.
    """
    from ..contracts.groups import together
    from ..contracts.manifest import Manifest
    from ..evaluation.configurations import choose
    from ..files import folders_with
    from ..training.model_folder import ModelFolder

    folders = folders_with(models, "provenance.json", "model folder", "pocket-train")
    groups = together(Manifest.read(manifest).cases) if manifest else None
    return choose([ModelFolder.open(folder) for folder in folders], groups)


if __name__ == "__main__":
    main()
