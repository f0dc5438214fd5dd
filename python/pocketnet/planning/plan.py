"""Make a plan from a dataset's images and a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ..contracts.fingerprint import Fingerprint
from ..contracts.labels import outputs, overlapping
from ..contracts.manifest import Manifest
from ..contracts.plan import AUTO, PARTIAL, PRECISIONS, Plan
from ..contracts.tasks import TASKS
from ..errors import UsageError
from ..models.network import SIGMOID
from .configuration import Chosen, candidates, in_plane
from .patch import choose_sizes
from .preprocessing import median_shape, resolve
from .recipes import load, patched

REGION_LOSS = "dice_cross_entropy"
"""Default loss for labels that overlap, as in nnU-Net: Dice and binary cross-entropy."""
POSTPROCESSING: dict[str, bool | Literal["auto"]] = {AUTO: AUTO, "largest": True, "none": False}
"""`plan.Inference.largest_component` by the option that sets it."""
MIRRORING: dict[str, bool | Literal["auto"]] = {AUTO: AUTO, "always": True, "never": False}
"""`plan.Inference.mirrored` by the option that sets it."""
WARM_UP_SHARE = 0.1
"""Maximum share of warm-up steps, so that short trainings also reach the full learning rate."""


@dataclass(frozen=True)
class PlanOverrides:
    """The user's values that replace the recipe's; None keeps the recipe's value.

    Attributes:
        patch: Voxels per axis, or one number for all axes. In a classification: rows and columns to which every image
            is resized.
        batch, epochs, steps_per_epoch, accumulate: As in `plan.Training`.
        depth: Number of downsamplings, regardless of the patch.
        feature_maps: As in `plan.NetworkPlan`.
        loss: One of `plan.LOSS_NAMES`; in a classification only `cross_entropy`.
        precision: One of `plan.PRECISIONS`.
        rematerialise: As in `plan.Training`; False keeps the recipe's value.
        postprocessing: A key of `POSTPROCESSING`.
        mirroring: A key of `MIRRORING`.
        configuration: Of `configuration.CONFIGURATIONS`: `auto`, `2d`, `3d`, or `2d,3d`.
    """

    patch: Sequence[int] | None = None
    batch: int | None = None
    epochs: int | None = None
    steps_per_epoch: int | None = None
    depth: int | None = None
    feature_maps: int | None = None
    loss: str | None = None
    precision: str | None = None
    accumulate: int | None = None
    rematerialise: bool = False
    postprocessing: str | None = None
    mirroring: str | None = None
    configuration: str | None = None


def make_plan(manifest: Manifest, fingerprint: Fingerprint, recipe_name: str, *, seed: int,
              recipe: dict[str, Any] | None = None, overrides: PlanOverrides = PlanOverrides()) -> Plan:
    """Make a single plan for a dataset from a recipe: where `make_plans` makes two, that of the first configuration.

    Args:
        manifest: The dataset.
        fingerprint: The measured properties of its images.
        recipe_name: Name of a recipe in `recipes.json`.
        seed: Seed of splits, initial weights, patches and augmentation.
        recipe: Content of the recipe, if it differs from the one in `recipes.json`.
        overrides: The user's values that replace the recipe's.

    Raises:
        UsageError: An override is invalid.
    """
    recipe = recipe or load(recipe_name, manifest.task)
    first = _configurations(manifest, fingerprint, recipe, overrides)[0]
    return _make(manifest, fingerprint, (recipe_name, recipe), seed, overrides,
                 replace(first, beside=None) if first else None)


def make_plans(manifest: Manifest, fingerprint: Fingerprint, recipe_name: str, *, seed: int,
               overrides: PlanOverrides = PlanOverrides()) -> tuple[Plan, ...]:
    """Make the plan of each configuration to train: one, or those of 2D and 3D, which have the same stores.

    The plans differ in network, patch, batch and the axes of augmentation. Arguments and errors are those of
    `make_plan`.
    """
    recipe = load(recipe_name, manifest.task)
    return tuple(_make(manifest, fingerprint, (recipe_name, recipe), seed, overrides, chosen)
                 for chosen in _configurations(manifest, fingerprint, recipe, overrides))


def _configurations(manifest: Manifest, fingerprint: Fingerprint, recipe: dict[str, Any], overrides: PlanOverrides
                    ) -> tuple[Chosen, ...] | tuple[None]:
    """Return the configurations to train; None for a task without."""
    given = overrides.configuration
    if TASKS[manifest.task].resized:
        if given:
            raise UsageError(f"--configuration cannot be '{given}' in a {manifest.task}.", todo="Leave it out.")
        return (None,)
    shape, spacing = median_shape(manifest, fingerprint, resolve(manifest, fingerprint))
    return candidates(shape, spacing, given.split(",") if given else (), recipe["configuration"])


def _make(manifest: Manifest, fingerprint: Fingerprint, named: tuple[str, dict[str, Any]], seed: int,
          overrides: PlanOverrides, chosen: Chosen | None) -> Plan:
    """Make the plan of a configuration; `named` is the recipe's name and content."""
    task = manifest.task
    rules, (recipe_name, recipe) = TASKS[task], named
    if chosen and chosen.through is not None:
        recipe = patched(recipe, recipe.get("2d", {}))
    preprocessing = resolve(manifest, fingerprint)
    training: dict[str, Any] = dict(recipe["training"])
    if overrides.rematerialise:
        training["rematerialise"] = True
    for name in ("batch", "epochs", "steps_per_epoch", "accumulate"):
        value = getattr(overrides, name)
        if value is not None:
            training[name] = _at_least(1, name, value)
    if overrides.feature_maps is not None:
        _at_least(1, "feature_maps", overrides.feature_maps)
    if overrides.depth is not None:
        _at_least(0, "depth", overrides.depth)
    for name, known in (("loss", rules.losses), ("precision", PRECISIONS)):
        value = getattr(overrides, name)
        if value is not None:
            if value not in known:
                raise UsageError(f"--{name} cannot be '{value}' in a {task}.", todo=f"Use {' or '.join(known)}.")
            training[name] = value
    if overlapping(manifest.labels) and overrides.loss is None:
        training["loss"] = REGION_LOSS
    steps = training["epochs"] * training["steps_per_epoch"]
    training["warm_up_steps"] = shortest_warm_up(training.get("warm_up_steps", 0), steps)
    dimensions = manifest.dimensions
    shape, spacing = median_shape(manifest, fingerprint, preprocessing)
    given = _given_patch(overrides.patch, dimensions, chosen)
    given = given or (preprocessing.size if rules.resized else None)
    training["patch"], pooling, batch = choose_sizes(shape, spacing, recipe, given, overrides.depth,
                                                     chosen.through if chosen else None)
    if overrides.batch is None:
        training["batch"] = batch
    if rules.resized:
        preprocessing = replace(preprocessing, size=training["patch"])
    if chosen and chosen.through is not None:
        training["augmentation"] = in_plane(training["augmentation"], chosen.through)
    content = {
        "dataset": manifest.dataset, "recipe": recipe_name, "task": task, "seed": seed,
        "modalities": manifest.modalities, "labels": [label.to_json() for label in manifest.labels],
        "preprocessing": preprocessing.to_json(),
        "network": {
            "dimensions": dimensions, "channels": len(manifest.modalities),
            "classes": output_channels(manifest), "depth": len(pooling),
            "feature_maps": overrides.feature_maps or recipe["feature_maps"],
            "pooling": pooling, "norm": recipe["norm"], "skip": recipe["skip"],
        } | {name: recipe[name] for name in ("activation",) if name in recipe}
        | ({"head": SIGMOID} if overlapping(manifest.labels) else {})
        | ({"kernel": chosen.kernel} if chosen and chosen.through is not None else {}),
        "training": training, "inference": recipe["inference"] | _inference(overrides),
    } | ({"annotation": PARTIAL} if manifest.partly_annotated else {}) \
        | ({"configuration": chosen.record.to_json()} if chosen else {})
    plan = Plan.from_json(content, f"recipe {recipe_name}", "plan")
    plan.network_of(plan.default_arch, "pocket")
    if plan.inference.mirrored is True and not plan.training.augmentation.mirrors:
        raise UsageError(f"The recipe {recipe_name} does not mirror patches in training, so mirroring at inference "
                         "only does harm.", where="--mirroring always",
                         todo="Leave it out, or take a recipe that mirrors.")
    return plan


