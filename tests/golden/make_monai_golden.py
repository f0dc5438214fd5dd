"""Make `monai_metrics.json`: MONAI's values for a few shapes, for the tests to hold ours against.

PyTorch brings gigabytes, so this runs in an environment of its own and the tests read the JSON:

    python3 -m venv /tmp/monai && /tmp/monai/bin/pip install torch monai
    /tmp/monai/bin/python tests/golden/make_monai_golden.py

The JSON holds the masks too, packed, so that a test needs no second copy of how a shape is made.
"""

import base64
import json
from pathlib import Path

import monai
import numpy as np
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_dice,
    compute_hausdorff_distance,
    compute_surface_dice,
)


def ball(shape, centre, radii):
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    return (((grid - centre) / radii) ** 2).sum(-1) <= 1


def blob(shape, seed):
    """A rough-edged ellipsoid with a hole and a separate speck."""
    generator = np.random.default_rng(seed)
    noise = np.repeat(np.repeat(np.repeat(generator.normal(size=[-(-n // 3) for n in shape]), 3, 0), 3, 1), 3, 2)
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    centre = np.array(shape) / 2 + generator.uniform(-1.5, 1.5, 3)
    mask = (((grid - centre) / (np.array(shape) / 3)) ** 2).sum(-1) < 1 + 0.25 * noise[tuple(map(slice, shape))]
    mask[tuple(int(c) for c in centre)] = False
    mask[2, 2, 2] = True
    return mask


def cases():
    shape = (24, 28, 20)
    cube = np.zeros(shape, bool)
    cube[5:13, 6:16, 4:12] = True
    yield "cube shifted by 3", cube, np.roll(cube, 3, 0), (1.0, 1.0, 1.0)
    yield "cube shifted, anisotropic", cube, np.roll(cube, (2, -1, 3), (0, 1, 2)), (0.7, 1.3, 2.5)
    yield "cube and itself", cube, cube.copy(), (1.0, 2.0, 3.0)
    corner = np.zeros(shape, bool)
    corner[:9, :7, :6] = True
    yield "touching the image's edge", corner, np.roll(corner, (2, 1, 0), (0, 1, 2)) | corner, (1.0, 1.0, 1.5)
    voxel = np.zeros(shape, bool)
    voxel[8, 9, 7] = True
    yield "one voxel against a cube", cube, voxel, (1.0, 1.0, 1.0)
    yield "ball in a ball", ball(shape, (12, 14, 10), (9, 11, 8)), ball(shape, (12, 13, 10), (5, 5, 4)), (1.0, 0.9, 1.2)
    for seed in range(3):
        yield f"blobs {seed}", blob(shape, seed), blob(shape, seed + 100), (0.9, 0.9, 3.0)


def main():
    rows = []
    for name, reference, prediction, spacing in cases():
        y, y_pred = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (reference, prediction))
        distance = {"y": y, "y_pred": y_pred, "include_background": True, "spacing": spacing}
        rows.append({
            "name": name, "shape": reference.shape, "spacing": spacing,
            "masks": [base64.b64encode(np.packbits(mask).tobytes()).decode() for mask in (reference, prediction)],
            "dice": float(compute_dice(y_pred=y_pred, y=y)),
            "hd95_mm": float(compute_hausdorff_distance(percentile=95, **distance)),
            "asd_mm": float(compute_average_surface_distance(symmetric=True, **distance)),
            "nsd_1mm": float(compute_surface_dice(class_thresholds=[1.0], **distance)),
        })
        print(name, {key: rows[-1][key] for key in ("dice", "hd95_mm", "asd_mm", "nsd_1mm")})
    target = Path(__file__).with_name("monai_metrics.json")
    versions = {"monai": monai.__version__, "torch": torch.__version__.split("+")[0]}
    target.write_text(json.dumps({**versions, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
