"""How many augmented training patches a second does one core make, beside TorchIO, MONAI and batchgenerators?

Two modalities of a BraTS case; patches of 64×64×64 out of it, each rotated, scaled, deformed, mirrored, blurred,
brightened, stretched in contrast, raised to a power and made noisy, all with probability 1, linear interpolation of the
image and nearest of the label; one process with one thread. Ours reads each patch from its store on disk; the others
have the volume in memory and cut 96×96×96 out of it first, so that as little is invented at a patch's border as by
ours. Run it with `make bench-data`, which makes the environment that the others need; the last line is one JSON object.

| way | rotation, scaling, deformation | the rest |
|---|---|---|
| ours | one resampling of the patch, by Numba | NumPy, SciPy |
| batchgenerators | one resampling of the patch, by SciPy | NumPy, SciPy |
| MONAI | one resampling of the patch, by PyTorch | PyTorch |
| TorchIO | one resampling of what was cut out, by SimpleITK | the same but brightness and contrast, which it lacks |
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                 "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
from pocketnet.contracts.case import Statistics  # noqa: E402
from pocketnet.contracts.plan import AUGMENTATIONS, Augmentation, Plan  # noqa: E402
from pocketnet.preprocessing import store  # noqa: E402
from pocketnet.preprocessing.case import Prepared  # noqa: E402
from pocketnet.training.sampling import PatchSampler  # noqa: E402

ROOT = Path(os.environ.get("POCKET_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
CASE, MODALITIES = "brats_2013_pat0003_1", ("flair", "t1ce")
PATCH, AROUND, ROUNDS, PATCHES = 64, 96, 5, 8
OURS, BATCHGENERATORS, MONAI, TORCHIO = "ours", "batchgenerators", "MONAI", "TorchIO"
BOUND = {"times_the_fastest_other": 2.0}
EVERY = Augmentation(**dict.fromkeys(AUGMENTATIONS, 1.0))
"""Each change always, within the ranges that are its default."""
DEGREES, SCALING, DEFORMATION_MM, CONTROL_POINTS = 15, EVERY.scaling_range, 2.0, 5
Way = Callable[[], tuple[np.ndarray, np.ndarray]]
"""Makes a patch: image (channel last or first) float32 and label."""


def case() -> tuple[np.ndarray, np.ndarray]:
    """The case's modalities (x, y, z, channel), z-scored, and its label map."""
    folder = ROOT / "BraTS2015_sample" / CASE
    image = np.stack([nib.load(folder / f"{CASE}_{name}.nii.gz").get_fdata(dtype=np.float32) for name in MODALITIES],
                     axis=-1)
    inside = image[..., 0] > 0
    image = np.where(inside[..., None], (image - image[inside].mean(0)) / image[inside].std(0), 0)
    return image.astype(np.float32), np.asarray(nib.load(folder / f"{CASE}_seg.nii.gz").dataobj).astype(np.uint8)


def ours(image: np.ndarray, label: np.ndarray, folder: Path) -> Way:
    """This project's sampler, as a training calls it, one patch a batch."""
    statistics_ = (Statistics(0.0, 1.0),) * image.shape[-1]
    prepared = Prepared(image, (1.0, 1.0, 1.0), image.shape[:3], tuple((0, n) for n in image.shape[:3]), statistics_)
    written = store.write_store(folder, CASE, list(MODALITIES), prepared, label, {"tumour": 1})
    plan = Plan.from_json({
        "dataset": "brats", "recipe": "bench", "seed": 1, "modalities": MODALITIES,
        "labels": [{"name": "tumour", "value": 1, "source_values": [1]}], "inference": {
            "overlap": 0.5, "gaussian_sigma": 0.125, "largest_component": False},
        "preprocessing": {"crop": "none", "spacing_mm": None, "normalisation": "zscore"},
        "network": {"dimensions": 3, "channels": 2, "classes": 2, "depth": 1, "feature_maps": 8, "pooling": [[2] * 3],
                    "norm": "batch", "skip": "concatenate"},
        "training": {"patch": [PATCH] * 3, "batch": 1, "epochs": 1, "steps_per_epoch": 1, "loss": "l2_dice",
                     "optimizer": "adam", "learning_rate": 1e-3, "plateau_factor": 1, "plateau_patience": 0,
                     "clip_norm": None, "foreground_fraction": 0.0, "augmentation": EVERY.to_json()}})
    sampler = PatchSampler(plan, {CASE: store.Store(written)}, [CASE], [], fold=0)
    step = iter(range(1, 10**9))
    return lambda: sampler.batch(next(step))


