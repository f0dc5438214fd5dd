"""Write a model folder as an MLflow model: code (`tracking/pyfunc.py`) and files, nothing pickled."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from ..contracts.checksums import Checksums
from ..outputs import PART
from ..training.model_folder import ModelFolder
from .records import Model
from .tasks import TASKS

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = {"last.keras", "best.keras"}  # not needed for serving; the checkpoints are as large as the model
EXAMPLE = 32  # maximum voxels or pixels per side
NEEDED = ("mlflow", "pandas", "jsonschema", "pillow")  # in addition to the libraries in the provenance
TRAINING = {"python", "tensorflow", "keras"}  # not needed with OpenVINO


def write_model(model: Model, target: Path) -> None:
    """Write an MLflow model that `mlflow models serve --env-manager local` serves.

    Args:
        model: The model, with its plan.
        target: Folder to create.

    Raises:
        AlteredError: The folder is not as it was written.
    """
    from mlflow.pyfunc import save_model

    with TemporaryDirectory(prefix=PART) as folder:
        copy = Path(folder) / "model_folder"
        source = ModelFolder.open(model.folder)
        Checksums(source.copy(sorted(source.sha256.keys() - LEFT_OUT), copy)).write(copy / "checksums.json")
        save_model(str(target), python_model=str(Path(__file__).with_name("pyfunc.py")),
                   artifacts={"model_folder": str(copy)}, code_paths=[str(PACKAGE)], signature=signature(model),
                   input_example=example(model), pip_requirements=requirements(model))
    _without_paths(target)


def _without_paths(target: Path) -> None:
    """Replace this machine's paths in `MLmodel` with names inside the model; serving needs no others."""
    from mlflow.models import Model as Record

    record = Record.load(str(target))
    flavour = record.flavors["python_function"]
    flavour["model_code_path"] = Path(flavour["model_code_path"]).name
    for artifact in flavour["artifacts"].values():
        artifact["uri"] = artifact["path"]
    record.save(str(target / "MLmodel"))


def signature(model: Model) -> ModelSignature:
    """Return the signature: a column of files per modality in; a file, or a probability per class, out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    plan = model.plan
    return ModelSignature(Schema([ColSpec("binary", name) for name in plan.modalities]),
                          Schema([ColSpec(kind, name) for kind, name in TASKS[plan.task].outputs(plan)]))


def example(model: Model) -> pd.DataFrame:
    """Return a synthetic case as input example: a bright ball in noise. No patient data is stored."""
    import pandas as pd

    plan = model.plan
    side = [min(EXAMPLE, n) for n in plan.training.patch]
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in side), indexing="ij")
    ball = 100 * (sum(axis**2 for axis in axes) < 0.5) + np.random.default_rng(0).integers(1, 50, side)
    content = TASKS[plan.task].encode(ball)
    return pd.DataFrame({name: [content] for name in plan.modalities})


def requirements(model: Model) -> list[str]:
    """Return the libraries that serving needs, in the versions used for training."""
    without = TRAINING if (model.folder / "model.xml").is_file() else {"python"}
    return sorted([f"{name}=={number}" for name, number in model.provenance.versions.items() if name not in without]
                  + [f"{name}=={version(name)}" for name in NEEDED])
