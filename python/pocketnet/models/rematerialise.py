"""Rematerialisation: the backward pass computes blocks again instead of keeping them. Saves memory, costs time."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import layers


def segment_of(name: str) -> str:
    """Return the block of a layer from its name, for example `encoder0` for `encoder0_conv1`."""
    return name.rpartition("_")[0] or name


class Segment(layers.Layer):
    """A part of a network that keeps only its inputs for the backward pass.

    Keras' `RematScope` fails in a compiled TensorFlow step (Keras 3.15: its wrapper passes `training` as a keyword,
    which `tf.recompute_grad` refuses). The underlying `keras.remat` works.

    Args:
        network: The part as a functional model.
    """

    def __init__(self, network: keras.Model, **options: Any):
        super().__init__(**options)
        self.network = network

    def call(self, inputs: keras.KerasTensor | list[keras.KerasTensor],
             training: bool | None = None) -> keras.KerasTensor | list[keras.KerasTensor]:
        """Run the part; its inner activations are computed again in the backward pass."""
        given = inputs if isinstance(inputs, list | tuple) else [inputs]
        return keras.remat(lambda *tensors: self.network(list(tensors), training=training))(*given)

    def compute_output_spec(self, inputs: keras.KerasTensor | list[keras.KerasTensor],
                            training: bool | None = None) -> keras.KerasTensor | list[keras.KerasTensor]:
        """The part's outputs, by their shapes and types."""
        return self.network.compute_output_spec(list(inputs) if isinstance(inputs, list | tuple) else [inputs])


def rematerialised(model: keras.Model) -> keras.Model:
    """Return the same network, with the same layers and variables, that computes each block again in the backward pass.

    A block consists of the layers with the same `segment_of`. Losses and gradients do not change. With TensorFlow, a
    batch normalisation processes each batch twice. Its momentum is therefore replaced by its square root, so that two
    updates move the averages as far as one did before.

    Args:
        model: A functional model with one input and one output.
    """
    members: dict[str, list[layers.Layer]] = {}
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer):
            members.setdefault(segment_of(layer.name), []).append(layer)
    readers: dict[str, set[str]] = {}
    for name, group in members.items():
        for layer in group:
            for tensor in _sources(layer):
                readers.setdefault(tensor.name, set()).add(name)
    inputs = keras.Input(model.input_shape[1:], name=model.inputs[0].name)
    known = {model.inputs[0].name: inputs}
    waiting = dict(members)
    while waiting:
        name = next(name for name, group in waiting.items()
                    if all(tensor.name in known for tensor in _outside(group)))
        group = waiting.pop(name)
        outputs = [layer.output for layer in group
                   if readers.get(layer.output.name, {None}) - {name}]
        made = _apply(name, group, [known[tensor.name] for tensor in _outside(group)], outputs)
        known |= {tensor.name: value for tensor, value in zip(outputs, made, strict=True)}
    return keras.Model(inputs, known[model.outputs[0].name], name=f"{model.name}_rematerialised")


def _apply(name: str, group: list[layers.Layer], given: list[Any], outputs: list[Any]) -> list[Any]:
    """Apply a block to new inputs and return its outputs."""
    if len(group) == 1:
        return [group[0](given if len(given) > 1 else given[0])]
    for layer in group:
        if isinstance(layer, layers.BatchNormalization) and keras.backend.backend() == "tensorflow":
            layer.momentum = math.sqrt(layer.momentum)
    part = keras.Model(_outside(group), outputs if len(outputs) > 1 else outputs[0], name=name)
    made = Segment(part, name=f"{name}_segment")(given)
    return list(made) if isinstance(made, list | tuple) else [made]


def _sources(layer: layers.Layer) -> list[Any]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _outside(group: list[layers.Layer]) -> list[Any]:
    """Return the tensors that a block reads from outside, without duplicates."""
    own = {layer.output.name for layer in group}
    return list({tensor.name: tensor for layer in group for tensor in _sources(layer)
                 if tensor.name not in own}.values())
