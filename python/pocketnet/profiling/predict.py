"""Memory of a training step, predicted from the network's graph without running it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

FLOAT_BYTES = 4
RUNTIME_MIB = 850
"""Resident memory of a process that trains the smallest network with TensorFlow on a CPU, as measured."""


@dataclass(frozen=True)
class TrainingMemory:
    """Parts of a training step's memory, in MiB, variables in float32, outputs in the layers' own precision.

    Attributes:
        variables: Weights, gradients and Adam's two moments.
        activations: Every layer's output, kept for the backward pass.
        workspace: The largest layer's output and its gradient, alive together with all the rest.
    """

    variables: float
    activations: float
    workspace: float

    @property
    def device_mib(self) -> float:
        """What the device holds at the worst moment."""
        return self.variables + self.activations + self.workspace

    @property
    def host_mib(self) -> float:
        """Resident memory of the process when it trains on the CPU."""
        return RUNTIME_MIB + self.device_mib


def training_memory(model: keras.Model, batch: int) -> TrainingMemory:
    """Predict a training step's memory.

    An upper estimate that assumes that nothing is freed before the backward pass.

    Args:
        model: Built for a fixed patch size.
        batch: Patches a step.
    """
    outputs = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        size = 1
        for length in layer.output.shape[1:]:
            size *= length
        item = 2 if "16" in layer.output.dtype else FLOAT_BYTES
        outputs.append(size * batch * item / 2**20)
    trainable = sum(math.prod(w.shape) for w in model.trainable_weights)
    frozen = model.count_params() - trainable
    variables = (4 * trainable + frozen) * FLOAT_BYTES / 2**20
    return TrainingMemory(variables, sum(outputs), 2 * max(outputs))
