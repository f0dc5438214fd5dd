"""Combine predictions of a window: the mean over models and mirrored images, and their disagreement."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np

from ..contracts.case import Statistics
from ..contracts.labels import overlapping
from ..contracts.plan import Plan
from ..errors import UsageError
from ..training.model_folder import ModelFolder
from .engines import Engine
from .threads import Share, alone


class Member:
    """One model's share of a prediction.

    Args:
        model: Its folder, which defines the normalisation.
        engine: Runs its network.
        mirrors: Sets of axes to mirror the image along, `()` for none; the predictions are averaged.
        of: Total number of predictions of all members. If greater than 1, a last channel holds their entropy in nats.
        share: Distributes work over threads.
        missing: Channels of modalities that the case lacks; they are 0 after normalisation.
    """

    def __init__(self, model: ModelFolder, engine: Engine, mirrors: Sequence[tuple[int, ...]], of: int,
                 share: Share = alone, missing: Sequence[int] = ()):
        self._missing = list(missing)
        self.engine, self.of, self._share = engine, of, share
        self._normalise, self._mirrors = model.normaliser, mirrors
        self._regions = overlapping(model.plan.labels)
        self._normalised: np.ndarray | None = None  # reused: allocating it for each window costs more than filling it

    def __call__(self, image: np.ndarray, statistics: Sequence[Statistics], pad: list[tuple[int, int]]) -> np.ndarray:
        """Return this member's share of a window's mean prediction.

        Args:
            image: The part of the window inside the volume, (x, y, z, channel), not normalised.
            statistics: Intensity statistics of the case.
            pad: Number of voxels to pad per axis, before and after; they are 0 after normalisation.

        Returns:
            (*window, classes) float32, with an additional entropy channel if there are several predictions.
        """
        shape = tuple(before + side + after for (before, after), side in zip(pad, image.shape, strict=False))
        if self._normalised is None or self._normalised.shape[:-1] != shape or any(map(any, pad)):
            self._normalised = np.zeros((*shape, image.shape[-1]), np.float32)
        normalised = self._normalised
        inside = tuple(slice(before, before + side) for (before, _), side in zip(pad, image.shape, strict=False))
        into = normalised[inside]
        self._share(lambda x: self._normalise(image[x], statistics, out=into[x]), len(image))
        if self._missing:
            into[..., self._missing] = 0
        total: np.ndarray | None = None
        for axes in self._mirrors:
            mirrored = np.flip(self.engine(np.flip(normalised, axes)[None])[0], axes)
            share = mirrored
            if self.of > 1:
                share = mirrored / np.float32(self.of)
                spread = entropy(mirrored, self._regions)[..., None] / np.float32(self.of)
                share = np.concatenate([share, spread], axis=-1)
            total = share if total is None else total + share
        return cast(np.ndarray, total)


def entropy(probabilities: np.ndarray, regions: bool = False) -> np.ndarray:
    """Return the Shannon entropy over the last axis, in nats; 0 · ln 0 is 0.

    Args:
        probabilities: (…, classes) of classes that exclude each other.
        regions: Whether the classes are regions that overlap instead: the sum of each region's own entropy.
    """
    out = np.zeros(probabilities.shape[:-1], np.float32)
    for channel in range(probabilities.shape[-1]):
        p = probabilities[..., channel]
        for q in (p, 1 - p) if regions else (p,):
            out -= q * np.log(np.maximum(q, np.float32(1e-12)))
    return out


def disagreement(merged: np.ndarray, of: int, regions: bool = False) -> np.ndarray:
    """Return the disagreement of predictions: 0 if all agree, 1 if they differ as much as possible.

    This is the mutual information of class and member (entropy of the mean minus mean entropy), divided by its maximum
    for `of` predictions and this number of classes.

    Args:
        merged: (…, classes + 1): mean probabilities, then the mean entropy.
        of: Number of predictions averaged in `merged`.
        regions: Whether the classes are regions that overlap.

    Source: Smith and Gal, Understanding measures of uncertainty, UAI 2018.
    """
    classes = merged.shape[-1] - 1
    most = np.log(min(of, 2**classes if regions else classes))
    return np.clip((entropy(merged[..., :-1], regions) - merged[..., -1]) / np.float32(most), 0, 1)


def mirrors_of(plan: Plan) -> list[tuple[int, ...]]:
    """Return all combinations of the axes that were mirrored in training.

    Raises:
        UsageError: Training mirrored no axis, so mirroring would only do harm.
    """
    if not plan.training.augmentation.mirrors:
        raise UsageError("This model was trained without mirroring, so --tta would make it worse.",
                         todo="Leave --tta out, or train with a recipe that mirrors.")
    axes = plan.training.augmentation.flip_axes
    axes = tuple(range(plan.network.dimensions)) if axes is None else axes
    return [chosen for n in range(len(axes) + 1) for chosen in itertools.combinations(axes, n)]


def check_missing(plan: Plan, missing: Sequence[str]) -> None:
    """Check that a model can do without some modalities.

    Raises:
        UsageError: The model does not have one of them, needs at least one, or was always trained with all.
    """
    where = f"--missing {','.join(missing)}"
    if unknown := [name for name in missing if name not in plan.modalities]:
        raise UsageError(f"The model has no modality {unknown[0]!r}.", where=where,
                         todo=f"Its modalities: {', '.join(plan.modalities)}.")
    if missing and not set(plan.modalities) - set(missing):
        raise UsageError("A case needs at least one modality.", where=where)
    if missing and not plan.training.drop_modality:
        raise UsageError("This model was trained with all modalities in every patch, so it cannot do without one.",
                         where=where, todo="Train with training.drop_modality above 0 in the plan.")


def check_alike(models: Sequence[ModelFolder]) -> None:
    """Check that models can be averaged: same task, modalities, labels, preprocessing, patch and inference settings.

    Raises:
        UsageError: They differ; the error lists the differences.
    """
    first = models[0].plan
    problems = []
    for model in models[1:]:
        plan = model.plan
        for name, a, b in (("task", first.task, plan.task), ("modalities", first.modalities, plan.modalities),
                           ("labels", first.labels, plan.labels),
                           ("preprocessing", first.preprocessing, plan.preprocessing),
                           ("patch", first.training.patch, plan.training.patch),
                           ("inference", first.inference, plan.inference)):
            if a != b:
                problems.append(f"{model.path}: its {name} differs: {b} instead of {a}")
    if problems:
        raise UsageError("These models cannot be one ensemble: " + "; ".join(problems) + ".",
                         where=str(models[0].path))
