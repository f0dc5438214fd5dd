"""`pocket-models`: list the networks and their parameter counts."""

from __future__ import annotations

import click

from .common import command, integers, split_list

EXAMPLES = """
pocket-models
pocket-models --arch unet --width full,capped128,pocket --channels 1 --json
pocket-models --arch resnet --convolution separable --depth 4 --feature-maps 8
"""


@command("models", examples=EXAMPLES)
@click.option("--arch", help="Architectures (a list). Default: all.")
@click.option("--width", help="pocket, full or capped<feature maps> (a list). Default: full,pocket.")
@click.option("--dimensions", help="2, 3 or 2,3. Default: as in the paper.")
@click.option("--channels", help="Input channels (a list). Default: 1,4.")
@click.option("--classes", type=int, help="Output channels, including the background. Default: 2.")
@click.option("--depth", help="Number of downsamplings. Default: as in the paper.")
@click.option("--feature-maps", help="Feature maps of the finest level. Default: as in the paper.")
@click.option("--convolution", help="standard or separable. Default: standard.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def main(arch: str | None, width: str | None, dimensions: str | None, channels: str | None, classes: int | None,
         depth: str | None, feature_maps: str | None, convolution: str | None, as_json: bool) -> None:
    """Print each network's exact parameter count and its saving over the full network.

    Without options, list all networks that the paper counts, the widths of the ablation, the classifier with 16 and
    with 32 first feature maps, and the depthwise-separable ResNet.

    The table shows the saving by the paper's formula (Eq. 3) and the true saving. The formula omits the doubled input
    after each skip, the bottleneck's second convolution and the transposed convolutions.
    """
    import itertools
    import json
    import sys

    from .. import backend
    from ..models.network import ARCHITECTURES, PAPER_SHAPES, Network, check_arch

    backend.configure()
    from ..models.counts import paper_networks, row

    if not any((arch, width, dimensions, channels, classes, depth, feature_maps, convolution)):
        wanted = list(paper_networks())
    else:
        wanted = []
        for name in split_list(arch) or ARCHITECTURES:
            shape = PAPER_SHAPES[check_arch(name)]
            for d, n, maps, c, w in itertools.product(
                    integers(dimensions, "--dimensions") or [shape["dimensions"]],
                    integers(depth, "--depth") or [shape["depth"]],
                    integers(feature_maps, "--feature-maps") or [shape["feature_maps"]],
                    integers(channels, "--channels") or [1, 4], split_list(width) or ["full", "pocket"]):
                wanted.append(Network(arch=name, width=w, dimensions=d, channels=c, classes=classes or 2, depth=n,
                                      feature_maps=maps, convolution=convolution or "standard"))
    rows = [row(network) for network in wanted]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("arch", "width", "convolution", "dim", "channels", "depth", "first maps", "parameters",
                  "saving, Eq. 3", "saving, true")
    for r in rows:
        formula = "" if r["saving_formula"] is None else f"{r['saving_formula']:.1f}×"
        table.add_row(r["arch"], r["width"], r["convolution"], f"{r['dimensions']}D", str(r["channels"]),
                      str(r["depth"]),
                      str(r["feature_maps"]), f"{r['parameters']:,}", formula, f"{r['saving_true']:.1f}×")
    Console(width=None if sys.stdout.isatty() else 120).print(table)


if __name__ == "__main__":
    main()
