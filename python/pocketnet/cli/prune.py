"""`pocket-prune`: prune a trained network to a narrower width by the magnitude of its filters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from .common import command, json_option, log, output_option, quiet_option, result

if TYPE_CHECKING:
    from ..contracts.provenance import Origin

EXAMPLES = """
pocket-prune --model models/unet-full/fold0 --width pocket -o pruned
pocket-prune --model models/unet-full/fold0 --width capped64 --variant pruned-64 -o pruned
"""


@command("prune", examples=EXAMPLES)
@click.option("--model", required=True, type=click.Path(path_type=Path), help="Model folder of the wide network.")
@click.option("--width", default="pocket", show_default=True, help="Width to prune to.")
@click.option("--variant", default="pruned", show_default=True, help="Name of the result in tables.")
@output_option("The model folder to write.")
@quiet_option
@json_option
def main(model: Path, width: str, variant: str, output: Path, quiet: bool, as_json: bool) -> None:
    """Prune a network to a narrower width: keep the feature maps whose filters have the largest L1 norm.

    The result is an ordinary model folder. Fine-tune it with pocket-train --start-from.
    """
    from ..training.pruned import write_pruned

    provenance = write_pruned(model, width, variant, output)
    start = cast("Origin", provenance.start)
    log(f"{start.width} {provenance.arch} pruned to {width}: {provenance.parameters:,} "
        f"parameters; model folder: {output}", quiet)
    result(provenance.to_json(), as_json)


if __name__ == "__main__":
    main()