def cut_out(rng: np.random.Generator, image: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A random part of the volume, of `AROUND` voxels per axis, channel first: (channel, x, y, z) and (1, x, y, z)."""
    start = [int(rng.integers(n - AROUND + 1)) for n in label.shape]
    part = tuple(slice(s, s + AROUND) for s in start)
    return np.moveaxis(image[part], -1, 0), label[part][None]


def by_batchgenerators(image: np.ndarray, label: np.ndarray) -> Way:
    """nnU-Net's library of its first version."""
    from batchgenerators.transforms.abstract_transforms import Compose
    from batchgenerators.transforms.color_transforms import (
        BrightnessMultiplicativeTransform,
        ContrastAugmentationTransform,
        GammaTransform,
    )
    from batchgenerators.transforms.noise_transforms import GaussianBlurTransform, GaussianNoiseTransform
    from batchgenerators.transforms.spatial_transforms import MirrorTransform, SpatialTransform_2

    turn = (-np.deg2rad(DEGREES), np.deg2rad(DEGREES))
    change = Compose([
        SpatialTransform_2([PATCH] * 3, do_elastic_deform=True, deformation_scale=(0.1, 0.1), do_rotation=True,
                           angle_x=turn, angle_y=turn, angle_z=turn, do_scale=True, scale=SCALING,
                           border_mode_data="constant", order_data=1, order_seg=0, random_crop=False),
        MirrorTransform(axes=(0, 1, 2)),
        GaussianBlurTransform(EVERY.blur_sigma, p_per_sample=1, p_per_channel=1),
        BrightnessMultiplicativeTransform(EVERY.brightness_range, p_per_sample=1),
        ContrastAugmentationTransform(EVERY.contrast_range, p_per_sample=1),
        GammaTransform(EVERY.gamma_range, invert_image=False, per_channel=True, retain_stats=True, p_per_sample=1),
        GaussianNoiseTransform((0, EVERY.noise_sd[1]), p_per_sample=1)])
    rng = np.random.default_rng(1)

    def make():
        data, seg = cut_out(rng, image, label)
        done = change(data=data[None], seg=seg[None])
        return done["data"][0].astype(np.float32), done["seg"][0].astype(np.uint8)
    return make


def by_monai(image: np.ndarray, label: np.ndarray) -> Way:
    """MONAI's dictionary transforms on PyTorch tensors."""
    import torch
    from monai import transforms as mt

    torch.set_num_threads(1)
    both, turn = ["image", "label"], [np.deg2rad(DEGREES)] * 3
    factors = [value - 1 for value in EVERY.brightness_range]
    change = mt.Compose([
        mt.Rand3DElasticd(both, sigma_range=(5, 7), magnitude_range=(50, 100), prob=1, spatial_size=[PATCH] * 3,
                          rotate_range=turn, scale_range=[(1 / SCALING[1] - 1, 1 / SCALING[0] - 1)] * 3,
                          mode=["bilinear", "nearest"], padding_mode="zeros"),
        *(mt.RandFlipd(both, prob=1, spatial_axis=axis) for axis in range(3)),
        mt.RandGaussianSmoothd("image", *[EVERY.blur_sigma] * 3, prob=1),
        mt.RandScaleIntensityd("image", factors=factors, prob=1, channel_wise=True),
        mt.RandScaleIntensityFixedMeand("image", factors=factors, prob=1, preserve_range=True),
        mt.RandAdjustContrastd("image", prob=1, gamma=EVERY.gamma_range, retain_stats=True),
        mt.RandGaussianNoised("image", prob=1, std=EVERY.noise_sd[1])])
    rng = np.random.default_rng(1)

    def make():
        data, seg = cut_out(rng, image, label)
        done = change({"image": torch.from_numpy(np.ascontiguousarray(data)),
                       "label": torch.from_numpy(np.ascontiguousarray(seg))})
        return np.asarray(done["image"]), np.asarray(done["label"]).astype(np.uint8)
    return make


def by_torchio(image: np.ndarray, label: np.ndarray) -> Way:
    """TorchIO's transforms; it has no stretch of contrast and no multiplication."""
    import torch
    import torchio as tio

    torch.set_num_threads(1)
    change = tio.Compose([
        tio.RandomAffineElasticDeformation(
            affine_kwargs={"scales": SCALING, "degrees": DEGREES, "isotropic": True, "default_pad_value": 0},
            elastic_kwargs={"num_control_points": CONTROL_POINTS + 2, "max_displacement": 2 * DEFORMATION_MM}),
        tio.CropOrPad(PATCH),
        tio.RandomFlip(axes=(0, 1, 2), flip_probability=1),
        tio.RandomBlur(std=EVERY.blur_sigma),
        tio.RandomGamma(log_gamma=tuple(np.log(EVERY.gamma_range))),
        tio.RandomNoise(std=EVERY.noise_sd)])
    rng = np.random.default_rng(1)

    def make():
        data, seg = cut_out(rng, image, label)
        subject = tio.Subject(image=tio.ScalarImage(tensor=torch.from_numpy(np.ascontiguousarray(data))),
                              label=tio.LabelMap(tensor=torch.from_numpy(np.ascontiguousarray(seg))))
        done = change(subject)
        return done["image"].data.numpy(), done["label"].data.numpy().astype(np.uint8)
    return make


def measure(ways: dict[str, Way]) -> list[dict]:
    """Every way in turn, `ROUNDS` times `PATCHES` patches, after a patch that doesn't count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for name, make in ways.items():
        image, label = make()
        assert image.size == 2 * PATCH**3 and label.size == PATCH**3, name
    for _ in range(ROUNDS):
        for name, make in ways.items():
            begin = time.process_time()
            for _ in range(PATCHES):
                make()
            seconds[name].append((time.process_time() - begin) / PATCHES)
    medians = {name: statistics.median(measured) for name, measured in seconds.items()}
    fastest = min(median for name, median in medians.items() if name != OURS)
    return [{"way": name, "patches_per_second_and_core": round(1 / median, 2), "milliseconds": round(1e3 * median, 1),
             "times_the_fastest_other": round(fastest / median, 2)} for name, median in medians.items()]


def main() -> None:
    if not (ROOT / "BraTS2015_sample" / CASE).is_dir():
        sys.exit(f"no data at {ROOT}; set POCKET_TEST_DATA")
    image, label = case()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure({OURS: ours(image, label, Path(folder)), BATCHGENERATORS: by_batchgenerators(image, label),
                        MONAI: by_monai(image, label), TORCHIO: by_torchio(image, label)})
    for row in rows:
        print(f"{row['way']:18} {row['patches_per_second_and_core']:8.2f} patches a second and core  "
              f"{row['milliseconds']:8.1f} ms  {row['times_the_fastest_other']:5.2f} times the fastest other")
    ours_ = next(row for row in rows if row["way"] == OURS)
    print(json.dumps({"figures": rows, "bound": BOUND,
                      "ok": all(ours_[name] >= bound for name, bound in BOUND.items())}))


if __name__ == "__main__":
    main()
