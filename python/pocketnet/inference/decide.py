"""Decide how a network is used, by a fold's training references and validation predictions.

The windows and the mirroring are decided first (`use`), then the postprocessing of each label. An operation is tried
only if it leaves the training references as they are: in none of them may it change the label's Dice by more than
`HARM`. A size below which components are removed must still do so at twice the size, because other cases may have
smaller structures. Of the operations that are left, the one with the best validation Dice is chosen, if it is better
than none. Test cases are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .. import files
from ..contracts.decisions import NOTHING, PAPER, Decisions, LabelDecision, Operations, Tried, operations_of
from ..contracts.labels import Label
from ..contracts.plan import AUTO
from ..contracts.provenance import Provenance
from ..contracts.splits import Fold, Splits
from ..contracts.tasks import TASKS
from ..errors import DataError, UsageError
from ..preprocessing.boxes import crop
from ..preprocessing.label_maps import mask
from ..preprocessing.store import Store, needed_stores
from ..training.model_folder import CALIBRATION, ModelFolder, write_records
from .postprocessing import around, components, holes, kept, postprocess, sizes_of
from .stored import StorePredictor
from .use import Case, Trials, Way, decide_mirroring, decide_windows
from .use import dice as dice_of
from .validation import validation_dice

HARM = 0.001
"""Maximum change of a training reference's Dice by one operation, and by all together."""
BETTER = 1e-6
"""Minimum gain of mean validation Dice, above rounding errors."""
MOST_CASES = 32
"""Maximum number of validation cases that are predicted: the first ones, as for the validation loss."""
FILLED = Operations(fill_holes=True)

Predict = Callable[[Store], np.ndarray]


@dataclass(frozen=True)
class Parts:
    """The components of a label in a case.

    Attributes:
        sizes: Voxels by number of the component; 0 of number 0.
        hits: Of them, those that the reference has.
        reference: Voxels of the reference.
        voxel_mm3: Volume of a voxel.
    """

    sizes: np.ndarray
    hits: np.ndarray
    reference: int
    voxel_mm3: float

    @classmethod
    def of(cls, predicted: np.ndarray, reference: np.ndarray, voxel_mm3: float) -> Parts:
        """Find the components of a predicted mask; the reference is a mask of the same shape."""
        box = around(predicted)
        if box is None:
            return cls(np.zeros(1, np.int64), np.zeros(1, np.int64), int(reference.sum()), voxel_mm3)
        numbers = components(crop(predicted, box))
        return cls(sizes_of(numbers), sizes_of(numbers, crop(reference, box)), int(reference.sum()), voxel_mm3)

    def dice(self, operations: Operations) -> float:
        """Return the Dice after removing components; 1 if neither prediction nor reference has the label."""
        keep = kept(self.sizes, operations, self.voxel_mm3)
        total = int(self.sizes[keep].sum()) + self.reference
        return 2 * int(self.hits[keep].sum()) / total if total else 1.0


@dataclass
class References:
    """What the training references say about a label.

    Attributes:
        cases: Their components, for the references that have the label.
        filling: Largest change of Dice by filling holes.
    """

    cases: list[Parts]
    filling: float = 0.0

    def add(self, inside: np.ndarray, labelled: np.ndarray, voxel_mm3: float) -> None:
        """Add a reference: the mask of the label, and of all labels."""
        box = around(inside)
        if box is not None:
            inside = crop(inside, box)
            sizes = sizes_of(components(inside))
            size = int(sizes.sum())
            self.cases.append(Parts(sizes, sizes, size, voxel_mm3))
            if self.filling <= HARM:
                hole = int(holes(inside, crop(labelled, box)).sum())
                self.filling = max(self.filling, hole / (2 * size + hole))

    def harm(self, operations: Operations) -> float:
        """Return the largest change of Dice by removing components."""
        return max((1 - case.dice(operations) for case in self.cases), default=1.0)

    def removals(self) -> list[tuple[Operations, float]]:
        """Return the ways to remove components, each with its harm; a size is harmful if twice the size is."""
        found = [(PAPER, self.harm(PAPER))]
        size = 2 * min(case.voxel_mm3 for case in self.cases)
        while True:
            found.append((Operations(smallest_mm3=size), self.harm(Operations(smallest_mm3=2 * size))))
            if found[-1][1] > HARM:
                return found
            size *= 2


