"""Code that MLflow runs to serve a model folder: `tracking.model` logs this file, nothing is pickled.

A request is a table with one row per case and one column per modality. Each cell is the content of a file: NIfTI
(`.nii` or `.nii.gz`), or PNG or JPEG for a classifier; in JSON it is base64. The response has one row per case, with
the column `segmentation` (a `.nii.gz` in the first image's geometry) or one probability column per class.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel  # type: ignore[attr-defined]  # missing in MLflow's __all__


class PocketModel(PythonModel):
    """MLflow model that wraps a model folder."""

    def load_context(self, context: Any) -> None:
        """Load the model folder from the artifact `model_folder`."""
        from pocketnet.contracts.tasks import DEFAULT
        from pocketnet.inference.tasks import TASKS
        from pocketnet.text import parse_json

        folder = Path(context.artifacts["model_folder"])
        plan = parse_json((folder / "plan.json").read_bytes())
        self.modalities = plan["modalities"]
        self.task = TASKS[plan.get("task", DEFAULT)]
        self.network = self.task.load(folder)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Segment or classify the cases of a request.

        Args:
            context: Unused.
            model_input: One row per case, one column per modality; cells are bytes.
            params: Unused.

        Raises:
            DataError: If an image cannot be read, or does not match the other images or the model.
        """
        return pd.DataFrame([self._case([bytes(row[name]) for name in self.modalities])
                             for row in model_input.to_dict("records")])

    def _case(self, contents: list[bytes]) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            paths = [Path(folder) / f"image{index}{self.task.suffix(content)}"
                     for index, content in enumerate(contents)]
            for path, content in zip(paths, contents, strict=True):
                path.write_bytes(content)
            return self.task.answer(self.network, paths)


set_model(PocketModel())
