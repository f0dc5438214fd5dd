"""Run inside the CUDA image, without a GPU: TensorFlow is a CUDA build and finds each of its CUDA libraries.

The libraries are opened by TensorFlow's own loader (the functions by which it opens them when there is a GPU), so
what is tested is where *it* looks. Prints what was found as JSON; exit code 1 names what is missing.
"""

import ctypes
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import tensorflow as tf

# TensorFlow's name of a library in `tsl::internal::DsoLoader`, and the file that it must open.
LIBRARIES = {"CudaRuntime": "libcudart", "Cublas": "libcublas", "CublasLt": "libcublasLt", "Cufft": "libcufft",
             "Cusolver": "libcusolver", "Cusparse": "libcusparse", "Cudnn": "libcudnn", "Cupti": "libcupti",
             "Nccl": "libnccl"}


def call(function: str) -> bool:
    """Call a function of `DsoLoader`, whose answer (a status, perhaps a handle) goes to memory of ours; is it OK?"""
    library = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    called = library[f"_ZN3tsl8internal9DsoLoader{len(function)}{function}Ev"]
    called.restype, called.argtypes = None, [ctypes.c_void_p]
    answer = ctypes.create_string_buffer(64)
    called(answer)
    return int.from_bytes(answer[:8], sys.byteorder) in (0, 1)  # absl's OK; an error is the address of its text


def mapped() -> dict[str, str]:
    """The shared libraries of this process: path by name up to `.so`."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    paths = {line.split(maxsplit=5)[5] for line in lines if ".so" in line}
    return {Path(path).name.split(".so")[0]: path for path in paths}


def said(*command: str | Path) -> str:
    """What a program prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def main() -> int:
    build = tf.sysconfig.get_build_info()
    for name in LIBRARIES:
        call(f"Get{name}DsoHandle")
    complete = call("TryDlopenCUDALibraries")  # what TensorFlow asks before it takes a GPU
    found = {library: path for library, path in mapped().items() if library in LIBRARIES.values()}
    missing = sorted(set(LIBRARIES.values()) - set(found))
    compiler = next(iter(Path(tf.__file__).parents[1].glob("nvidia/cuda_nvcc/bin/ptxas")), None)  # XLA's assembler
    versions = {d.name: d.version for d in metadata.distributions() if d.name.startswith("nvidia-")}
    print(json.dumps({
        "tensorflow": tf.__version__, "cuda_build": bool(build["is_cuda_build"]),
        "built_for": {key: build.get(key) for key in ("cuda_version", "cudnn_version")},
        "opened": found, "missing": missing, "complete": complete, "wheels": versions,
        "ptxas": compiler and said(compiler, "--version").splitlines()[-2],
        "cudnn": ctypes.CDLL(found["libcudnn"]).cudnnGetVersion() if "libcudnn" in found else None,
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }, indent=1))
    return 0 if build["is_cuda_build"] and complete and not missing and compiler else 1


if __name__ == "__main__":
    sys.exit(main())
