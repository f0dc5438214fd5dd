"""pocket-models: the networks that there are and what they weigh."""

from __future__ import annotations

import click

from .common import command, integers, split_list

EXAMPLES = """
pocket-models
pocket-models --arch unet --width full,capped128,pocket --channels 1 --json
pocket-models --arch resnet --convolution separable --depth 4 --feature-maps 8
"""


@command("models", examples=EXAMPLES)
@click.option("--arch", help="Architectures. Default: all.")
@click.option("--width", default="full,pocket", show_default=True, help="pocket, full or capped<feature maps>.")
@click.option("--dimensions", help="2, 3 or both. Default: as in the paper.")
@click.option("--channels", default="1,4", show_default=True, help="Input channels.")
@click.option("--classes", default=2, show_default=True, help="Output channels, background included.")
@click.option("--depth", help="Downsamplings. Default: as in the paper.")
@click.option("--feature-maps", help="Feature maps of the finest level. Default: as in the paper.")
@click.option("--convolution", default="standard", show_default=True, help="standard or separable.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def main(arch, width, dimensions, channels, classes, depth, feature_maps, convolution, as_json):
    """Print each network's exact parameter count and what it saves against the full one.

    The saving by the paper's formula (Eq. 3) stands beside the true one: the formula leaves out the doubled
    input after each skip, the bottleneck's second convolution and the transposed convolutions.
    """
    import itertools
    import json
    import sys

    from .. import backend
    from ..models.network import ARCHITECTURES, PAPER_SHAPES, Network, check_arch

    backend.configure()
    from ..models.counts import row

    rows = []
    for name in split_list(arch) or ARCHITECTURES:
        shape = PAPER_SHAPES[check_arch(name)]
        for d, n, maps, c, w in itertools.product(
                integers(dimensions, "--dimensions") or [shape["dimensions"]],
                integers(depth, "--depth") or [shape["depth"]],
                integers(feature_maps, "--feature-maps") or [shape["feature_maps"]],
                integers(channels, "--channels"), split_list(width)):
            rows.append(row(Network(arch=name, width=w, dimensions=d, channels=c, classes=classes, depth=n,
                                    feature_maps=maps, convolution=convolution)))
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("arch", "width", "dim", "channels", "depth", "first maps", "parameters", "saving, Eq. 3",
                  "saving, true")
    for r in rows:
        formula = "" if r["saving_formula"] is None else f"{r['saving_formula']:.1f}×"
        table.add_row(r["arch"], r["width"], f"{r['dimensions']}D", str(r["channels"]), str(r["depth"]),
                      str(r["feature_maps"]), f"{r['parameters']:,}", formula, f"{r['saving_true']:.1f}×")
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
