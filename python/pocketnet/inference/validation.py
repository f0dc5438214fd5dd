"""Measure a trained network on its validation cases, used as decided, to compare two configurations of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..contracts.decisions import CaseDice, Operations
from ..contracts.labels import Label
from ..preprocessing.label_maps import IGNORED, annotated_labels, mask
from ..preprocessing.store import Store
from .postprocessing import postprocess
from .use import Trials, Way, dice


def validation_dice(trials: Trials, stores: Sequence[Store], way: Way, operations: Mapping[str, Operations]
                    ) -> tuple[CaseDice, ...]:
    """Return the Dice of validation cases on the grid of their stores, without voxels that were not annotated.

    Args:
        trials: The network, with its predictions so far.
        stores: Stores of the cases.
        way: Windows and mirroring.
        operations: Postprocessing by label.

    Returns:
        The mean Dice over the annotated labels of each case, in the cases' order. A label that neither reference nor
        prediction has counts 1.
    """
    labels, found = trials.predictor.plan.labels, {}
    stores = [store for store in stores if annotated_labels(labels, store.annotated)]
    tilings = {store.case: trials.predictor.tiling(store, way.windows) for store in stores}
    for store in sorted(stores, key=lambda store: tilings[store.case].window):  # the network is compiled for each
        reference = store.read_label((0,) * len(store.shape), store.shape)
        predicted = trials.predicted(store, tilings[store.case], way)
        classes = postprocess(predicted, labels, operations, float(np.prod(store.spacing)))
        found[store.case] = _mean_dice(classes, reference, annotated_labels(labels, store.annotated))
    return tuple(CaseDice(store.case, found[store.case]) for store in stores)


def _mean_dice(classes: np.ndarray, reference: np.ndarray, labels: Sequence[Label]) -> float:
    known = reference != IGNORED
    return float(np.mean([dice(mask(classes, label) & known, mask(reference, label) & known) for label in labels]))
