"""Prepare an OpenVINO graph for windows of any size, and make its decoder cheaper without changing its result.

No activation follows the decoder's transposed convolution, so it forms a linear operation with the next convolution. In
conv([up(x), skip]), the part that reads up(x) therefore equals a single transposed convolution with kernel k + 2. For
kernels 2 and 3 in 3D, it costs 8 multiplications per voxel and pair of feature maps instead of 28. Neither up(x) nor
its concatenation with the skip connection is ever in memory. The bias of the transposed convolution adds other values
near the border than inside. An input channel of ones represents it, because the border cuts off this channel like x.

The last softmax runs over whole class planes instead of the few values of each voxel, which took 2 % of the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

if TYPE_CHECKING:
    import openvino

MOST_WEIGHTS = 2**21
"""Maximum weights of a fused kernel. Larger kernels, in wide networks, cost more time and memory than they save."""


def free_sizes(graph: openvino.Model) -> None:
    """Remove fixed output sizes of transposed convolutions, so that they adapt to their input."""
    from openvino import opset13 as op
    from openvino.utils import replace_node

    for node in graph.get_ordered_ops():
        if node.get_type_name() == "ConvolutionBackpropData" and len(node.inputs()) == 3:
            weights = node.input_value(1)
            strides = list(node.get_attributes()["strides"])
            if strides == list(weights.get_shape())[2:]:
                none = [0] * len(strides)
                replace_node(node, op.convolution_backprop_data(
                    node.input_value(0), weights, strides, pads_begin=none, pads_end=none, dilations=[1] * len(none)))


def fuse_skips(graph: openvino.Model) -> int:
    """Fuse the decoder's convolutions in a graph with static shapes, as described above.

    Returns:
        Number of fused convolutions.
    """
    from openvino.utils import replace_node

    fused = 0
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "Concat" or len(node.inputs()) != 2:
            continue
        up, skip = _upsampling(node.input_value(0)), node.input_value(1)
        readers = [target.get_node() for target in node.output(0).get_target_inputs()]
        if up is None or not all(_is_plain(reader) for reader in readers):
            continue
        for reader in readers:
            replacement = _fused(up, skip, reader)
            if replacement is not None:
                replace_node(reader, replacement)
                fused += 1
    return fused


def classes_first(graph: openvino.Model) -> bool:
    """Change the output to (batch, classes, *patch), with the softmax over axis 1.

    Returns:
        Whether the graph was changed. It is unchanged unless it ends in a softmax over the last of at least 3 axes, as
        a segmentation network does.
    """
    from openvino import opset13 as op
    from openvino.utils import replace_node

    softmax = graph.get_results()[0].input_value(0).get_node()
    axes = len(softmax.get_output_partial_shape(0))
    if softmax.get_type_name() != "Softmax" or softmax.get_attributes()["axis"] not in (-1, axes - 1) or axes < 3:
        return False
    first = op.transpose(softmax.input_value(0), op.constant([0, axes - 1, *range(1, axes - 1)]))
    replace_node(softmax, op.softmax(first, 1))
    graph.validate_nodes_and_infer_types()
    return True


def in_plane(graph: openvino.Model) -> openvino.Model:
    """Return the graph with 2D operations, if its window is one slice and no kernel is larger along the last axis.

    OpenVINO convolves volumes of one slice in 2.6 times the time of images.

    Args:
        graph: The graph of a network of 3D layers with static shapes.

    Returns:
        A graph with the same inputs and outputs; `graph` itself if it is of another kind.
    """
    import openvino
    from openvino import opset13 as op

    shape = list(graph.input(0).get_shape())
    if len(shape) != 5 or shape[3] != 1:
        return graph
    window = op.parameter(shape, np.float32)
    made = {graph.input(0).get_node().get_name(): Slice(op.squeeze(window, op.constant([3])), 3)}
    for node in graph.get_ordered_ops():
        if node.get_type_name() not in ("Parameter", "Constant", "Result"):
            flat = _flat(node, made)
            if flat is None:
                return graph
            made[node.get_name()] = flat
    last = made[graph.get_results()[0].input_value(0).get_node().get_name()]
    return openvino.Model([op.unsqueeze(last.node, op.constant([last.axis]))], [window])


class Slice(NamedTuple):
    """A tensor of a graph without the axis of the single slice.

    Attributes:
        node: The node that computes it, or its output.
        axis: The place of the axis in the tensor that has it.
    """

    node: openvino.Node | openvino.Output
    axis: int


def _flat(node: openvino.Node, made: Mapping[str, Slice]) -> Slice | None:
    """Return a node's form without the slice's axis; None if it is unknown or mixes slices."""
    from openvino import opset13 as op

    kind, attributes = node.get_type_name(), node.get_attributes()
    sources = [value.get_source_output().get_node() for value in node.inputs()]
    given = [made.get(source.get_name()) for source in sources]
    first = given[0]
    if first is None:
        return None
    x, axis = first
    constant = sources[-1].get_data() if sources[-1].get_type_name() == "Constant" else None

    def moved(place: int) -> int:
        place %= len(node.get_output_shape(0))
        return place - (place > axis)

    if kind in KERNELS:
        if axis != 4 or constant is None or constant.shape[-1] != 1:
            return None
        strides, begin, end = (attributes[name][:2] for name in ("strides", "pads_begin", "pads_end"))
        return Slice(getattr(op, KERNELS[kind])(x, op.constant(np.ascontiguousarray(constant[..., 0])), strides,
                                                pads_begin=begin, pads_end=end, dilations=attributes["dilations"][:2],
                                                auto_pad=attributes["auto_pad"]), axis)
    if kind == "MaxPool" and axis == 4 and attributes["kernel"][2] == 1:
        of_plane = {name: attributes[name][:2] for name in ("strides", "dilations", "pads_begin", "pads_end")}
        return Slice(op.max_pool(x, *of_plane.values(), attributes["kernel"][:2], attributes["rounding_type"],
                                 attributes["auto_pad"]).output(0), axis)
    if kind == "MVN" and constant is not None and axis in constant:
        return Slice(op.mvn(x, op.constant([moved(place) for place in constant if place != axis]),
                            attributes["normalize_variance"], attributes["eps"], attributes["eps_mode"]), axis)
    if kind == "Transpose" and constant is not None:
        order = [int(place) for place in constant]
        return Slice(op.transpose(x, op.constant([moved(place) for place in order if place != axis])),
                     order.index(axis))
    if kind == "Softmax":
        return Slice(op.softmax(x, moved(attributes["axis"])), axis)
    if kind == "Concat" and all(one is not None and one.axis == axis for one in given):
        return Slice(op.concat([cast("Slice", one).node for one in given], moved(attributes["axis"])), axis)
    if kind in ELEMENTWISE:
        others = [one.node if one and one.axis == axis else op.constant(np.squeeze(source.get_data(), axis))
                  if source.get_type_name() == "Constant" and source.get_data().ndim == 5 else None
                  for one, source in zip(given[1:], sources[1:], strict=True)]
        if all(other is not None for other in others):
            return Slice(getattr(op, ELEMENTWISE[kind])(x, *others), axis)
    return None


KERNELS = {"Convolution": "convolution", "ConvolutionBackpropData": "convolution_backprop_data",
           "GroupConvolution": "group_convolution"}
ELEMENTWISE = {"Add": "add", "Multiply": "multiply", "Subtract": "subtract", "PRelu": "prelu", "Relu": "relu",
               "Sigmoid": "sigmoid"}
"""OpenVINO's operations by the name of their kind."""


