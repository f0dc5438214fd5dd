"""The datasets, and the folds that every tool gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np


@dataclass(frozen=True)
class Dataset:
    """A dataset in the decathlon layout.

    Attributes:
        name: Its name here and in nnU-Net.
        folder: Its folder in the folder of all data.
        number: Its number in nnU-Net.
        check: What `pocket-check` is told of it.
        plan: What `pocket-plan` is told of it, where the folder of the dataset is `{}`.
        deep_supervision: Outputs below the finest that DynUNet's loss sees, if the tutorial names this dataset or one
            like it.
        budgets: Core-minutes a fold.
        group: Pattern of what cases belong to, for intervals; None: every case stands alone.
    """

    name: str
    folder: str
    number: int
    check: tuple[str, ...]
    plan: tuple[str, ...]
    deep_supervision: int
    budgets: tuple[int, ...]
    group: str | None = None


DATASETS = {one.name: one for one in (
    Dataset("hippocampus", "Task04_Hippocampus", 4, ("--dataset", "hippocampus"), (), 1, (10, 30, 60)),
    Dataset("acdc", "Task27_ACDC", 27, ("--dataset", "decathlon", "--group", r"(patient\d+)_"),
            ("--splits", "{}/splits_nnunet.json", "--configuration", "2d"), 3, (60,), r"(patient\d+)_"))}


@dataclass(frozen=True)
class Data:
    """A dataset on this machine.

    Attributes:
        dataset: What it is.
        folder: Where it is.
        labels: Names of the labels, from 1 on.
        channels: Number of modalities.
    """

    dataset: Dataset
    folder: Path
    labels: tuple[str, ...]
    channels: int

    @classmethod
    def at(cls, root: Path, name: str) -> Data:
        """Find a dataset in the folder of all data."""
        dataset = DATASETS[name]
        index = json.loads((root / dataset.folder / "dataset.json").read_text(encoding="utf-8"))
        labels = tuple(index["labels"][str(value)] for value in range(1, len(index["labels"])))
        return cls(dataset, root / dataset.folder, labels, len(index["modality"]))

    @property
    def cases(self) -> list[str]:
        """All labelled cases, sorted."""
        return sorted(path.name.removesuffix(".nii.gz") for path in (self.folder / "labelsTr").glob("[!.]*.nii.gz"))

    def image(self, case: str) -> Path:
        """Path of a case's image."""
        return self.folder / "imagesTr" / f"{case}.nii.gz"

    def label(self, case: str) -> Path:
        """Path of a case's label map."""
        return self.folder / "labelsTr" / f"{case}.nii.gz"


@dataclass(frozen=True)
class Fold:
    """Cases to train on, and test cases; a tool takes its validation cases from the first."""

    train: tuple[str, ...]
    test: tuple[str, ...]


def folds(splits: Path) -> list[Fold]:
    """Read the folds from our `splits.json`."""
    content = json.loads(splits.read_text(encoding="utf-8"))
    return [Fold(tuple(sorted(fold["train"] + fold["validation"])), tuple(sorted(fold["test"])))
            for fold in content["folds"]]


def scores(data: Data, cases: tuple[str, ...], predictions: Path) -> dict[str, dict[str, list[float | None]]]:
    """Measure predictions against the references with this project's metrics.

    Args:
        data: The dataset.
        cases: The test cases.
        predictions: Folder of `<case>.nii.gz`.

    Returns:
        By metric (dice, hd95_mm, nsd_1mm) and label, a value for each case; None if neither mask has the label.

    Raises:
        FileNotFoundError: A prediction is missing.
        ValueError: A prediction has another grid than its reference.
    """
    from pocketnet.evaluation.metrics import measure

    metrics = ("dice", "hd95_mm", "nsd_1mm")
    found: dict[str, dict[str, list[float | None]]] = {metric: {name: [] for name in data.labels} for metric in metrics}
    for case in cases:
        reference, prediction = nib.load(data.label(case)), nib.load(predictions / f"{case}.nii.gz")
        if reference.shape != prediction.shape or not np.allclose(reference.affine, prediction.affine, atol=1e-3):
            raise ValueError(f"Expected the grid of the reference. Received: {predictions / case}.nii.gz")
        truth, made = (np.asarray(one.dataobj).astype(np.uint8) for one in (reference, prediction))
        for value, name in enumerate(data.labels, 1):
            measured = measure(truth == value, made == value, reference.header.get_zooms()[:3])
            for metric in metrics:
                number = getattr(measured, metric)
                found[metric][name].append(None if np.isnan(number) else round(number, 5))
    return found
