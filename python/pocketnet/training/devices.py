"""Data-parallel training: several devices of one machine, or of several, share every batch."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .. import backend
from ..errors import UsageError
from ..text import counted
from .workers import Workers, join, watched

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf


class Devices:
    """The devices of one training: one, or several that share every batch (data parallel).

    Each device holds a copy of the network and computes its share of a batch. Batch normalisation uses the
    statistics of the whole batch. Gradients are summed over the devices before clipping. If the loss is a mean over
    samples, a batch therefore gives the same loss on one device and on several, up to rounding.

    TensorFlow uses `tf.distribute.MirroredStrategy`, because `keras.distribution` does not support it (Keras 3.15),
    and `tf.distribute.MultiWorkerMirroredStrategy` on several nodes. JAX uses `keras.distribution.DataParallel`.

    On several nodes, one process per node does the same: a worker. Each calls the same methods in the same order,
    because they exchange values in most of them. Worker 0, the chief, also writes the files.

    Args:
        gpus: Number of GPUs of each node that share each batch; 0 for the backend's default device.
        logical_cpus: Number of logical devices to split the CPU into, instead of GPUs. They are not faster: use them
            to test data-parallel training without a GPU.
        nodes: Number of nodes; with several, create this before TensorFlow's first operation.
        batch: A batch that they are to share, checked before the other nodes are waited for.

    Attributes:
        count: Number of devices on all nodes.
        nodes: Number of nodes.
        chief: Whether this process writes the training's files.

    Raises:
        UsageError: There are fewer devices, they cannot share the batch, the arguments do not go together, or the
            nodes are not known.
        WorkerLost: The workers of the other nodes did not start.
    """

    def __init__(self, gpus: int = 0, logical_cpus: int = 0, nodes: int = 1, batch: int | None = None):
        if gpus and logical_cpus:
            raise UsageError("Give either --gpus or --logical-cpus.")
        self.count, self.nodes, self.chief = nodes * max(1, gpus or logical_cpus), nodes, True
        self._strategy: Any = None
        if batch:
            self.check_batch(batch)
        if nodes > 1:
            self._join(gpus, logical_cpus)
            return
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

    def _join(self, gpus: int, logical_cpus: int) -> None:
        if backend.name() != "tensorflow":
            raise UsageError(f"--nodes works only with TensorFlow; the backend is {backend.name()}.",
                             todo="Unset KERAS_BACKEND, or train on one node.")
        if logical_cpus:
            raise UsageError("--logical-cpus works only on one node.", todo="Leave out --logical-cpus or --nodes.")
        import tensorflow as tf

        workers = Workers.of(os.environ, self.nodes)
        found = len(tf.config.list_physical_devices("GPU"))  # Keras' own list would be TensorFlow's first operation
        _enough("gpu", gpus, found)
        self.chief = workers.index == 0
        self._strategy = join(workers, gpus or min(found, 1))

    def gathered(self, value: float) -> list[float]:
        """Return the value that each node's worker passes to this call, in the order of the workers."""
        if self.nodes == 1:
            return [value]
        import tensorflow as tf

        each = self.count // self.nodes

        def row(context: tf.distribute.ValueContext) -> tf.Tensor:
            worker, device = divmod(context.replica_id_in_sync_group, each)
            return tf.one_hot(worker, self.nodes, 0.0 if device else float(value), 0.0, dtype=tf.float64)

        with watched():
            rows = self._strategy.experimental_distribute_values_from_function(row)
            return self._strategy.reduce(tf.distribute.ReduceOp.SUM, rows, axis=None).numpy().tolist()

    def of_chief(self, value: float) -> float:
        """Return the chief's value, so that all workers decide alike."""
        return self.gathered(value)[0]

    def anywhere(self, flag: bool) -> bool:
        """Return whether one of the workers passes True."""
        return any(self.gathered(flag))

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

    @contextlib.contextmanager
    def scope(self) -> Iterator[None]:
        """Return the context in which to build and compile a network for these devices."""
        with contextlib.ExitStack() as stack:
            if self.nodes > 1:
                stack.enter_context(watched())  # the workers take the chief's values
            if self._strategy:
                stack.enter_context(self._strategy.scope())
            yield

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

        def step(image: np.ndarray, label: np.ndarray) -> float:
            with watched() if self.nodes > 1 else contextlib.nullcontext():
                return float(on_all(shared(image), shared(label)))

        return step

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

    _enough(kind, count, len(keras.distribution.list_devices(kind)))


def _enough(kind: str, count: int, found: int) -> None:
    if found < count:
        asked = f"{counted(count, kind.upper())} {'was' if count == 1 else 'were'} requested"
        raise UsageError(f"{asked}; {backend.name()} sees {found}.",
                         todo="Request at most that many, or check that driver and libraries match (nvidia-smi).")