def shortest_warm_up(wanted: int, steps: int) -> int:
    """Return the number of warm-up steps in a training of `steps` steps: at most `WARM_UP_SHARE` of them."""
    return min(wanted, int(WARM_UP_SHARE * steps))


def _inference(overrides: PlanOverrides) -> dict[str, bool | Literal["auto"]]:
    """Return the user's choices as a part of the plan's inference; empty for the recipe's."""
    out = {}
    for option, wanted, known, field in (
            ("postprocessing", overrides.postprocessing, POSTPROCESSING, "largest_component"),
            ("mirroring", overrides.mirroring, MIRRORING, "mirrored")):
        if wanted is not None and wanted not in known:
            raise UsageError(f"--{option} cannot be '{wanted}'.", todo=f"Use one of: {', '.join(known)}.")
        if wanted is not None:
            out[field] = known[wanted]
    return out


def _given_patch(patch: Sequence[int] | None, dimensions: int, chosen: Chosen | None) -> tuple[int, ...] | None:
    """Return the user's patch with one number per axis; in a 2D plan for volumes, 1 along the axis through planes.

    A 2D plan beside one in 3D takes the sides in the plane of a patch with three numbers.
    """
    if not patch:
        return None
    through = chosen.through if chosen else None
    axes = [axis for axis in range(dimensions) if axis != through]
    sides = list(patch) * len(axes) if len(patch) == 1 else list(patch)
    if through is not None and len(sides) == len(axes):
        sides.insert(through, 1)
    if chosen and chosen.beside and through is not None and len(sides) == dimensions:
        sides[through] = 1
    if len(sides) != dimensions or min(sides) < 1 or (through is not None and sides[through] != 1):
        raise UsageError(f"--patch needs 1 or {len(axes)} positive numbers"
                         f"{' in a 2D plan' if through is not None else ''}. Received: {list(patch)}")
    return tuple(sides)