def decide(model: ModelFolder, split: Fold, stores: Mapping[str, Store], cpu_threads: int | None = None,
           log: Callable[[str], object] = lambda line: None) -> Decisions | None:
    """Decide how a trained network is used: its windows, mirroring, and the postprocessing of each label.

    Args:
        model: Its folder.
        split: The fold of its training.
        stores: The stores of the fold's training and validation cases.
        cpu_threads: CPU threads; None for all cores.
        log: Called with messages about the result.

    Returns:
        The decisions; None if the network does not predict voxels, or nothing was left to decide.
    """
    plan = model.plan
    if not TASKS[plan.task].per_voxel:
        return None
    validation = [stores[case] for case in split.validation[:MOST_CASES]]
    trials = Trials(StorePredictor(model, cpu_threads), [
        Case(store, own) for store in validation if (own := _annotated(store, plan.labels))])
    windows = decide_windows(trials)
    way = Way(windows.chosen if windows else "plan", plan.inference.mirrored is True)
    mirroring = decide_mirroring(trials, way.windows)
    if mirroring:
        way = replace(way, mirrored=mirroring.chosen)
    for name, one in (("windows", windows), ("mirroring", mirroring)):
        if one:
            log(f"{name}: {one.chosen if name == 'windows' else 'yes' if one.chosen else 'no'}. {one.reason}")
    found = Decisions(0, 0, ())
    if plan.inference.largest_component == AUTO:
        found = decide_postprocessing(plan.labels, [stores[case] for case in split.train], validation,
                                      lambda: lambda store: trials.of_store(store, way))
        log(f"postprocessing, decided on {found.references} training references and {found.predictions} validation "
            "predictions: " + "; ".join(f"{one.label}: {one.operations.words}" for one in found.postprocessing))
    found = replace(found, windows=windows, mirroring=mirroring)
    if plan.configuration and plan.configuration.beside:
        found = replace(found, validation=validation_dice(
            trials, [stores[case] for case in split.validation], way, operations_of(plan, [found])))
    return found if found != Decisions(0, 0, ()) else None


def write_decided(folder: Path, splits: Splits, store_folders: list[Path], output: Path,
                  cpu_threads: int | None = None, log: Callable[[str], object] = lambda line: None) -> Provenance:
    """Write a model folder again with new decisions; the network and all other files stay as they are.

    Args:
        folder: The model folder, of one network or of an ensemble.
        splits: The folds of its training.
        store_folders: Stores of the fold's validation cases, and of its training cases if the plan leaves the
            postprocessing to the data, or folders that contain them.
        output: The model folder to write.
        cpu_threads: As in `decide`.
        log: As in `decide`.

    Returns:
        The provenance written.

    Raises:
        UsageError: The network does not predict voxels, or the fold does not exist.
        DataError: The fold is not that of the training, or a store is missing or altered.
    """
    model = ModelFolder.open(folder)
    if not TASKS[model.plan.task].per_voxel:
        raise UsageError("Nothing is decided for a classifier.", where=str(folder))
    split = splits.fold(model.provenance.fold)
    if splits.dataset != model.plan.dataset or split.intensity != model.provenance.intensity:
        raise DataError("The network was trained on another fold than that of these splits: dataset or intensity "
                        "constants differ.", where=str(folder), todo="Give the splits.json of its training.")
    asked = model.plan.inference.largest_component == AUTO  # only this needs the training references
    stores = needed_stores(store_folders, split.validation + (split.train if asked else ()))
    found = decide(model, split, stores, cpu_threads, log)
    with files.atomic_folder(output) as temporary:
        model.copy(model.sha256.keys() - {CALIBRATION}, temporary)  # it suits the earlier decisions only
        provenance = replace(model.provenance, decisions=found)
        write_records(temporary, model.plan, provenance, (temporary / "history.csv").read_text(encoding="utf-8"))
    return provenance


def decide_postprocessing(labels: Sequence[Label], training: Sequence[Store], validation: Sequence[Store],
                          predictor: Callable[[], Predict]) -> Decisions:
    """Decide on the postprocessing of each label.

    Args:
        labels: The plan's labels.
        training: Stores of the training cases, whose references are used.
        validation: Stores of the validation cases, which are predicted.
        predictor: Returns a function that predicts the classes of a store; called only if there is something to try.
    """
    known = {label.name: References([]) for label in labels}
    for store, own, classes in _references(training, labels):
        for label in own:
            known[label.name].add(mask(classes, label), classes != 0, _voxel(store))
    tried = {name: [*(one.removals() if one.cases else []), *([(FILLED, one.filling)] if one.cases else [])]
             for name, one in known.items()}
    safe = {name: [operations for operations, harm in all_ if harm <= HARM] for name, all_ in tried.items()}
    cases = Predictions(labels, list(_references(validation, labels)), predictor()) if any(safe.values()) else None
    chosen = dict.fromkeys(known, NOTHING)
    dice: dict[str, dict[Operations, float]] = {name: {} for name in known}
    if cases:
        dice = {name: {one: value for one in [NOTHING, *safe[name]] if one != FILLED
                       if (value := cases.dice(name, one)) is not None} for name in known}
        chosen = {name: _best(values) for name, values in dice.items()}
        chosen = _with_filling(cases, chosen, [name for name in known if FILLED in safe[name]], dice)
        if any(one.fill_holes for one in chosen.values()) and _harms(training, labels, chosen):
            chosen = {name: replace(one, fill_holes=False) for name, one in chosen.items()}
    after = cases.after(chosen) if cases else {}
    return Decisions(len(training), len(cases) if cases else 0, tuple(
        _decision(name, chosen[name], dice[name], after.get(name), tried[name], bool(one.cases))
        for name, one in known.items()))


