"""Verify a training: repeat a part of it, and compare with the hash chain in its provenance (`chain.py`)."""

from __future__ import annotations

import csv
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend
from ..code import code_hash
from ..contracts.chain import Link
from ..contracts.plan import BEST
from ..contracts.provenance import Hardware
from ..contracts.splits import Fold, Splits
from ..errors import DataError, UsageError
from ..preprocessing.store import Store
from . import chain, checkpoints
from .model_folder import ModelFolder
from .run import Choice, Observer, Resources, configured, run_key, stores_of, trainer_of
from .start import Start

if TYPE_CHECKING:
    from .fit import Trainer

TOLERANCE = 0.05
"""Maximum distance between two networks that were trained alike on different kinds of processors, as a share of the
distance that the weights moved meanwhile."""
SAME, CLOSE = "to the bit", "within the tolerance"


@dataclass(frozen=True)
class Verified:
    """What was repeated of a training, and how close the result is.

    Attributes:
        first_step: The step after which the repeated part begins.
        last_step: The last step that was repeated.
        steps: Number of steps of the training.
        agrees: `SAME` or `CLOSE`.
        distance: Distance of the weights from the recorded ones, as a share of the distance that they moved in the
            repeated part; 0 if they are the same.
        processor: Whether the processor, the number of threads and the versions of all libraries are those of the
            training.
    """

    first_step: int
    last_step: int
    steps: int
    agrees: str
    distance: float
    processor: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class Repeat:
    """What to repeat of a training.

    Attributes:
        first_step: The step after which to train again; None for a random one of those whose state is there.
        width: Width of the network, if `provenance.json` has the name of a variant instead.
        start: Model folder that the training started from, if it started from one.
    """

    first_step: int | None = None
    width: str | None = None
    start: Path | None = None


def verify(model: ModelFolder, splits: Splits, store_folders: list[Path], checkpoint_root: Path,
           repeat: Repeat = Repeat(), resources: Resources = Resources(), observer: Observer = Observer(),  # noqa: B008
           ) -> Verified:
    """Verify a training: its chain, its network, its inputs, and one epoch, which is trained again.

    Args:
        model: The model folder that `pocket-train` wrote.
        splits: The folds.
        store_folders: Stores, or folders that contain stores.
        checkpoint_root: Folder of checkpoint folders, which are named by run key.
        repeat: What to repeat.
        resources: Threads, GPUs and logical CPU devices; as in the training, if `threads` is None.
        observer: Callbacks of the repeated part.

    Returns:
        What was repeated, and how close the result is.

    Raises:
        UsageError: The model has no chain, or there is no state of `repeat.first_step`.
        DataError: Something differs from the record; the error says what.
    """
    run, plan = model.provenance, model.plan
    links = _links(model)
    split = splits.fold(run.fold)
    stores = stores_of(split, store_folders)
    if bool(repeat.start) != bool(run.start):
        raise UsageError("The training started from another network." if run.start else
                         "The training started from random weights.", where=str(model.path),
                         todo=f"{'Give' if run.start else 'Leave out'} --start-from.")
    width = repeat.width or run.width
    began = Start.open(repeat.start, run.width if run.width != width else None, bool(run.start.frozen)) \
        if repeat.start and run.start else None
    _check_inputs(model, split, stores, width, began)
    resources = replace(resources, threads=resources.threads or run.attempts[-1].threads)
    devices, _ = configured(plan, resources)
    folder = checkpoint_root / run.run_key
    number = _drawn(links, folder, repeat.first_step)
    before, recorded = links[number], links[number + 1]
    observer.log(f"training again from step {before.step} to step {recorded.step} of {run.steps}")
    backend.set_precision(run.precision or "float32")
    with tempfile.TemporaryDirectory() as temporary:
        choice = Choice(run.arch, width, run.fold, began)
        trainer, _ = trainer_of(plan, split, stores, choice, Path(temporary), devices=devices,
                                log=lambda line: None)
        if before.step:
            shutil.copyfile(_state(folder, before.step), checkpoints.path_of(Path(temporary), before.step))
            trainer.resume()
        first = trainer.trained.get_weights()
        if chain.weights_digest(first) != before.weights:
            raise DataError(f"The weights of step {before.step} differ from the record.", where=str(folder))
        _check_network(model, links)
        state = trainer.run(observer.on_step, until=recorded.step)
    found = Link.from_json(state.chain[-1])
    if found.labels != recorded.labels:
        raise DataError(f"The labels of the patches differ from those of the training, between step {before.step} "
                        f"and step {recorded.step}.", where=str(model.path))
    alike = _same_machine(model)
    distance = 0.0 if found == recorded else _distance(trainer, first, folder, recorded)
    if found != recorded and (alike or distance is None or distance > TOLERANCE):
        raise DataError(
            f"The training does not give the recorded weights: from step {before.step} to step {recorded.step} " +
            ("their distance is not known, because the checkpoint is not there" if distance is None else
             f"they differ by {distance:.2g} of the distance that they moved (0 expected on the same kind of processor "
             f"with the same libraries, at most {TOLERANCE} on another)") + ".", where=str(model.path),
            todo="Repeat it with the --threads, --gpus and --logical-cpus of the training.")
    return Verified(before.step, recorded.step, run.steps, SAME if found == recorded else CLOSE,
                    round(float(distance or 0), 6), alike)


