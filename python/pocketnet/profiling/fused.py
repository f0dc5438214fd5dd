"""The graph of a network in an engine that fuses upsampling with the convolutions that read it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ..inference.openvino_graph import MOST_WEIGHTS
from ..models import fused
from .graph import CONCATENATE, CONVOLUTION, POINTWISE, TRANSPOSED, Node


def trained(nodes: Sequence[Node]) -> list[Node]:
    """Return the layers of a training step by `models.fused`."""
    return without_upsampled(nodes, fused.MOST_WEIGHTS)


def without_upsampled(nodes: Sequence[Node], most: int = MOST_WEIGHTS) -> list[Node]:
    """Remove the transposed convolutions and concatenations that `inference.openvino_graph` fuses away.

    A convolution that read them then reads the coarser level and the skip connection, and performs the operations of
    both layers.

    Args:
        nodes: The network's graph.
        most: Maximum weights of a fused kernel.
    """
    by_name = {node.name: node for node in nodes}
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for name in node.sources:
            readers.setdefault(name, []).append(node)
    gone: set[str] = set()
    changed: dict[str, Node] = {}
    for node in nodes:
        up = by_name[node.sources[0]] if node.kind == CONCATENATE and len(node.sources) == 2 else None
        if up is None or up.kind != TRANSPOSED or len(readers[up.name]) > 1:
            continue
        below, skip = by_name[up.sources[0]], by_name[node.sources[1]]
        if all(_is_fused(below, up, node, reader, most) for reader in readers[node.name]):
            gone |= {up.name, node.name}
            for reader in readers[node.name]:
                changed[reader.name] = replace(
                    reader, sources=(below.name, skip.name),
                    operations=2 * reader.maps * (below.size * math.prod(_sides(up, reader))
                                                  + reader.size // reader.maps * skip.maps * math.prod(reader.kernel)))
    return [changed.get(node.name, node) for node in nodes if node.name not in gone]


def _is_fused(below: Node, up: Node, both: Node, reader: Node, most: int) -> bool:
    """Whether `reader`, which reads an upsampled tensor and a skip connection, is a convolution that can be fused."""
    return (reader.kind in (CONVOLUTION, POINTWISE) and reader.size * both.maps == both.size * reader.maps
            and below.maps * reader.maps * math.prod(_sides(up, reader)) <= most)


def _sides(up: Node, reader: Node) -> list[int]:
    """Return the kernel size of a transposed convolution combined with the convolution after it."""
    return [a + b - 1 for a, b in zip(up.kernel, reader.kernel, strict=True)]