def _upsampling(output: openvino.Output) -> tuple[openvino.Output, np.ndarray, np.ndarray | None] | None:
    """Return input, weights and bias if `output` is that of a transposed convolution, otherwise None."""
    node, bias = output.get_node(), None
    if node.get_type_name() == "Add" and node.input_value(1).get_node().get_type_name() == "Constant":
        bias = node.input_value(1).get_node().get_data()
        node = node.input_value(0).get_node()
    if node.get_type_name() != "ConvolutionBackpropData":
        return None
    weights, attributes = node.input_value(1).get_node(), node.get_attributes()
    if weights.get_type_name() != "Constant" or list(attributes["strides"]) != list(weights.get_output_shape(0))[2:]:
        return None
    return node.input_value(0), weights.get_data(), bias


def _is_plain(node: openvino.Node) -> bool:
    """Return whether a node is a convolution with stride 1 that preserves the size of its input."""
    if node.get_type_name() != "Convolution" or node.input_value(1).get_node().get_type_name() != "Constant":
        return False
    attributes, kernel = node.get_attributes(), list(node.input_value(1).get_shape())[2:]
    return (set(attributes["strides"]) == set(attributes["dilations"]) == {1} and all(k % 2 for k in kernel)
            and list(node.get_output_shape(0))[2:] == list(node.input_value(0).get_shape())[2:])


