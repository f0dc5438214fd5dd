"""Several predictions of a window made one: the mean over models and mirrors, and how far they disagree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import numpy as np

from ..contracts.case import Statistics
from ..contracts.plan import Plan
from ..errors import UsageError
from ..training.model_folder import ModelFolder
from .engines import Engine
from .threads import Share, alone


class Member:
    """One model's part of a prediction.

    Args:
        model: Its folder, whose normaliser is used.
        engine: Runs its network.
        mirrors: Sets of axes that the image is mirrored along, `()` for as it is; the mean is taken over them.
        of: How many predictions there are in all, of all members; with several comes a last channel, their entropy
            in nats.
        share: Its work among threads.
    """

    def __init__(self, model: ModelFolder, engine: Engine, mirrors: Sequence[tuple[int, ...]], of: int,
                 share: Share = alone):
        self.engine, self.of, self._share = engine, of, share
        self._normalise, self._mirrors = model.normaliser, mirrors
        self._normalised: np.ndarray | None = None  # memory that is new each time costs more than what is computed

    def __call__(self, image: np.ndarray, statistics: Sequence[Statistics], pad: list[tuple[int, int]]) -> np.ndarray:
        """This member's share of a window's mean prediction.

        Args:
            image: (x, y, z, channel), not normalised; what of the window lies in the volume.
            statistics: The case's.
            pad: Zeros around it per axis, which are zero for the network too.

        Returns:
            (*window, classes) float32, of several predictions with the entropy's channel.
        """
        shape = tuple(before + side + after for (before, after), side in zip(pad, image.shape, strict=False))
        if self._normalised is None or self._normalised.shape[:-1] != shape or any(map(any, pad)):
            self._normalised = np.zeros((*shape, image.shape[-1]), np.float32)
        normalised = self._normalised
        inside = tuple(slice(before, before + side) for (before, _), side in zip(pad, image.shape, strict=False))
        into = normalised[inside]
        self._share(lambda x: self._normalise(image[x], statistics, out=into[x]), len(image))
        total: np.ndarray | None = None
        for axes in self._mirrors:
            mirrored = np.flip(self.engine(np.flip(normalised, axes)[None])[0], axes)
            share = mirrored
            if self.of > 1:
                share = mirrored / np.float32(self.of)
                share = np.concatenate([share, entropy(mirrored)[..., None] / np.float32(self.of)], axis=-1)
            total = share if total is None else total + share
        return cast(np.ndarray, total)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Shannon's entropy over the last axis, in nats; 0 · ln 0 is 0."""
    out = np.zeros(probabilities.shape[:-1], np.float32)
    for channel in range(probabilities.shape[-1]):
        p = probabilities[..., channel]
        out -= p * np.log(np.maximum(p, np.float32(1e-12)))
    return out


def disagreement(merged: np.ndarray, of: int) -> np.ndarray:
    """How far predictions disagree: 0 where all say the same, 1 where they differ as much as so many can.

    The mutual information of class and member (the mean's entropy minus the mean entropy), as a share of the most that
    `of` members and these classes can have.

    Args:
        merged: (…, classes + 1): mean probabilities, and last the mean entropy.
        of: How many predictions `merged` is the mean of.

    Source: Smith and Gal, Understanding measures of uncertainty, UAI 2018.
    """
    most = np.log(min(of, merged.shape[-1] - 1))
    return np.clip((entropy(merged[..., :-1]) - merged[..., -1]) / np.float32(most), 0, 1)


def mirrors_of(plan: Plan) -> list[tuple[int, ...]]:
    """Every combination of the axes that training mirrored.

    Raises:
        UsageError: It mirrored none: the network has not learnt to see mirrored images.
    """
    augmentation = plan.training.augmentation
    axes = augmentation.flip_axes if augmentation.flip_axes is not None else range(plan.network.dimensions)
    if not augmentation.flip or not axes:
        raise UsageError("This model was trained without mirroring, so --tta would only harm it.",
                         todo="Leave --tta out, or train with a recipe that mirrors.")
    return [chosen for n in range(len(axes) + 1) for chosen in itertools.combinations(axes, n)]


def check_alike(models: Sequence[ModelFolder]) -> None:
    """See that models can be averaged: same images in, same preparation, same classes out, same windows.

    Raises:
        UsageError: They differ; says in what.
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