def _links(model: ModelFolder) -> tuple[Link, ...]:
    """Return the chain.

    Raises:
        UsageError: There is none.
        DataError: It is broken, or ends early.
    """
    run, links = model.provenance, model.provenance.chain
    where = str(model.path / "provenance.json")
    if not links:
        raise UsageError("The model folder has no chain to verify.", where=where,
                         todo="Give a model folder of pocket-train, for example a member of the ensemble.")
    if (step := chain.first_broken(links)) is not None:
        raise DataError(f"The chain is broken: the link of step {step} does not follow from the one before.",
                        where=where)
    expected = [*range(0, run.steps + 1, model.plan.training.steps_per_epoch)]
    if [link.step for link in links] != expected:
        raise DataError(f"The chain has links of the steps {[link.step for link in links]}, expected {expected}.",
                        where=where)
    return links


def _check_inputs(model: ModelFolder, split: Fold, stores: dict[str, Store], width: str, start: Start | None) -> None:
    """Check that plan, fold, data and network to start from are those of the training, and that the code is.

    Raises:
        DataError: They are not.
    """
    run = model.provenance
    key = run_key(model.plan, split, run.arch, width, stores, run.precision or "float32", start, run.code)
    if key != run.run_key:
        raise DataError("The plan, the fold, a store or the network to start from is not that of the training: "
                        f"together they give the run key {key}, the record has {run.run_key}.", where=str(model.path),
                        todo="Give the splits and the stores that the network was trained with.")
    if (code := code_hash("train")) != run.code:
        raise DataError(f"The code for training has the checksum {code}, that of the training {run.code}.",
                        where=str(model.path), todo=f"Use version {run.version}" +
                        (f" (commit {run.commit})" if run.commit else "") + " with the libraries of its lock file.")


def _check_network(model: ModelFolder, links: tuple[Link, ...]) -> None:
    """Check that the network in the folder is the one that the training ended with.

    Raises:
        DataError: It is not.
    """
    from ..models.build import load

    number = len(links) - 1
    if model.plan.training.checkpoint == BEST:
        with open(model.path / "history.csv", newline="", encoding="utf-8") as handle:
            losses = [float(row["validation_loss"]) for row in csv.DictReader(handle)]
        number = 1 + int(np.argmin(losses))
    found = chain.weights_digest(load(model.path / "model.keras").get_weights())
    if found != links[number].model:
        raise DataError(f"model.keras does not have the weights of step {links[number].step}: their SHA-256 is "
                        f"{found}, recorded is {links[number].model}.", where=str(model.path))


def _state(folder: Path, step: int) -> Path:
    """Return the path of the state of a step: the kept one, or the last checkpoint."""
    kept = checkpoints.kept_path(folder, step)
    return kept if kept.is_file() else checkpoints.path_of(folder, step)


def _drawn(links: tuple[Link, ...], folder: Path, first_step: int | None) -> int:
    """Return the number of the link to begin at: that of a step, or a random one whose state is there.

    Raises:
        UsageError: The state is not there.
    """
    there = [number for number, link in enumerate(links[:-1]) if not link.step or _state(folder, link.step).is_file()]
    if first_step is None:
        return secrets.choice(there)
    for number in there:
        if links[number].step == first_step:
            return number
    raise UsageError(f"There is no state of step {first_step}.", where=str(folder),
                     todo=f"Give one of the steps {', '.join(str(links[number].step) for number in there)}.")


def _distance(trainer: Trainer, first: list[np.ndarray], folder: Path, recorded: Link) -> float | None:
    """Return the distance of the trained weights from the recorded ones, as a share of the distance that they moved.

    Returns None if the recorded weights are not there.
    """
    path = _state(folder, recorded.step)
    if not path.is_file():
        return None
    try:
        arrays, _ = checkpoints.read(path)
    except ValueError as error:
        raise DataError("The state cannot be read.", problems=[str(error)], where=str(path)) from None
    found = trainer.trained.get_weights()
    expected = arrays["model"][:len(found)]
    moved = sum(float(np.sum((a - b) ** 2)) for a, b in zip(expected, first, strict=True))
    return float(np.sqrt(sum(float(np.sum((a - b) ** 2)) for a, b in zip(expected, found, strict=True)) / moved))


def _same_machine(model: ModelFolder) -> bool:
    """Return whether the processor and the libraries are those of the training."""
    there, here = model.provenance.hardware, Hardware(**backend.hardware())
    cores = model.provenance.attempts[-1].threads or there.cores == here.cores
    return bool(cores and (there.cpu, there.instructions, there.devices) == (here.cpu, here.instructions, here.devices)
                and model.provenance.versions == backend.versions())
