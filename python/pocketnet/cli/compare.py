"""`pocket-compare`: compare networks by their `metrics.csv` files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from .common import command, json_option, output_option, quiet_option, result


@command("compare", examples="""
pocket-compare results/hippocampus/evaluation/*/*/metrics.csv -o comparison
pocket-compare full.csv pocket.csv -o comparison --json
pocket-compare best/metrics.csv --baseline quick/metrics.csv -o best-or-quick
""")
@click.argument("metrics", nargs=-1, required=True, metavar="METRICS_CSV…", type=click.Path(path_type=Path))
@output_option("Folder for comparison.json, .csv, .md and .tex, metrics.csv and, with --baseline, baseline.json.")
@click.option("--baseline", multiple=True, metavar="METRICS_CSV", type=click.Path(path_type=Path),
              help="metrics.csv of the same networks from another run (recipe, steps, code). Each network is also "
                   "paired with itself in that run. Repeatable.")
@click.option("--allow-mixed-code", is_flag=True, help="Allow networks that were trained by different code.")
@quiet_option
@json_option
def main(metrics: tuple[Path, ...], output: Path, baseline: tuple[Path, ...], allow_mixed_code: bool, quiet: bool,
         as_json: bool) -> None:
    """Compare the full network with every other width, paired by case.

    With --baseline, also compare each network with itself in another run.
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
    outputs.check_files({output / name: kind for name, kind in written.items()}, [*metrics, *baseline])
    outputs.check_unaltered([*metrics, *baseline])
    rows = table.read_all(metrics)
    comparison = compare(rows, allow_mixed_code=allow_mixed_code)
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


if __name__ == "__main__":
    main()
