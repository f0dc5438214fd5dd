"""How fast are HD95 and average surface distance, beside the ways by distance maps?

A real BraTS tumour against a shifted copy, with and without two specks far away, each way in turn and several
times over. Figures are ratios to ours in the same run. Run it with `make bench-metrics`; the last line is one
JSON object.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pocketnet.evaluation.metrics import directed_distances, surface
from pocketnet.preprocessing import geometry
from scipy import ndimage

ROOT = Path(os.environ.get("POCKET_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
ROUNDS = 5
OURS = "ours (k-d tree)"


def box_of_both(a: np.ndarray, b: np.ndarray) -> tuple[slice, ...]:
    """The box that holds both masks and a voxel around."""
    both = ndimage.find_objects((a | b).astype(np.uint8))[0]
    return tuple(slice(max(0, s.start - 1), s.stop + 1) for s in both)


def by_scipy(a: np.ndarray, b: np.ndarray, spacing) -> tuple[np.ndarray, np.ndarray]:
    """Directed surface distances in mm by scipy's Euclidean distance transform."""
    box = box_of_both(a, b)
    on = [surface(mask[box]) for mask in (a, b)]
    maps = [ndimage.distance_transform_edt(~mask, sampling=spacing) for mask in on]
    return maps[1][on[0]], maps[0][on[1]]


def by_simpleitk(a: np.ndarray, b: np.ndarray, spacing) -> tuple[np.ndarray, np.ndarray]:
    """The same by SimpleITK's contours and Maurer's distance map."""
    box = box_of_both(a, b)
    images = [sitk.GetImageFromArray(mask[box].astype(np.uint8)) for mask in (a, b)]
    for image in images:
        image.SetSpacing([float(s) for s in spacing[::-1]])
    contours = [sitk.LabelContour(image) for image in images]
    maps = [np.abs(sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=True))) for contour in contours]
    on = [sitk.GetArrayFromImage(contour) > 0 for contour in contours]
    return maps[1][on[0]], maps[0][on[1]]


WAYS = {OURS: directed_distances, "SimpleITK SignedMaurer": by_simpleitk, "scipy EDT": by_scipy}


def summary(distances: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """HD95 and average surface distance in mm."""
    return max(float(np.percentile(d, 95)) for d in distances), float(np.concatenate(distances).mean())


def measure(name: str, reference: np.ndarray, prediction: np.ndarray, spacing) -> list[dict]:
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    values = {}
    for _ in range(ROUNDS):
        for way, run in WAYS.items():
            begin = time.perf_counter()
            values[way] = summary(run(reference, prediction, spacing))
            seconds[way].append(time.perf_counter() - begin)
    medians = {way: statistics.median(measured) for way, measured in seconds.items()}
    return [{"prediction": name, "way": way, "milliseconds": round(1e3 * median, 1),
             "ratio": round(median / medians[OURS], 2),
             "largest_difference_mm": max(abs(a - b) for a, b in zip(values[way], values[OURS], strict=True))}
            for way, median in medians.items()]


def main() -> None:
    path = ROOT / "BraTS2015_sample" / "brats_2013_pat0003_1" / "brats_2013_pat0003_1_seg.nii.gz"
    if not path.is_file():
        sys.exit(f"no data at {ROOT}; set POCKET_TEST_DATA")
    volume = geometry.read(path, label=True)
    reference = volume.data > 0
    shifted = np.roll(reference, (2, 1, 0), axis=(0, 1, 2))
    specks = shifted.copy()
    specks[2:4, 2:4, 2:4] = specks[-4:-2, -4:-2, -4:-2] = True
    rows = (measure("shifted", reference, shifted, volume.spacing)
            + measure("shifted, two far specks", reference, specks, volume.spacing))
    for row in rows:
        print(f"{row['prediction']:24} {row['way']:24} {row['milliseconds']:9.1f} ms  {row['ratio']:6.2f} x ours")
    others = [row for row in rows if row["way"] != OURS]
    print(json.dumps({"figures": rows, "bound": {"ratio": 1.0, "largest_difference_mm": 1e-3},
                      "ok": all(r["ratio"] >= 1 and r["largest_difference_mm"] <= 1e-3 for r in others)}))


if __name__ == "__main__":
    main()
