"""Data-parallel training: several devices of one machine share every batch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from .. import backend
from ..errors import UsageError

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf


class Devices:
    """The devices of one training: one, or several of this machine that share every batch (data parallel).

    Each device holds a copy of the network and computes its share of a batch. Batch normalisation uses the
    statistics of the whole batch. Gradients are summed over the devices before clipping. If the loss is a mean over
    samples, a batch therefore gives the same loss on one device and on several, up to rounding.

    TensorFlow uses `tf.distribute.MirroredStrategy`, because `keras.distribution` does not support it (Keras 3.15).
    JAX uses `keras.distribution.DataParallel`.

    Args:
        gpus: Number of GPUs that share each batch; 0 for the backend's default device.
        logical_cpus: Number of logical devices to split the CPU into, instead of GPUs. They are not faster: use them
            to test data-parallel training without a GPU.

    Raises:
        UsageError: There are fewer devices, or both arguments are given.
    """

    def __init__(self, gpus: int = 0, logical_cpus: int = 0):
        if gpus and logical_cpus:
            raise UsageError("Give either --gpus or --logical-cpus.")
        self.count = max(1, gpus or logical_cpus)
        self._strategy = None
        if gpus:
            _require("gpu", gpus)
        if self.count == 1:
            return
        kind = "gpu" if gpus else "cpu"
        names = [f"{kind}:{index}" for index in range(self.count)]
        if backend.name() == "tensorflow":
            import tensorflow as tf

            if logical_cpus:
                tf.config.set_logical_device_configuration(
                    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * self.count)
            self._strategy = tf.distribute.MirroredStrategy(
                names, None if gpus else tf.distribute.ReductionToOneDevice())
        else:
            import keras

            if logical_cpus:
                os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "")
                                           + f" --xla_force_host_platform_device_count={self.count}")
                _require("cpu", logical_cpus)
            keras.distribution.set_distribution(keras.distribution.DataParallel(devices=names))

    def check_batch(self, batch: int) -> None:
        """Check that the devices can share a batch equally.

        Raises:
            UsageError: They cannot; the message suggests batch sizes.
        """
        if batch % self.count:
            lower = batch // self.count * self.count
            fit = " or ".join(str(size) for size in (lower, lower + self.count) if size)
            raise UsageError(f"A batch of {batch} cannot be shared equally by {self.count} devices.",
                             todo=f"Use a batch of {fit} (--batch when planning), or another number of devices.")

    def scope(self) -> AbstractContextManager[object]:
        """Return the context in which to build and compile a network for these devices."""
        return self._strategy.scope() if self._strategy else contextlib.nullcontext()

    def train_step(self, model: keras.Model, loss: Callable[..., Any],
                   clip_norm: float | None) -> Callable[[np.ndarray, np.ndarray], float]:
        """Return `step(image, label) -> loss`, which trains a compiled model on one batch."""
        if self._strategy is None:
            return lambda image, label: float(model.train_on_batch(image, label))
        import keras
        import tensorflow as tf

        strategy, count = self._strategy, self.count
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

        def on_one(image: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                share = loss(label, model(image, training=True)) / count
                scaled = model.optimizer.scale_loss(share)
            gradients = tape.gradient(scaled, model.trainable_variables)
            # Keras would clip each device's gradients and then sum them. Sum first, then clip. Each device divides
            # the result by their number, so that Keras' own sum restores it.
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
            if clip_norm:
                gradients, _ = tf.clip_by_global_norm(gradients, model.optimizer.scale_loss(clip_norm))
            model.optimizer.apply([gradient / count for gradient in gradients], model.trainable_variables)
            return share

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # TensorFlow has no types
        def on_all(images: tf.distribute.DistributedValues, labels: tf.distribute.DistributedValues) -> tf.Tensor:
            return strategy.reduce(tf.distribute.ReduceOp.SUM, strategy.run(on_one, args=(images, labels)), axis=None)

        def shared(batch: np.ndarray) -> tf.distribute.DistributedValues:
            size = len(batch) // count
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(batch[context.replica_id_in_sync_group * size:][:size]))

        return lambda image, label: float(on_all(shared(image), shared(label)))

    def predict(self, model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
        """Return `predict(image) -> probabilities` for NumPy arrays with any number of samples."""
        if self.count == 1:
            return model.predict_on_batch
        import numpy as np

        if self._strategy is None:
            def padded(image: np.ndarray) -> np.ndarray:  # Keras splits prediction batches among the devices too
                missing = -len(image) % self.count
                filled = np.concatenate([image, np.repeat(image[-1:], missing, axis=0)]) if missing else image
                return model.predict_on_batch(filled)[:len(image)]
            return padded
        import tensorflow as tf

        function = tf.function(lambda image: model(image, training=False), reduce_retracing=True)
        return lambda image: function(tf.constant(image)).numpy()


def _require(kind: str, count: int) -> None:
    """Check that the backend has enough devices.

    Raises:
        UsageError: It has fewer than `count`.
    """
    import keras

    found = len(keras.distribution.list_devices(kind))
    if found < count:
        raise UsageError(f"{count} {kind.upper()}s were requested; {backend.name()} sees {found}.",
                         todo="Request at most that many, or check that driver and libraries match (nvidia-smi).")
