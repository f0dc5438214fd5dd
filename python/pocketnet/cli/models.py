"""pocket-models: the networks that there are and what they weigh."""

from __future__ import annotations

import click

from .common import command, integers, split_list

EXAMPLES = """
pocket-models
pocket-models --channels 1,4 --width full,capped128,pocket --json
pocket-models --dimensions 2 --depth 4
"""


@command("models", examples=EXAMPLES)
@click.option("--arch", help="Architectures. Default: all.")
@click.option("--width", default="full,pocket", show_default=True, help="pocket, full or capped<feature maps>.")
@click.option("--dimensions", default="3", show_default=True, help="2, 3 or both.")
@click.option("--channels", default="1,4", show_default=True, help="Input channels.")
@click.option("--classes", default=2, show_default=True, help="Output channels, background included.")
@click.option("--depth", default="5", show_default=True, help="Downsamplings.")
@click.option("--feature-maps", default=32, show_default=True, help="Feature maps of the finest level.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def main(arch, width, dimensions, channels, classes, depth, feature_maps, as_json):
    """Print each network's exact parameter count and what it saves against the full one.

    The saving by the paper's formula (Eq. 3) stands beside the true one: the formula leaves out the doubled
    input after each skip, the bottleneck's second convolution and the transposed convolutions.
    """
    import itertools
    import json
    import sys

    from .. import backend

    backend.configure()
    from ..models.counts import row
    from ..models.network import ARCHITECTURES, Network

    rows = [
        row(Network(arch=a, width=w, dimensions=d, channels=c, classes=classes, depth=n, feature_maps=feature_maps))
        for a, d, n, c, w in itertools.product(
            split_list(arch) or ARCHITECTURES, integers(dimensions, "--dimensions"), integers(depth, "--depth"),
            integers(channels, "--channels"), split_list(width))
    ]
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
