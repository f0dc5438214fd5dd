"""The code that MLflow runs to serve a model folder: `tracking.model` logs this file, nothing is pickled.

A request is a table with a column a modality (a row a case), each cell a file's content: NIfTI (`.nii` or `.nii.gz`),
of a classifier PNG or JPEG. JSON carries it in base64. The answer has a row a case: `segmentation`, a `.nii.gz` in the
first image's geometry, or a column with a probability a class.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel  # type: ignore[attr-defined]  # MLflow does not list it


class PocketModel(PythonModel):
    """A model folder behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        """Open the model folder that was logged as the artifact `model_folder`."""
        import json

        folder = Path(context.artifacts["model_folder"])
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        self.modalities = plan["modalities"]
        self.classifies = plan.get("task") == "classification"
        self.network: Any
        if self.classifies:
            from pocketnet.inference.classifier import Classifier

            self.network = Classifier.load(folder)
        else:
            from pocketnet import Predictor

            self.network = Predictor.load(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Segment or classify.

        Args:
            context: MLflow's; not used.
            model_input: A column a modality, a row a case, cells of bytes.
            params: MLflow's; not used.

        Raises:
            DataError: An image cannot be read, or does not fit the others or the model.
        """
        return pd.DataFrame([self._case([bytes(row[name]) for name in self.modalities])
                             for row in model_input.to_dict("records")])

    def _case(self, contents: list[bytes]) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / f"image{index}{self._suffix(content)}" for index, content in enumerate(contents)]
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content)
            if self.classifies:
                return self.network.classify_files(paths)
            output = Path(folder) / "segmentation.nii.gz"
            self.network.segment_files(paths, output)
            return {"segmentation": output.read_bytes()}

    def _suffix(self, content: bytes) -> str:
        if self.classifies:
            return ".png" if content.startswith(b"\x89PNG") else ".jpg"
        return ".nii.gz" if content.startswith(b"\x1f\x8b") else ".nii"


set_model(PocketModel())
