"""Write a model folder as an MLflow model: code (`tracking/pyfunc.py`) and files, nothing pickled."""

from __future__ import annotations

import gzip
import io
import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import numpy as np

from ..contracts.labels import CLASSIFICATION
from ..outputs import MARKER, PART
from ..training.model_folder import write_checksums
from .records import Model

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import ModelSignature

    from ..contracts.plan import Plan

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = {"last.keras", "best.keras", MARKER}  # not needed for serving; the checkpoints are as large as the model
EXAMPLE = 32  # maximum voxels or pixels per side
NEEDED = ("mlflow", "pandas", "jsonschema", "pillow")  # in addition to the libraries in the provenance
TRAINING = {"python", "tensorflow", "keras"}  # not needed with OpenVINO


def write_model(model: Model, target: Path) -> None:
    """Write an MLflow model that `mlflow models serve --env-manager local` serves.

    Args:
        model: The model, with its plan.
        target: Folder to create.
    """
    from mlflow.pyfunc import save_model

    with TemporaryDirectory(prefix=PART) as folder:
        copy = Path(folder) / "model_folder"
        shutil.copytree(model.folder, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        write_checksums(copy)
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

    inputs = Schema([ColSpec("binary", name) for name in cast("Plan", model.plan).modalities])
    if _classifies(model):
        names = [label.name for label in cast("Plan", model.plan).labels]
        return ModelSignature(inputs, Schema([ColSpec("double", name) for name in names]))
    return ModelSignature(inputs, Schema([ColSpec("binary", "segmentation")]))


def example(model: Model) -> pd.DataFrame:
    """Return a synthetic case as input example: a bright ball in noise. No patient data is stored."""
    import pandas as pd

    side = [min(EXAMPLE, n) for n in cast("Plan", model.plan).training.patch]
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in side), indexing="ij")
    ball = 100 * (sum(axis**2 for axis in axes) < 0.5) + np.random.default_rng(0).integers(1, 50, side)
    content = _picture(ball) if _classifies(model) else _volume(ball)
    return pd.DataFrame({name: [content] for name in cast("Plan", model.plan).modalities})


def requirements(model: Model) -> list[str]:
    """Return the libraries that serving needs, in the versions used for training."""
    without = TRAINING if (model.folder / "model.xml").is_file() else {"python"}
    return sorted([f"{name}=={number}" for name, number in model.provenance.versions.items() if name not in without]
                  + [f"{name}=={version(name)}" for name in NEEDED])


def _classifies(model: Model) -> bool:
    return cast("Plan", model.plan).task == CLASSIFICATION


def _volume(array: np.ndarray) -> bytes:
    import nibabel as nib

    return gzip.compress(nib.Nifti1Image(array.astype(np.uint8), np.eye(4)).to_bytes(), mtime=0)


def _picture(array: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).save(out, format="PNG")
    return out.getvalue()
