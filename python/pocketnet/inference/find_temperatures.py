"""Find the temperatures of trained networks by predictions of their validation cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..contracts.decisions import windows_of
from ..contracts.splits import Splits
from ..contracts.temperatures import Temperatures
from ..errors import DataError
from ..evaluation import temperature
from ..evaluation.temperature import Counts
from ..preprocessing.label_maps import IGNORED, annotated_labels, mask
from ..preprocessing.store import Store, needed_stores
from ..text import counted
from ..training.model_folder import ModelFolder
from . import ensemble, threads
from .merge import merge
from .run import CasePrediction, Clock
from .stored import StoredScan, StorePredictor
from .temperatures import channel_of
from .windows import Tiling

MOST_CASES = 20
"""Maximum number of validation cases that are predicted, over all folds: the first ones of each."""
PARTS = 5
"""Parts of the cases of a single fold, for the reliability of cases that the temperature is not from."""


@dataclass(frozen=True)
class Validation:
    """What temperatures are found by.

    Attributes:
        splits: The folds of the training.
        stores: Stores of the validation cases, or folders that contain them.
        cpu_threads: CPU threads; None for all cores.
        log: Called with a line per case.
    """

    splits: Splits
    stores: Sequence[Path]
    cpu_threads: int | None = None
    log: Callable[[str], object] = lambda line: None


def find(models: Sequence[ModelFolder], validation: Validation, predictions: int) -> Temperatures | None:
    """Find the temperatures of the networks of a cross-validation: each predicts validation cases of its fold.

    Args:
        models: One model folder per fold.
        validation: The cases.
        predictions: Number of predictions that are averaged at each voxel: 1, or those of mirrored images.

    Returns:
        The temperatures; None with fewer than two validation cases.

    Raises:
        UsageError: A fold does not exist.
        DataError: The splits are of another training, or a store is missing or damaged.
    """
    order = sorted(models, key=lambda model: model.provenance.fold)
    share = math.ceil(MOST_CASES / len(order))
    cases: dict[int, Sequence[str]] = {}
    for model in order:
        fold = validation.splits.fold(model.provenance.fold)
        if validation.splits.dataset != model.plan.dataset or fold.intensity != model.provenance.intensity:
            raise DataError("The network was trained on another fold than that of these splits: dataset or intensity "
                            "constants differ.", where=str(model.path), todo="Give the splits.json of its training.")
        cases[fold.fold] = fold.validation[:share]
    if sum(map(len, cases.values())) < 2:
        validation.log("no temperatures: fewer than 2 validation cases")
        return None
    stores = needed_stores(list(validation.stores), [case for own in cases.values() for case in own])
    parts = []
    for model in order:
        predictor = StorePredictor(model, validation.cpu_threads)
        windows = windows_of([model.provenance.decisions]) or "plan"
        part = []
        for case in cases[model.provenance.fold]:
            validation.log(f"temperatures: fold {model.provenance.fold}, {case}")
            tiling = predictor.tiling(stores[case], windows)
            part.append(counts_of(predictor, stores[case], tiling, predictions > 1, validation.cpu_threads))
        parts.append(part)
    if len(parts) == 1:
        parts = [parts[0][number::PARTS] for number in range(min(PARTS, len(parts[0])))]
    names = [label.name for label in order[0].labels]
    return Temperatures(
        tuple(model.provenance.run_key for model in order), predictions, sum(map(len, cases.values())),
        tuple(temperature.of_label(name, [[case[name] for case in part if name in case] for part in parts])
              for name in names))


def counts_of(predictor: StorePredictor, store: Store, tiling: Tiling, mirrored: bool,
              cpu_threads: int | None = None) -> Mapping[str, Counts]:
    """Predict a store and count its voxels by the logit of each label that is annotated in it.

    Args:
        predictor: The network.
        store: The case, with a reference; voxels that were not annotated do not count.
        tiling: The windows.
        mirrored: Whether to average over mirrored images.
        cpu_threads: CPU threads; None for all cores.
    """
    plan, mirrors = predictor.plan, ensemble.mirrors_of(predictor.plan) if mirrored else [()]
    share = threads.share(cpu_threads)
    member = ensemble.Member(predictor.model, predictor.engine(tiling.window), mirrors, len(mirrors), share)
    run = CasePrediction(plan, [member], StoredScan(store), tiling, False, Clock())
    labels = annotated_labels(plan.labels, store.annotated)
    counts = {label.name: temperature.NONE for label in labels}
    for start, planes in merge(tiling, run.channels, run.members, share=share):
        x, y, depth = planes.shape[:3]
        reference = store.read_label((0, 0, start), (x, y, depth))
        known = reference != IGNORED
        for label in labels:
            counts[label.name] += Counts.of(planes[..., channel_of(label, plan.labels)][known],
                                            mask(reference, label)[known])
    return counts


def in_words(found: Temperatures | None) -> str:
    """Return a line per label."""
    lines = []
    for one in found.labels if found else ():
        if one.temperature is None:
            lines.append(f"{one.label}: no temperature, because no validation case has the label")
            continue
        text = (f"{one.label}: temperature {one.temperature:.2f}, bias {one.bias:+.2f} from "
                f"{counted(one.cases, 'validation case')}")
        if one.before and one.after:
            text += f", calibration error {one.before.ece:.4f} before, {one.after.ece:.4f} after"
        lines.append(text)
    return "\n".join(lines)
