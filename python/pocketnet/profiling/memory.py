"""Liveness analysis: the tensors alive at each moment of a training step or a forward pass.

In the forward pass, a tensor stays alive while a later layer or the backward pass reads it. The backward pass visits
the layers in reverse order. Each layer computes the gradients of its inputs from the gradient of its output. A kept
tensor is freed after its last use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..models.rematerialise import segment_of
from .graph import ADD, CONVOLUTION, FUSED, IN_PLACE, INPUT, Node

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Moment:
    """The tensors alive while a layer computes, in bytes per sample.

    Attributes:
        layer: Name of the layer, and whether it computes forward or backward.
        kept: Tensors kept for the backward pass.
        transient: Transient tensors: gradients, and tensors freed after this layer.
        workspace: Input and output of a convolution, which its kernel may copy to another memory layout.
    """

    layer: str
    kept: int
    transient: int
    workspace: int = 0


def training_moments(nodes: Sequence[Node], rematerialise: bool = False) -> list[Moment]:
    """List the moments of a training step: every layer forward, then every layer backward.

    Args:
        nodes: The network's graph, in the order of computation.
        rematerialise: Keep only the tensors that other blocks read, and compute each block again in the backward pass.
    """
    if rematerialise:
        return _rematerialised(nodes)
    index = {node.name: number for number, node in enumerate(nodes)}
    last = _last_users(nodes)
    inner = [node.rule.inner * node.bytes for node in nodes]
    laid_out = [_laid_out(node, nodes, index) for node in nodes]
    forward = [Moment(f"{node.name}, forward", sum(inner[:i]) + sum(n.bytes for n in nodes[:i + 1] if n.name in last),
                      transient, laid_out[i])
               for i, (node, transient) in enumerate(zip(nodes, _transient(nodes, last), strict=True))]
    edges = [(index[name], reader, _gradient(nodes, index, name, node))
             for reader, node in enumerate(nodes) for name in node.sources if nodes[index[name]].kind != INPUT]
    edges.append((len(nodes) - 1, len(nodes), nodes[-1].bytes))  # the loss reads the last layer
    backward = [Moment(f"{node.name}, backward", sum(inner[:i + 1])
                       + sum(n.bytes for n in nodes if n.name in last and last[n.name] <= i),
                       _passing_back(node, i, edges), laid_out[i])
                for i, node in reversed(list(enumerate(nodes))) if node.kind != INPUT]
    return forward + backward


def _rematerialised(nodes: Sequence[Node]) -> list[Moment]:
    """List the backward moments with rematerialisation, where other blocks keep only tensors passed between blocks.

    A block is computed again from a copy of its inputs, which waits for the gradient (`tf.recompute_grad`). A block
    with a single layer is not computed again.
    """
    index = {node.name: number for number, node in enumerate(nodes)}
    block = {node.name: segment_of(node.name) for node in nodes}
    starts = {block[node.name]: number for number, node in reversed(list(enumerate(nodes)))}
    last = _last_users(nodes)
    crossing: dict[str, int] = {}
    sizes = Counter(block.values())
    given: dict[str, set[str]] = {name: set() for name in sizes}
    for node in nodes:
        for name in node.sources:
            if block[name] != block[node.name]:
                if sizes[block[node.name]] > 1:
                    given[block[node.name]].add(name)
                crossing[name] = min(crossing.get(name, len(nodes)), starts[block[node.name]])
    plain = {moment.layer: moment for moment in training_moments(nodes)}
    moments = []
    for i, node in enumerate(nodes):
        mine = [n for n in nodes[:i + 1] if block[n.name] == block[node.name]]
        kept = sum(nodes[index[name]].bytes for name, until in crossing.items() if until <= i)
        kept += sum(n.rule.inner * n.bytes for n in mine)
        kept += sum(n.bytes for n in mine if n.name not in crossing and last.get(n.name, i + 1) <= i)
        kept += sum(nodes[index[name]].bytes for name in given[block[node.name]])
        if backward := plain.get(f"{node.name}, backward"):
            moments.append(Moment(backward.layer, kept, backward.transient, backward.workspace))
    return moments


def inference_moments(nodes: Sequence[Node], fused: bool = False) -> list[Moment]:
    """List the moments of a forward pass that keeps nothing for a backward pass, one branch after another.

    Args:
        nodes: The network's graph, in the order of computation.
        fused: Normalisation, activation and addition are fused into the preceding convolution, as in OpenVINO.
    """
    nodes = _branch_by_branch(nodes)
    return [Moment(node.name, 0, transient)
            for node, transient in zip(nodes, _transient(nodes, {}, fused), strict=True)]


def variables(nodes: Sequence[Node], slots: int = 2) -> int:
    """Return the bytes of all weights, plus `slots` tensors per trainable weight (2 for Adam's moments)."""
    return sum((1 + slots) * node.weights + node.frozen for node in nodes) * FLOAT_BYTES


def sum_of_outputs(nodes: Sequence[Node]) -> int:
    """Return the common estimate of a training step's memory: every layer's output, in bytes per sample."""
    return sum(node.bytes for node in nodes)


def _branch_by_branch(nodes: Sequence[Node]) -> list[Node]:
    """Order the layers depth first from the last layer, so that each branch is computed when it is needed."""
    by_name = {node.name: node for node in nodes}
    found: dict[str, Node] = {}
    waiting = [nodes[-1].name]
    while waiting:
        name = waiting[-1]
        missing = [source for source in by_name[name].sources if source not in found]
        if missing and name not in found:
            waiting.append(missing[0])
        else:
            found.setdefault(name, by_name[waiting.pop()])
    return list(found.values())


def _last_users(nodes: Sequence[Node]) -> dict[str, int]:
    """Map each tensor kept for the backward pass to the layer that reads it last there."""
    last: dict[str, int] = {}
    for number, node in enumerate(nodes):
        read = [node.name] if node.rule.reads_output else []
        for name in [*read, *(node.sources if node.rule.reads_input else ())]:
            last[name] = min(last.get(name, number), number)
    return last


def _transient(nodes: Sequence[Node], kept: dict[str, int], fused: bool = False) -> Iterator[int]:
    """Yield for each layer the bytes that are alive in its forward computation and not kept."""
    readers = {node.name: number for number, node in enumerate(nodes)}
    for number, node in enumerate(nodes):
        readers |= dict.fromkeys(node.sources, number)
    in_place = FUSED if fused else IN_PLACE
    for number, node in enumerate(nodes):
        waiting = sum(n.bytes for n in nodes[:number] if n.name not in kept
                      and readers[n.name] >= number + (node.kind in in_place))
        inner = 0 if kept or fused else node.rule.inner
        own = (node.name not in kept) + inner + (0 if fused else node.rule.forward)
        yield waiting + own * node.bytes


def _laid_out(node: Node, nodes: Sequence[Node], index: dict[str, int]) -> int:
    """Return the bytes of a convolution's input and output; 0 for other layers."""
    return node.bytes + sum(nodes[index[name]].bytes for name in node.sources) if node.kind == CONVOLUTION else 0


def _passing_back(node: Node, number: int, edges: Sequence[tuple[int, int, int]]) -> int:
    """Return the transient bytes of a layer's backward computation: gradients waiting for the layer that uses them."""
    fresh = 0 if node.kind in IN_PLACE else sum(size for _, reader, size in edges if reader == number)
    waiting = sum(size for maker, reader, size in edges if maker <= number < reader)
    return fresh + waiting + node.rule.backward * node.bytes


def _gradient(nodes: Sequence[Node], index: dict[str, int], name: str, reader: Node) -> int:
    """Return the bytes of the gradient that `reader` passes to a source; an addition shares one tensor among all."""
    if reader.kind == ADD and name != min(reader.sources, key=index.__getitem__):
        return 0
    return nodes[index[name]].bytes
