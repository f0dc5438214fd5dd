"""Decide on the postprocessing of each label by a fold's training references and validation predictions.

An operation is tried only if it leaves the training references as they are: in none of them may it change the label's
Dice by more than `HARM`. A size below which components are removed must still do so at twice the size, because other
cases may have smaller structures. Of the operations that are left, the one with the best validation Dice is chosen, if
it is better than none. Test cases are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..contracts.decisions import NOTHING, PAPER, Decisions, LabelDecision, Operations, Tried
from ..contracts.labels import Label
from ..contracts.plan import AUTO
from ..contracts.splits import Fold
from ..contracts.tasks import TASKS
from ..preprocessing.boxes import crop
from ..preprocessing.label_maps import mask
from ..preprocessing.store import Store
from ..training.model_folder import ModelFolder
from .postprocessing import around, components, holes, kept, postprocess, sizes_of
from .stored import StorePredictor

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
    """Decide on the postprocessing of a network that was just trained.

    Args:
        model: Its folder.
        split: The fold of its training.
        stores: The stores of the fold's training and validation cases.
        cpu_threads: CPU threads; None for all cores.
        log: Called with a message about the result.

    Returns:
        The decisions; None if the plan leaves nothing to decide, or the network does not predict voxels.
    """
    plan = model.plan
    if not TASKS[plan.task].per_voxel or plan.inference.largest_component != AUTO:
        return None
    found = decide_postprocessing(plan.labels, [stores[case] for case in split.train],
                                  [stores[case] for case in split.validation[:MOST_CASES]],
                                  lambda: StorePredictor(model, cpu_threads))
    log(f"postprocessing, decided on {found.references} training references and {found.predictions} validation "
        "predictions: " + "; ".join(f"{one.label}: {one.operations.words}" for one in found.postprocessing))
    return found


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
                found[label.name].append(_dice(mask(classes, label), mask(expected, label)))
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
        if any(1 - _dice(mask(found, label), mask(classes, label)) > HARM for label in own):
            return True
    return False


def _references(stores: Sequence[Store], labels: Sequence[Label]) -> Iterator[tuple[Store, list[Label], np.ndarray]]:
    """Yield the stores that were annotated as a whole, their annotated labels, and their classes."""
    for store in stores:
        own = [label for label in labels if store.annotated is None or label.name in store.annotated]
        if store.known is None and own:
            yield store, own, store.read_label((0,) * len(store.shape), store.shape)


def _voxel(store: Store) -> float:
    return float(np.prod(store.spacing))


def _dice(predicted: np.ndarray, reference: np.ndarray) -> float:
    total = int(predicted.sum()) + int(reference.sum())
    return 2 * int((predicted & reference).sum()) / total if total else 1.0


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
