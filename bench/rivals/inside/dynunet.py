"""MONAI's DynUNet with the settings of MONAI's tutorial `modules/dynunet_pipeline` (Project-MONAI/tutorials, b3c6c99).

MONAI has the network and the parts, and no command that trains it; the tutorial is what its users start from. Taken
from it: kernels and strides by spacing and patch, instance normalisation, deep supervision (weights 1, 1/2, …), Dice
and cross-entropy, SGD (Nesterov momentum 0.99, weight decay 3e-5), gradients clipped at 12, the polynomial schedule
(its `-lr_decay`), its augmentation, its sampling, its preprocessing (crop to non-zero, resampling in plane, then
through plane where slices are thick, z-score of the non-zero voxels), and predictions by windows that overlap by half,
with Gaussian weights, averaged over the eight mirrored images. Not taken: validation during the training, whose best
network the tutorial keeps; here the last one counts.

    python dynunet.py train CONFIGURATION MODEL
    python dynunet.py predict CONFIGURATION MODEL OUTPUT

CONFIGURATION is JSON: cases (image and label by name), train and test (names), patch, spacing_mm, batch,
deep_supervision, channels, classes, learning_rate, epochs, steps_per_epoch, seed, threads.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai import transforms as mt
from monai.data import CacheDataset, DataLoader
from monai.inferers import SlidingWindowInferer
from monai.losses import DiceCELoss
from monai.networks.nets import DynUNet
from monai.utils import set_determinism
from skimage.transform import resize

MOMENTUM, WEIGHT_DECAY, CLIP_NORM, POWER = 0.99, 3e-5, 12.0, 0.9
ANISOTROPIC = 3.0
"""Images or networks whose largest spacing is so many times the smallest are resampled in plane first."""
FOREGROUND, BACKGROUND = 2, 1
"""Patches are centred on foreground and background in this proportion (task 04's `train.sh`)."""
ZOOM, ZOOM_CHANCE, CHANCE = (0.9, 1.2), 0.15, 0.15
NOISE_SD, BLUR_SIGMA, SCALE_FACTOR = 0.01, (0.5, 1.15), 0.3


def kernels_and_strides(patch: list[int], spacing: list[float]) -> tuple[list, list]:
    """Return kernel sizes and strides of each level: axes are halved while they are long and not much coarser."""
    sizes, spacings, kernels, strides = list(patch), list(spacing), [], [[1] * len(patch)]
    while True:
        ratios = [value / min(spacings) for value in spacings]
        stride = [2 if ratio <= 2 and size >= 8 else 1 for ratio, size in zip(ratios, sizes, strict=True)]
        if all(value == 1 for value in stride):
            return [*kernels, [3] * len(patch)], strides
        kernels.append([3 if ratio <= 2 else 1 for ratio in ratios])
        strides.append(stride)
        if any(size % by for size, by in zip(sizes, stride, strict=True)):
            raise ValueError(f"Expected a patch that can be halved. Received: {patch}")
        sizes = [size // by for size, by in zip(sizes, stride, strict=True)]
        spacings = [value * by for value, by in zip(spacings, stride, strict=True)]


def network(settings: dict) -> DynUNet:
    """Build the network of a configuration."""
    kernels, strides = kernels_and_strides(settings["patch"], settings["spacing_mm"])
    return DynUNet(spatial_dims=3, in_channels=settings["channels"], out_channels=settings["classes"],
                   kernel_size=kernels, strides=strides, upsample_kernel_size=strides[1:], norm_name="instance",
                   deep_supervision=True, deep_supr_num=min(settings["deep_supervision"], len(strides) - 2))


def read(path: str) -> tuple[np.ndarray, nib.Nifti1Image]:
    """Read a volume (x, y, z) or (x, y, z, channel) as (channel, x, y, z) with its header."""
    image = nib.load(path)
    data = np.asarray(image.dataobj, dtype=np.float32)
    return (data[None] if data.ndim == 3 else np.moveaxis(data, -1, 0)), image


def resampled(volume: np.ndarray, shape: tuple[int, ...], thick: bool, order: int) -> np.ndarray:
    """Resample (x, y, z) to a shape; with thick slices in plane first and then by the nearest slice."""
    if volume.shape == shape:
        return volume
    keep = {"mode": "edge", "clip": True, "anti_aliasing": False, "preserve_range": True}
    if not thick:
        return resize(volume, shape, order=order, **keep)
    flat = np.stack([resize(plane, shape[:2], order=order, **keep) for plane in np.moveaxis(volume, -1, 0)], axis=-1)
    return resize(flat, shape, order=0, **keep)


def prepared(settings: dict, case: str, labelled: bool) -> dict:
    """Crop to the non-zero box, resample and normalise a case.

    Returns:
        image (channel, x, y, z), float32; label (1, x, y, z), uint8, if `labelled`; box, the crop's slices; cropped,
        its shape; thick.
    """
    entry = settings["cases"][case]
    data, header = read(entry["image"])
    found = np.nonzero((data > 0).any(axis=0))
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in found)
    spacing = [float(value) for value in header.header.get_zooms()[:3]]
    target = settings["spacing_mm"]
    data = data[(slice(None), *box)]
    cropped = data.shape[1:]
    shape = tuple(int(n * have / want) for n, have, want in zip(cropped, spacing, target, strict=True)
                  ) if not np.allclose(spacing, target) else cropped
    thick = any(max(mm) / min(mm) >= ANISOTROPIC for mm in (spacing, target))
    data = np.stack([resampled(channel, shape, thick, 3) for channel in data]).astype(np.float32)
    out = {"image": mt.NormalizeIntensity(nonzero=True, channel_wise=True)(data), "box": box, "cropped": cropped,
           "thick": thick}
    if labelled:
        label = np.asarray(nib.load(entry["label"]).dataobj)[box].astype(np.uint8)
        made = np.zeros(shape, np.uint8)
        for value in range(1, settings["classes"]):
            made[resampled((label == value).astype(float), shape, thick, 1) >= 0.5] = value
        out["label"] = made[None]
    return out


def augmentation(patch: list[int]) -> mt.Compose:
    """The tutorial's random transforms, of image and label."""
    both = ["image", "label"]
    return mt.Compose([
        mt.EnsureTyped(both), mt.SpatialPadd(both, patch),
        mt.RandCropByPosNegLabeld(both, "label", patch, pos=FOREGROUND, neg=BACKGROUND, num_samples=1,
                                  image_key="image", image_threshold=0),
        mt.RandZoomd(both, prob=ZOOM_CHANCE, min_zoom=ZOOM[0], max_zoom=ZOOM[1], mode=("trilinear", "nearest"),
                     align_corners=(True, None)),
        mt.RandGaussianNoised("image", prob=CHANCE, std=NOISE_SD),
        mt.RandGaussianSmoothd("image", *[BLUR_SIGMA] * 3, prob=CHANCE),
        mt.RandScaleIntensityd("image", factors=SCALE_FACTOR, prob=CHANCE),
        *(mt.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(3))])


def train(settings: dict, model: Path) -> None:
    """Train the network and save its weights."""
    set_determinism(settings["seed"])
    cases = [{name: value for name, value in prepared(settings, case, True).items() if name in ("image", "label")}
             for case in settings["train"]]
    data = CacheDataset(cases, augmentation(settings["patch"]), cache_rate=0.0)
    loader = DataLoader(data, batch_size=settings["batch"], shuffle=True, drop_last=True, num_workers=0)
    net, epochs = network(settings), settings["epochs"]
    optimizer = torch.optim.SGD(net.parameters(), settings["learning_rate"], MOMENTUM, weight_decay=WEIGHT_DECAY,
                                nesterov=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: (1 - epoch / epochs) ** POWER)
    measure = DiceCELoss(to_onehot_y=True, softmax=True)
    batches = (batch for _ in itertools.count() for batch in loader)
    net.train()
    for epoch in range(epochs):
        losses = []
        for batch in itertools.islice(batches, settings["steps_per_epoch"]):
            optimizer.zero_grad()
            outputs = torch.unbind(net(batch["image"].as_tensor()), dim=1)
            loss = sum(0.5**level * measure(output, batch["label"].as_tensor()) for level, output in enumerate(outputs))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP_NORM)
            optimizer.step()
            losses.append(float(loss.detach()))
        schedule.step()
        print(f"epoch {epoch + 1} of {epochs}, loss {np.mean(losses):.4f}", flush=True)
    torch.save(net.state_dict(), model)


