"""`pocket-experiment`: draw an experiment's table and figure from a run's records."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, output_option, quiet_option, result

EXAMPLES = """
pocket-experiment ablation --manifest dataset/manifest.json --plan plan/plan.json --splits plan/splits.json \\
    --comparison comparison --models models --evaluations evaluation -o out
pocket-experiment throughput --manifest dataset/manifest.json --plan plan/plan.json --splits plan/splits.json \\
    --measured unet-full.json --measured unet-pocket.json -o out
"""


@command("experiment", examples=EXAMPLES)
@click.argument("name")
@click.option("--manifest", required=True, type=click.Path(path_type=Path), help="manifest.json of pocket-check.")
@click.option("--plan", required=True, type=click.Path(path_type=Path), help="plan.json of pocket-plan.")
@click.option("--splits", required=True, type=click.Path(path_type=Path), help="splits.json of pocket-plan.")
@click.option("--comparison", type=click.Path(path_type=Path), help="Output folder of pocket-compare.")
@click.option("--models", multiple=True, type=click.Path(path_type=Path),
              help="A model folder or a folder of them; repeatable.")
@click.option("--evaluations", multiple=True, type=click.Path(path_type=Path),
              help="An output folder of pocket-evaluate or a folder of them; repeatable.")
@click.option("--measured", multiple=True, type=click.Path(path_type=Path),
              help="Output file of pocket-profile or pocket-activations; repeatable.")
@click.option("--predictions", type=click.Path(path_type=Path), help="Folder of <case>.nii.gz, for the picture.")
@click.option("--input", "input_", type=click.Path(path_type=Path), help="The dataset's folder, for the picture.")
@output_option("Folder for table.csv, table.md, figure.svg, figure.png and experiment.json.")
@quiet_option
@json_option
def main(name: str, manifest: Path, plan: Path, splits: Path, comparison: Path | None, models: tuple[Path, ...],
         evaluations: tuple[Path, ...], measured: tuple[Path, ...], predictions: Path | None, input_: Path | None,
         output: Path, quiet: bool, as_json: bool) -> None:
    """Draw the table and figure of experiment NAME in the paper's layout, next to the published values.

    NAME is a value of the pipeline's --experiment, one of: accuracy, throughput, profile, ablation, activations,
    saturation, multiclass, pruning.
    """
    from .. import outputs
    from ..experiments import definition, tabulate
    from ..experiments.inputs import read
    from ..experiments.outcome import FILES, write_experiment

    entry = definition.load(name)
    outputs.check_files({output / file: "experiment" if file.endswith(".json") else None for file in FILES})
    found = read(name, manifest, plan, splits, comparison, models, evaluations, measured, predictions, input_)
    definition.check_fits(name, found.manifest, str(manifest))
    written = write_experiment(output, entry, found, tabulate(found))
    text = f"{entry['title']} ({entry['paper']}): {output}/table.md, {output}/figure.svg"
    result(written.to_json(), as_json, text, quiet)


if __name__ == "__main__":
    main()
