"""Choosing a plan: the patch that suits the images, the depth that suits the patch, the recipe's rest."""

from __future__ import annotations

from typing import Any

from ..config import Plan, from_json
from ..errors import UsageError
from .recipes import load

SMALLEST_SIDE = 4
"""Voxels per axis at the coarsest depth: 128 halved five times (architectures document)."""


def choose_patch(median_shape: list[float], side: int, voxels: int, depth: int) -> tuple[int, ...]:
    """The patch for images of `median_shape` voxels: their shape, within a side and a number of voxels.

    Starts from the median shape after cropping and resampling, rounded to what `depth` downsamplings divide,
    and takes from the longest axis until at most `voxels` are left.
    """
    step = 2**depth
    shape = [min(side // step * step, max(step, round(size / step) * step)) for size in median_shape]
    while _product(shape) > voxels and max(shape) > step:
        longest = shape.index(max(shape))
        shape[longest] -= step
    return tuple(shape)


def choose_depth(patch: tuple[int, ...], most: int) -> int:
    """Downsamplings such that every side can be halved and keeps at least `SMALLEST_SIDE` voxels."""
    depth = 0
    while depth < most and all(side % 2 ** (depth + 1) == 0 and side // 2 ** (depth + 1) >= SMALLEST_SIDE
                               for side in patch):
        depth += 1
    return depth


def _product(values) -> int:
    product = 1
    for value in values:
        product *= value
    return product


def make_plan(manifest: dict, fingerprint: dict, recipe_name: str, *, seed: int,
              patch: list[int] | None = None, batch: int | None = None, epochs: int | None = None,
              steps_per_epoch: int | None = None, depth: int | None = None,
              feature_maps: int | None = None) -> Plan:
    """Make a plan for a dataset by a recipe; options given override the recipe's.

    Args:
        manifest: `manifest.json`.
        fingerprint: `fingerprint.json`.
        recipe_name: A recipe of `recipes.json`.
        seed: Of splits, initial weights, patches and augmentation.
        patch: Voxels per axis; one number stands for all axes.

    Raises:
        UsageError: An option that nothing can be built from.
    """
    recipe = load(recipe_name)
    preprocessing = manifest["preprocessing"]
    training: dict[str, Any] = dict(recipe["training"])
    for name, value in (("batch", batch), ("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
        if value is not None:
            if value < 1:
                raise UsageError(f"--{name.replace('_', '-')} must be at least 1. Received: {value}")
            training[name] = value
    dimensions = manifest["dimensions"]
    if patch:
        if len(patch) == 1:
            patch = patch * dimensions
        if len(patch) != dimensions or min(patch) < 1:
            raise UsageError(f"--patch needs 1 or {dimensions} positive numbers. Received: {patch}")
        training["patch"] = tuple(patch)
    else:
        shape = _shape_at(fingerprint["summary"], preprocessing)
        smallest = min(shape)
        wanted = recipe["depth"] if depth is None else depth
        while depth is None and wanted > 0 and 2**wanted * SMALLEST_SIDE > max(smallest, SMALLEST_SIDE) * 1.5:
            wanted -= 1
        training["patch"] = choose_patch(shape, recipe["patch_side"], recipe["patch_voxels"], wanted)
    if depth is None:
        depth = choose_depth(training["patch"], recipe["depth"])
    value = {
        "dataset": manifest["dataset"], "recipe": recipe_name, "seed": seed,
        "modalities": manifest["modalities"], "labels": manifest["labels"],
        "preprocessing": preprocessing,
        "network": {
            "dimensions": dimensions, "channels": len(manifest["modalities"]),
            "classes": len(manifest["labels"]) + 1, "depth": depth,
            "feature_maps": feature_maps or recipe["feature_maps"],
            "pooling": [[2] * dimensions] * depth, "norm": recipe["norm"], "skip": recipe["skip"],
        },
        "training": training, "inference": recipe["inference"],
    }
    plan = from_json(Plan, value)
    plan.network.network("unet", "pocket").check_patch(plan.training.patch)
    return plan


def _shape_at(summary: dict, preprocessing: dict) -> list[float]:
    """The median case's shape in voxels after cropping and resampling."""
    shape = summary["cropped_shape" if preprocessing["crop"] == "nonzero" else "shape"]
    target = preprocessing["spacing_mm"] or summary["spacing_mm"]
    return [n * s / t for n, s, t in zip(shape, summary["spacing_mm"], target, strict=True)]


def check_edited(plan: Plan, manifest: dict, where) -> None:
    """Refuse an edited plan that is not for this dataset.

    Raises:
        UsageError: Names what the plan says and what the manifest has.
    """
    channels, classes = len(manifest["modalities"]), len(manifest["labels"]) + 1
    for name, found, expected in (
        ("dataset", plan.dataset, manifest["dataset"]),
        ("modalities", list(plan.modalities), manifest["modalities"]),
        ("labels", [label.name for label in plan.labels], [label["name"] for label in manifest["labels"]]),
        ("network.channels", plan.network.channels, channels),
        ("network.classes", plan.network.classes, classes),
        ("network.dimensions", plan.network.dimensions, manifest["dimensions"]),
    ):
        if found != expected:
            raise UsageError(f"The plan's {name} is {found}, the dataset's {expected}.", where=str(where),
                             todo="Edit it, or make the plan anew with pocket-plan.")
