"""`pocket-demo`: make a small dataset of real anatomy without a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .common import command, json_option, output_option, progress, quiet_option, result

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = """
pocket-demo -o demo
pocket-demo -o demo --cases 6 --seed 1
pocket-check --dataset demo --input demo -o out
"""


@command("demo", examples=EXAMPLES)
@output_option("Folder for dataset.json, imagesTr/ and labelsTr/; new, empty, or an earlier demo.")
@click.option("--cases", type=click.IntRange(min=1), default=12, show_default=True, help="Number of cases to make.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="The same seed makes the same files.")
@quiet_option
@json_option
def main(output: Path, cases: int, seed: int, quiet: bool, as_json: bool) -> None:
    """Make training cases from the MNI152 template that nilearn ships.

    The cases are T1 images at 3.75 mm with grey and white matter as labels, in the layout of the Medical Segmentation
    Decathlon. Nothing is downloaded.
    """
    from ..datasets import demo

    demo.make(output, cases=cases, seed=seed,
              progress=lambda items, total: progress(items, "Making cases", total, quiet))
    result({"folder": str(output), "cases": cases, "seed": seed}, as_json,
           f"{cases} cases in {output}; next: pocket-check --dataset demo --input {output} -o OUT", quiet)


if __name__ == "__main__":
    main()
