"""Turn off the telemetry of libraries: data goes only to servers that the user names (docs/security.md).

The package imports this module first, because libraries read the environment on import. It imports none of them.
"""

import os
import sys

OFF = {
    "DO_NOT_TRACK": "true",  # MLflow, and others by convention
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime reports to Microsoft, from native code
    "ENABLE_RUNTIME_UPTIME_TELEMETRY": "0",  # TensorFlow
    "HF_HUB_DISABLE_TELEMETRY": "1",  # Hugging Face Hub, which Keras can load from
}
"""Environment variables; the image, the pipeline's tasks and make set the same ones."""

WITHOUT_A_VARIABLE = "openvino_telemetry"
"""OpenVINO has no variable. It reports whenever it can import this module, and works without it."""


def turn_off() -> None:
    """Set the variables for this process and its children, and hide OpenVINO's telemetry module."""
    os.environ.update(OFF)
    sys.modules.setdefault(WITHOUT_A_VARIABLE, None)  # type: ignore[arg-type]  # None blocks the import
