"""The process that measures one configuration: `python -m pocketnet.profiling.child FOLDER STAGE`.

It reads `configuration.json`. It writes `described.json` (parameters and prediction) before `measured.json`, so that
`described.json` exists even if the kernel kills the process when memory runs out.

| stage | action |
|---|---|
| `train` | describe, and measure training steps |
| `export` | describe, and write the network as in a model folder |
| `infer` | measure forward passes in a process that has loaded only the engine |
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..profiling.configuration import Configuration

CONFIGURATION, DESCRIBED, MEASURED = "configuration.json", "described.json", "measured.json"


def main(folder: Path, stage: str) -> None:
    """Do one stage."""
    from .. import backend
    from ..contracts.base import adapter
    from .configuration import Configuration

    backend.lean = True
    _be_the_first_to_go()
    configuration = adapter(Configuration).validate_json((folder / CONFIGURATION).read_bytes())
    if stage != "infer":  # there, the engine decides
        backend.configure(configuration.threads, configuration.seed)
    result: dict[str, Any] | None
    try:
        if stage == "infer":
            result = _infer(folder, configuration)
        else:
            result = (_train if stage == "train" else _export)(folder, configuration)
    except Exception as error:
        if not isinstance(error, MemoryError) and not backend.is_out_of_memory(error):
            raise
        result = out_of_memory(str(error).splitlines()[0][:200] if str(error) else type(error).__name__)
    if result is not None:
        (folder / MEASURED).write_text(json.dumps(result))


def out_of_memory(reason: str) -> dict[str, Any]:
    """Build the result of a configuration that does not fit in memory."""
    return {"status": "out_of_memory", "reason": reason}


def _train(folder: Path, configuration: Configuration) -> dict[str, Any] | None:
    from .. import backend
    from ..models.build import build
    from .measure import memory, training_step

    problem = _describe(folder, configuration)
    if problem or not configuration.steps:
        return problem
    before = backend.host_memory_mib()
    measured = training_step(build(configuration.network, configuration.patch), configuration)
    return {"status": "ok", **memory(before), **measured}


def _export(folder: Path, configuration: Configuration) -> dict[str, Any] | None:
    from ..models.build import build
    from ..models.export import export_openvino

    _describe(folder, configuration)
    if configuration.steps:
        model = build(configuration.network)
        model.save(folder / "model.keras")
        if configuration.engine != "tensorflow":
            export_openvino(model, folder)
    return None


def _infer(folder: Path, configuration: Configuration) -> dict[str, Any]:
    from .measure import forward_pass, inference_engine, memory

    engine, before = inference_engine(folder, configuration)
    measured = forward_pass(engine, configuration)
    return {"status": "ok", "engine": engine.name, **memory(before, engine.name != "openvino"), **measured}


def _describe(folder: Path, configuration: Configuration) -> dict[str, Any] | None:
    """Write parameters and prediction. Return a result if the prediction exceeds this machine's memory, else None."""
    import psutil

    from .. import backend

    precision = backend.usable_precision(configuration.precision)
    backend.set_precision(precision)
    from .devices import load, of_this_machine
    from .graph import parameters
    from .predict import describe, nodes_of

    configuration = replace(configuration, precision=precision)
    device = load(configuration.device) if configuration.device else of_this_machine()
    described: dict[str, Any] = {"precision": precision, "hardware": backend.hardware(),
                 "parameters": parameters(nodes_of(configuration.network, configuration.patch, precision)),
                 "gflops": None, "predicted": None}
    described |= describe(configuration, device) if device else {}
    (folder / DESCRIBED).write_text(json.dumps(described))
    total = psutil.virtual_memory().total / 2**20
    predicted = described["predicted"]
    if predicted and not backend.on_gpu() and predicted["host_memory_mib"] > total:
        return out_of_memory(f"needs about {predicted['host_memory_mib'] / 1024:.1f} GiB, "
                             f"this machine has {total / 1024:.1f} GiB")
    return None


def _be_the_first_to_go() -> None:
    """Ask the OOM killer to choose this process first."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
