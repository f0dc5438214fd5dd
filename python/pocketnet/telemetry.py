"""Telemetry of the libraries, off: nothing is sent to anyone whom the user did not name (docs/security.md).

Imported first, by the package itself, because libraries look at the environment as they are imported. It imports none.
"""

import os
import sys

OFF = {
    "DO_NOT_TRACK": "true",  # MLflow, and others by convention
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime reports to Microsoft, from native code
    "ENABLE_RUNTIME_UPTIME_TELEMETRY": "0",  # TensorFlow
    "HF_HUB_DISABLE_TELEMETRY": "1",  # Keras can load from there
}
"""Variables, the same in the image, in the pipeline's tasks and in make."""

WITHOUT_A_VARIABLE = "openvino_telemetry"
"""OpenVINO has no variable: it reports wherever this module can be imported, and works without it."""


def turn_off() -> None:
    """Set the variables for this process and those that it starts, and let OpenVINO find nothing to report with."""
    os.environ.update(OFF)
    sys.modules.setdefault(WITHOUT_A_VARIABLE, None)  # type: ignore[arg-type]  # None: it cannot be imported
