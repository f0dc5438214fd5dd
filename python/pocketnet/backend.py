"""Backend-specific functions: threads, determinism, precision, memory. `training.devices` shares batches among devices.

Import this module before Keras and call `configure` first; everything else is plain Keras and runs on
TensorFlow (the default) and JAX alike.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_DEPRECATION_WARNINGS", "0")
# TensorFlow enables oneDNN only on newer processors. Without it, the gradients of 3D convolutions take several times
# the memory (docs/results/profile.md).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

OPTIONAL = ("matplotlib", "pandas", "PIL", "sklearn")
"""Libraries that Keras loads if they are installed. No command uses them through Keras."""

INSTRUCTIONS = ("fma", "avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
"""Instruction sets for which libraries have separate code, so that results differ by rounding."""

lean = False
"""Whether to import Keras without `OPTIONAL`. Commands do; a program that uses the package gets the whole Keras."""


def name() -> str:
    """Return `tensorflow` or `jax`, from Keras' environment variable `KERAS_BACKEND`."""
    return os.environ["KERAS_BACKEND"]


def configure(threads: int | None = None, seed: int | None = None) -> None:
    """Set threads and seeds before any network is built.

    Args:
        threads: CPU threads per operation; None for all cores. Results are bit-identical for the same number.
        seed: Seed of Python, NumPy and the backend, whose operations become deterministic; None for neither.
    """
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    with _quiet_stderr():
        with _quick_import():
            import keras

        if name() == "tensorflow":
            import tensorflow as tf

            if threads:
                tf.config.threading.set_intra_op_parallelism_threads(threads)
                tf.config.threading.set_inter_op_parallelism_threads(1)
            if seed is not None:
                tf.config.experimental.enable_op_determinism()
            gpus = tf.config.list_physical_devices("GPU")
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
            if not gpus:
                # Grappler orders the operations of a graph differently in each process, and the peak memory of a
                # training varies with the order by a quarter. Without it, a step on a CPU takes the same time.
                tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if seed is not None:
        keras.utils.set_random_seed(seed % 2**32)


def threads() -> int | None:
    """Return the CPU threads per operation as given to `configure`; None for all cores."""
    if name() != "tensorflow":
        return int(os.environ.get("OMP_NUM_THREADS", 0)) or None
    import tensorflow as tf

    return tf.config.threading.get_intra_op_parallelism_threads() or None


@contextmanager
def _quick_import() -> Iterator[None]:
    """Import Keras in less time and, if `lean`, in less memory.

    A garbage collection during the import finds nothing but takes time.
    """
    hidden = [library for library in OPTIONAL if library not in sys.modules] if lean else []
    collecting, first = gc.isenabled(), "keras" not in sys.modules
    gc.disable()
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: importing it raises ImportError
    try:
        yield
    finally:
        for library in hidden:
            del sys.modules[library]
        if lean and first:
            gc.freeze()  # what is imported stays: later collections need not look through it
        if collecting:
            gc.enable()


def usable_precision(wanted: str) -> str:
    """Return the precision to train in: `wanted`, or float32 if it would not be faster on this machine.

    On CPUs, TensorFlow has no float16 max-pooling, and bfloat16 is faster only with bfloat16 instructions.

    Args:
        wanted: One of `contracts.plan.PRECISIONS`, Keras' names of dtype policies: weights stay in float32, layers
            compute in 16 bits, the last softmax and the loss in float32.
    """
    if name() != "tensorflow" or on_gpu():
        return wanted
    return wanted if wanted == "mixed_bfloat16" and multiplies_bfloat16() else "float32"


def multiplies_bfloat16() -> bool:
    """Return whether Linux reports a processor with bfloat16 multiplication (AVX-512 or AMX)."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(_flags())


def fuses_training() -> bool:
    """Return whether training steps compute the fused form of a network (`models.fused`), as on TensorFlow's CPU."""
    return name() == "tensorflow" and not on_gpu()


def has_avx512() -> bool:
    """Return whether oneDNN has kernels with AVX-512, which its variable `ONEDNN_MAX_CPU_ISA` may rule out."""
    most = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    return "avx512bw" in _flags() and not most.startswith(("SSE", "AVX2")) and most != "AVX"


def _flags() -> list[str]:
    """Return the instruction sets of the processor, as Linux names them."""
    return next((line for line in _lines("/proc/cpuinfo") if line.startswith("flags")), "").split()


def set_precision(precision: str) -> None:
    """Set the precision of networks that are built from now on (Keras' global dtype policy)."""
    import keras

    keras.config.set_dtype_policy(precision)


class _quiet_stderr:
    """Hide the start-up messages of native libraries; errors still raise."""

    def __enter__(self) -> None:
        sys.stderr.flush()
        self._saved = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._saved, 2)
        os.close(self._saved)


def on_gpu() -> bool:
    """Return whether the backend finds a GPU."""
    import keras

    return any(device.startswith("gpu") for device in keras.distribution.list_devices("gpu"))


def gpu_name() -> str:
    """Return the driver's name of the first GPU, which must exist."""
    if name() == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])["device_name"]
    import jax

    return jax.devices()[0].device_kind


def peak_host_memory_mib() -> float:
    """Return the peak resident memory of this process in MiB (on Linux without that of its parent)."""
    peak = _status_mib("VmHWM")
    if peak is not None:
        return peak
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def host_memory_mib() -> float:
    """Return the current resident memory of this process in MiB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20


def _status_mib(field: str) -> float | None:
    """Return a field of Linux' `/proc/self/status` in MiB; None if it does not exist."""
    return next((int(line.split()[1]) / 1024 for line in _lines("/proc/self/status") if line.startswith(f"{field}:")),
                None)


def peak_device_memory_mib() -> float | None:
    """Return the peak memory of the backend's allocator on the first GPU in MiB; None without a GPU."""
    if not on_gpu():
        return None
    if name() == "tensorflow":
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    import jax

    return jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the device is out of memory."""
    return type(error).__name__ in ("ResourceExhaustedError", "XlaRuntimeError") and (
        "RESOURCE_EXHAUSTED" in str(error) or "OOM" in str(error) or "out of memory" in str(error).lower())


def traced(step: Callable[[], object], folder: str) -> None:
    """Run a step in the backend's profiler, which writes a trace for TensorBoard to `folder`."""
    if name() == "tensorflow":
        import tensorflow as tf

        with tf.profiler.experimental.Profile(folder):
            step()
        return
    import jax

    with jax.profiler.trace(folder):
        step()


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that results depend on."""
    from importlib import metadata

    packages = ("tensorflow", "keras", "numpy", "scipy", "SimpleITK", "nibabel", "blosc2", "openvino")
    return {"python": platform.python_version(), **{p.lower(): metadata.version(p) for p in packages}}


def hardware() -> dict[str, Any]:
    """Return processor, instruction sets, cores, memory and GPUs, without the host name."""
    import keras
    import psutil

    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
                 platform.processor() or "unknown")
    flags = _flags()
    return {"cpu": model, "instructions": [flag for flag in INSTRUCTIONS if flag in flags],
            "cores": len(os.sched_getaffinity(0)), "memory_mib": psutil.virtual_memory().total // 2**20,
            "backend": name(), "devices": keras.distribution.list_devices()}


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.readlines()
    except OSError:
        return []
