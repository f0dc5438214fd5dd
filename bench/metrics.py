"""How long do Dice, HD95 and average surface distance of one BraTS-sized case and label take, beside others' ways?

A real BraTS tumour (240×240×155) against a shifted copy, with and without two specks far away, each way in turn,
several times over, in one process. Run it with `make bench-metrics`, which makes the environment that the others
need; the last line is one JSON object. Ours is all that `pocket-evaluate` measures, distances over voxel sets included.

| way | surface | HD95 | average |
|---|---|---|---|
| ours, SimpleITK, MONAI | voxels with an open face | larger directed percentile | both directed sets pooled |
| DeepMind | elements between voxels, weighted by area | the same, weighted | each direction's |

So SimpleITK's and MONAI's values are to equal ours, DeepMind's only come near.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pocketnet.evaluation.metrics import measure as measure_ours
from pocketnet.preprocessing import geometry

ROOT = Path(os.environ.get("POCKET_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROUNDS = 5
OURS, SIMPLEITK, MONAI, DEEPMIND = "ours", "SimpleITK", "MONAI", "DeepMind surface-distance"
BOUND = {"ratio_to_fastest": 0.5, "largest_difference_to_simpleitk": 1e-3}
Values = tuple[float, float, float]
"""Dice, HD95 in mm, average surface distance in mm."""


def ours(a: np.ndarray, b: np.ndarray, spacing) -> Values:
    """This project's."""
    result = measure_ours(a, b, spacing)
    return result.dice, result.hd95_mm, result.asd_mm


def by_simpleitk(a: np.ndarray, b: np.ndarray, spacing) -> Values:
    """The straightforward way: contours and signed Maurer distance maps of the whole images."""
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (a, b)]
    for image in images:
        image.SetSpacing([float(s) for s in spacing[::-1]])
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    contours = [sitk.LabelContour(image) for image in images]
    maps = [np.abs(sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=True))) for contour in contours]
    on = [sitk.GetArrayFromImage(contour) > 0 for contour in contours]
    distances = maps[1][on[0]], maps[0][on[1]]
    return (overlap.GetDiceCoefficient(), max(float(np.percentile(d, 95)) for d in distances),
            float(np.concatenate(distances).mean()))


def by_monai() -> Callable:
    """MONAI's three functions on tensors (batch, class, x, y, z)."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_dice, compute_hausdorff_distance

    def run(a: np.ndarray, b: np.ndarray, spacing) -> Values:
        true, predicted = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (a, b))
        options = {"include_background": True, "spacing": list(map(float, spacing))}
        return (float(compute_dice(predicted, true, include_background=True)),
                float(compute_hausdorff_distance(predicted, true, percentile=95, **options)),
                float(compute_average_surface_distance(predicted, true, symmetric=True, **options)))

    return run


def by_deepmind() -> Callable:
    """DeepMind's functions; the average of both directions is the mean of its two averages."""
    import surface_distance as sd

    def run(a: np.ndarray, b: np.ndarray, spacing) -> Values:
        distances = sd.compute_surface_distances(a, b, spacing)
        return (float(sd.compute_dice_coefficient(a, b)), float(sd.compute_robust_hausdorff(distances, 95)),
                float(np.mean(sd.compute_average_surface_distance(distances))))

    return run


def measure(name: str, ways: dict[str, Callable], reference, prediction, spacing) -> list[dict]:
    """Every way in turn, `ROUNDS` times after one that doesn't count."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    values = {}
    for number in range(ROUNDS + 1):
        for way, run in ways.items():
            begin = time.perf_counter()
            values[way] = run(reference, prediction, spacing)
            if number:
                seconds[way].append(time.perf_counter() - begin)
    medians = {way: statistics.median(measured) for way, measured in seconds.items()}
    fastest = min(median for way, median in medians.items() if way != OURS)
    return [{"prediction": name, "way": way, "milliseconds": round(1e3 * median, 1),
             "ratio_to_fastest": round(median / fastest, 3),
             **dict(zip(("dice", "hd95_mm", "asd_mm"), values[way], strict=True)),
             "largest_difference_to_simpleitk": max(
                 abs(x - y) for x, y in zip(values[way], values[SIMPLEITK], strict=True))}
            for way, median in medians.items()]


def main() -> None:
    path = ROOT / "BraTS2015_sample" / "brats_2013_pat0003_1" / "brats_2013_pat0003_1_seg.nii.gz"
    if not path.is_file():
        sys.exit(f"no data at {ROOT}; set POCKET_TEST_DATA")
    ways = {OURS: ours, SIMPLEITK: by_simpleitk, MONAI: by_monai(), DEEPMIND: by_deepmind()}
    volume = geometry.read(path, label=True)
    reference = volume.data > 0
    shifted = np.roll(reference, (2, 1, 0), axis=(0, 1, 2))
    specks = shifted.copy()
    specks[2:4, 2:4, 2:4] = specks[-4:-2, -4:-2, -4:-2] = True
    rows = (measure("shifted", ways, reference, shifted, volume.spacing)
            + measure("shifted, two far specks", ways, reference, specks, volume.spacing))
    for row in rows:
        print(f"{row['prediction']:24} {row['way']:26} {row['milliseconds']:9.1f} ms  {row['ratio_to_fastest']:6.2f} "
              f"of the fastest other  Dice {row['dice']:.4f}  HD95 {row['hd95_mm']:.4f}  ASD {row['asd_mm']:.4f}")
    mine = [row for row in rows if row["way"] == OURS]
    print(json.dumps({"figures": rows, "bound": BOUND,
                      "ok": all(row[name] <= bound for row in mine for name, bound in BOUND.items())}))


if __name__ == "__main__":
    main()