def _fused(up: tuple[openvino.Output, np.ndarray, np.ndarray | None], skip: openvino.Output,
           reader: openvino.Node) -> openvino.Node | None:
    """Return the replacement of a convolution; None if the fused kernel would be too large."""
    from openvino import opset13 as op

    x, weights, bias = up
    kernel = reader.input_value(1).get_node().get_data()
    middle = weights.shape[1]
    side = [k + n - 1 for k, n in zip(weights.shape[2:], kernel.shape[2:], strict=True)]
    if weights.shape[0] * kernel.shape[0] * np.prod(side) > MOST_WEIGHTS:
        return None
    strides, pads = list(weights.shape[2:]), [n // 2 for n in kernel.shape[2:]]
    if bias is not None and bias.any():
        row = np.broadcast_to(bias.reshape(1, middle, *[1] * len(pads)), (1, *weights.shape[1:]))
        weights = np.concatenate([weights, row])
        ones = op.broadcast(op.constant(np.float32(1)), op.constant(np.array([1, 1, *list(x.get_shape())[2:]])))
        x = op.concat([x, ones], 1)
    unit = [1] * len(pads)
    above = op.convolution_backprop_data(x, op.constant(compose(weights, kernel[:, :middle])), strides,
                                         pads_begin=pads, pads_end=pads, dilations=unit)
    beside = op.convolution(skip, op.constant(np.ascontiguousarray(kernel[:, middle:])), unit, pads, pads, unit)
    return op.add(beside, above)


def compose(up: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Return the kernel of the transposed convolution that equals a transposed convolution followed by a convolution.

    Args:
        up: Kernel of the transposed convolution, (inputs, middle, *sides), with strides equal to its sides.
        kernel: Kernel of the convolution, (outputs, middle, *sides), with odd sides.

    Returns:
        (inputs, outputs, *sides) float32.
    """
    side = [a + b - 1 for a, b in zip(up.shape[2:], kernel.shape[2:], strict=True)]
    out: np.ndarray = np.zeros((up.shape[0], kernel.shape[0], *side))
    for a in itertools.product(*map(range, up.shape[2:])):
        for b in itertools.product(*map(range, kernel.shape[2:])):
            at = tuple(i - j + n - 1 for i, j, n in zip(a, b, kernel.shape[2:], strict=True))
            to: Any = (..., *at)
            first: Any = (..., *a)
            second: Any = (..., *b)
            out[to] += up[first].astype(np.float64) @ kernel[second].T.astype(np.float64)
    return out.astype(np.float32)


def activation_bytes(graph: openvino.Model) -> int:
    """Return the peak size of live activations in bytes, for a graph with static shapes.

    Voxel-wise operations after a convolution (bias, activation, sum) count as computed in place.
    """
    order = [node for node in graph.get_ordered_ops() if node.get_type_name() not in ("Constant", "Result")]
    place = {node.get_name(): index for index, node in enumerate(order)}
    last: dict[str, int] = {}
    size: dict[str, int] = {}
    root: dict[str, str] = {}
    for index, node in enumerate(order):
        name, outputs = node.get_name(), node.outputs()
        sources = [value.get_source_output().get_node().get_name() for value in node.inputs()]
        root[name] = name
        if node.get_type_name() in IN_PLACE:
            live = [s for s in sources if s in place]
            root[name] = root[max(live, key=place.__getitem__)]
        for source in sources:
            if source in root:
                last[root[source]] = index
        last[root[name]] = index
        size.setdefault(root[name], sum(int(np.prod(out.get_shape())) * out.get_element_type().size for out in outputs))
    events = np.zeros(len(order) + 1, np.int64)
    for name, bytes_ in size.items():
        events[place[name]] += bytes_
        events[last[name] + 1] -= bytes_
    return int(events.cumsum().max())


IN_PLACE = ("Add", "Relu", "PRelu", "Multiply", "Subtract", "Softmax")
