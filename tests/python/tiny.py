"""A tiny dataset of stores, a plan and splits, made in a moment: for tests of training and inference."""

from pathlib import Path

import numpy as np
from pocketnet.contracts.manifest import Manifest
from pocketnet.contracts.plan import Plan, Preprocessing
from pocketnet.contracts.splits import Splits
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.case import Prepared
from pocketnet.preprocessing.scan import PreparedScan, scan_of

VALUES = (0, 65537, 614454277)
"""Values in the label files by class; 614454277 is an id of the Allen atlas."""
LABELS = [{"name": "ball", "value": 1, "source_values": [VALUES[1]]},
          {"name": "core", "value": 2, "source_values": [VALUES[2]]}]

PREPROCESSING = Preprocessing("nonzero", None, "zscore")


def plan(depth: int = 2, **training) -> Plan:
    """A plan for `volume`s: 2 modalities, patch 16, 4 feature maps. With depth 1, a training starts in less time."""
    return Plan.from_json({
        "dataset": "balls", "recipe": "quick", "seed": 7, "modalities": ["t1", "t2"], "labels": LABELS,
        "preprocessing": {"crop": "nonzero", "spacing_mm": None, "normalisation": "zscore"},
        "network": {"dimensions": 3, "channels": 2, "classes": 3, "depth": depth, "feature_maps": 4,
                    "pooling": [[2, 2, 2]] * depth, "norm": "batch", "skip": "concatenate"},
        "training": {"patch": [16, 16, 16], "batch": 2, "epochs": 3, "steps_per_epoch": 4, "loss": "l2_dice",
                     "optimizer": "adam", "learning_rate": 0.01, "plateau_factor": 0.5, "plateau_patience": 0,
                     "clip_norm": 1.0, "foreground_fraction": 0.5,
                     "augmentation": {"flip": 0.5, "noise": 0.5, "blur": 0.5, "noise_sd": [0.0, 0.1],
                                      "blur_sigma": [0.5, 1.0]}, **training},
        "inference": {"overlap": 0.5, "gaussian_sigma": 0.125, "largest_component": True},
    })


def volume(seed: int, shape=(20, 12, 24)) -> tuple[np.ndarray, np.ndarray]:
    """A noisy ball with a bright core: image (x, y, z, 2) float32 without zeros, and its label map uint8."""
    rng = np.random.default_rng(seed)
    centre = [n / 2 + rng.uniform(-2, 2) for n in shape]
    radius = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)))
    label = np.where(radius < 2.5, 2, np.where(radius < 5, 1, 0)).astype(np.uint8)
    image = 100 + 60 * (label > 0) + 80 * (label == 2) + rng.normal(0, 10, shape)
    return np.stack([image, 300 - image], axis=-1).astype(np.float32), label


def prepared(image: np.ndarray, spacing=(1, 1, 1), preprocessing: Preprocessing = PREPROCESSING) -> Prepared:
    """An image (x, y, z, channel), preprocessed."""
    return PreparedScan(scan_of(image, spacing), preprocessing).compute()


def dataset(folder: Path, cases: int = 6, affine=None) -> Manifest:
    """Write NIfTI cases and return their manifest. The label maps have large values, which every step has to keep."""
    grid_affine = np.eye(4) if affine is None else affine
    entries = []
    for index in range(cases):
        name = f"case_{index}"
        image, label = volume(index)
        source = geometry.Grid(image.shape[:3], grid_affine)
        for channel, modality in enumerate(("t1", "t2")):
            geometry.write_image(folder / f"{name}_{modality}.nii.gz", image[..., channel], source)
        geometry.write_image(folder / f"{name}_seg.nii.gz", np.array(VALUES, np.int32)[label], source)
        entries.append({"case": name, "images": [f"{name}_t1.nii.gz", f"{name}_t2.nii.gz"],
                        "label": f"{name}_seg.nii.gz", "sha256": {}})
    return Manifest.from_json({
        "dataset": "balls", "layout": "brats", "dimensions": 3, "modalities": ["t1", "t2"], "labels": LABELS,
        "preprocessing": {"crop": "nonzero", "spacing_mm": None, "normalisation": "zscore"}, "cases": entries})


def splits(cases: int = 6) -> Splits:
    """Two folds over `dataset`'s cases."""
    names = [f"case_{i}" for i in range(cases)]
    constants = [{"modality": m, "mean": 160.0, "std": 50.0, "p0_5": 60.0, "p99_5": 260.0} for m in ("t1", "t2")]
    return Splits.from_json({"dataset": "balls", "rule": "by hand", "seed": 7, "folds": [
        {"fold": 0, "train": names[2:-1], "validation": names[-1:], "test": names[:2], "intensity": constants},
        {"fold": 1, "train": names[:3], "validation": names[3:4], "test": names[4:], "intensity": constants}]})