def _at_least(least: int, name: str, value: int) -> int:
    if value < least:
        raise UsageError(f"--{name.replace('_', '-')} must be at least {least}. Received: {value}")
    return value


def output_channels(manifest: Manifest) -> int:
    """Return the number of output channels of a network; see `contracts.labels.outputs`."""
    return outputs(manifest.labels, manifest.task)


def without_augmentation(plan: Plan) -> Plan:
    """Return the plan with augmentation turned off."""
    training = plan.training
    return replace(plan, training=replace(training, augmentation=training.augmentation.off()))


def check_edited(plan: Plan, manifest: Manifest, where: str | Path) -> None:
    """Check that an edited plan matches the dataset.

    Args:
        plan: The edited plan.
        manifest: The dataset.
        where: The plan's file, for the message.

    Raises:
        UsageError: A value of the plan differs from the manifest; the message names both.
    """
    channels, classes = len(manifest.modalities), output_channels(manifest)
    for name, found, expected in (
        ("task", plan.task, manifest.task),
        ("dataset", plan.dataset, manifest.dataset),
        ("modalities", list(plan.modalities), list(manifest.modalities)),
        ("labels", [label.name for label in plan.labels], [label.name for label in manifest.labels]),
        ("network.channels", plan.network.channels, channels),
        ("network.classes", plan.network.classes, classes),
        ("network.dimensions", plan.network.dimensions, manifest.dimensions),
        ("network.head", plan.network.head, SIGMOID if overlapping(manifest.labels) else None),
        ("annotation", plan.annotation, PARTIAL if manifest.partly_annotated else None),
    ):
        if found != expected:
            raise UsageError(f"The plan's {name} is {found}, the dataset's {expected}.", where=str(where),
                             todo="Edit it, or create the plan again with pocket-plan.")