class Predictions:
    """The predictions of validation cases, compressed, with the components of each label.

    Args:
        labels: The plan's labels.
        references: For each case its store, the labels that were annotated, and the classes of the reference.
        predict: Predicts the classes of a store.
    """

    def __init__(self, labels: Sequence[Label], references: Sequence[tuple[Store, list[Label], np.ndarray]],
                 predict: Predict):
        import blosc2

        self._labels, self._kept = labels, []
        self._parts: dict[str, list[Parts]] = {label.name: [] for label in labels}
        for store, own, reference in references:
            predicted = predict(store)
            for label in own:
                self._parts[label.name].append(Parts.of(mask(predicted, label), mask(reference, label), _voxel(store)))
            self._kept.append((_voxel(store), own, blosc2.asarray(predicted), blosc2.asarray(reference)))

    def __len__(self) -> int:
        return len(self._kept)

    def dice(self, label: str, operations: Operations) -> float | None:
        """Return the mean Dice of a label after removing components; None if no case tells."""
        return _mean([parts.dice(operations) for parts in self._parts[label]])

    def after(self, chosen: Mapping[str, Operations]) -> dict[str, float | None]:
        """Return the mean Dice of each label after all operations."""
        found: dict[str, list[float]] = {label.name: [] for label in self._labels}
        for voxel_mm3, own, predicted, reference in self._kept:
            classes, expected = postprocess(predicted[:], self._labels, chosen, voxel_mm3), reference[:]
            for label in own:
                found[label.name].append(dice_of(mask(classes, label), mask(expected, label)))
        return {name: _mean(values) for name, values in found.items()}


def _with_filling(cases: Predictions, chosen: Mapping[str, Operations], allowed: Sequence[str],
                  dice: dict[str, dict[Operations, float]]) -> dict[str, Operations]:
    """Return the operations with holes filled for the labels that gain by it; notes the Dice of all allowed labels."""
    filled = {name: replace(one, fill_holes=name in allowed) for name, one in chosen.items()}
    before, after = (cases.after(one) for one in (chosen, filled)) if allowed else ({}, {})
    out = dict(chosen)
    for name in allowed:
        without, with_ = before[name], after[name]
        if without is not None and with_ is not None:
            dice[name][FILLED] = with_
            if with_ > without + BETTER:
                out[name] = filled[name]
    return out


def _best(dice: Mapping[Operations, float]) -> Operations:
    """Return the operations with the best Dice; of equal ones the first, none before all others."""
    best = NOTHING
    for operations, value in dice.items():
        if value > dice[best] + BETTER:
            best = operations
    return best


def _harms(training: Sequence[Store], labels: Sequence[Label], chosen: Mapping[str, Operations]) -> bool:
    """Return whether all operations together change a reference by more than removing and filling may."""
    for store, own, classes in _references(training, labels):
        found = postprocess(classes.copy(), labels, chosen, _voxel(store))
        if any(1 - dice_of(mask(found, label), mask(classes, label)) > HARM for label in own):
            return True
    return False


def _references(stores: Sequence[Store], labels: Sequence[Label]) -> Iterator[tuple[Store, list[Label], np.ndarray]]:
    """Yield the stores that were annotated as a whole, their annotated labels, and their classes."""
    for store in stores:
        if own := _annotated(store, labels):
            yield store, own, store.read_label((0,) * len(store.shape), store.shape)


def _annotated(store: Store, labels: Sequence[Label]) -> list[Label]:
    """Return the annotated labels of a store; none if only some of its voxels were annotated."""
    if store.known is not None:
        return []
    return [label for label in labels if store.annotated is None or label.name in store.annotated]


def _voxel(store: Store) -> float:
    return float(np.prod(store.spacing))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _decision(name: str, chosen: Operations, dice: Mapping[Operations, float], after: float | None,
              tried: Sequence[tuple[Operations, float]], present: bool) -> LabelDecision:
    """Return the record of a decision."""
    before = dice.get(NOTHING)
    after = before if after is None else after
    if chosen and before is not None:
        reason = (f"It raises the mean validation Dice from {before:.4f} to {after:.4f}, and no training reference "
                  f"changes by more than {HARM:g}.")
    elif not present:
        reason = "No training reference has this label."
    elif before is None and not any(harm <= HARM for _, harm in tried):
        reason = f"Each operation changes the Dice of a training reference by more than {HARM:g}."
    elif before is None:
        reason = "No validation case tells."
    else:
        reason = "No operation that leaves the training references as they are raises the mean validation Dice."
    records = [Tried(one.words, round(harm, 4), _rounded(dice.get(one))) for one, harm in tried]
    told = [one for place, one in enumerate(records)  # of sizes with the same effect, the smallest is listed
            if not place or (one.harm, one.dice) != (records[place - 1].harm, records[place - 1].dice)]
    return LabelDecision(name, chosen, reason, _rounded(before), _rounded(after), tuple(told))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