def predict(settings: dict, model: Path, output: Path) -> None:
    """Segment the test cases into `<output>/<case>.nii.gz`."""
    net = network(settings)
    net.load_state_dict(torch.load(model, weights_only=True))
    net.eval()
    inferer = SlidingWindowInferer(settings["patch"], sw_batch_size=4, overlap=0.5, mode="gaussian")
    mirrors = [axes for count in range(4) for axes in itertools.combinations((2, 3, 4), count)]
    for case in settings["test"]:
        made = prepared(settings, case, False)
        image = torch.from_numpy(np.asarray(made["image"]))[None]
        with torch.inference_mode():
            mean = sum(torch.softmax(inferer(image.flip(axes), net), 1).flip(axes) for axes in mirrors) / len(mirrors)
        found = mean[0].argmax(0).numpy()
        inside = np.zeros(made["cropped"], np.uint8)
        for value in range(1, settings["classes"]):
            inside[resampled((found == value).astype(float), made["cropped"], made["thick"], 1) >= 0.5] = value
        header = nib.load(settings["cases"][case]["image"])
        whole = np.zeros(header.shape[:3], np.uint8)
        whole[made["box"]] = inside
        nib.save(nib.Nifti1Image(whole, header.affine), output / f"{case}.nii.gz")


def main() -> None:
    way, configuration, model, *output = sys.argv[1:]
    settings = json.loads(Path(configuration).read_text(encoding="utf-8"))
    torch.set_num_threads(settings["threads"])
    if way == "train":
        train(settings, Path(model))
    else:
        predict(settings, Path(model), Path(output[0]))


if __name__ == "__main__":
    main()
