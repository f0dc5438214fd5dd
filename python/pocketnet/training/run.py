"""Run one training: read the plan's data, train, write the model folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .. import __version__, backend, files
from ..code import code_hash, commit
from ..contracts.chain import Link
from ..contracts.decisions import Decisions
from ..contracts.energy import total
from ..contracts.plan import BEST, LAST, Plan
from ..contracts.provenance import Attempt, Hardware, Identity, Provenance
from ..contracts.splits import Fold, Splits
from ..energy import WATTS_PER_CORE, Meter
from ..errors import Stopped, UsageError, WorkerLost
from ..preprocessing.store import Store, needed_stores
from ..text import counted
from . import checkpoints
from .devices import Devices
from .model_folder import ModelFolder, history_csv, write_records
from .start import Start, Taken

if TYPE_CHECKING:
    from ..training.fit import State, Trainer


def run_key(plan: Plan, split: Fold, arch: str, width: str, stores: dict[str, Store], precision: str,
            start: Start | None = None, code: str | None = None) -> str:
    """Return a digest of everything that defines a training.

    This is the plan, the fold, the network, the data, the precision, the code and the network to start from, if any.
    `code` is the checksum of the training's code; None for that of this version.
    """
    cases = split.train + split.validation
    return files.digest({
        "plan": plan.to_json(), "split": split.to_json(), "arch": arch, "width": width,
        "code": code or code_hash("train"),
        "precision": precision,
        "stores": {case: stores[case].digest for case in sorted(cases)},
    } | ({"start": start.identity} if start else {}))


class Decide(Protocol):
    """Decides on how a network that was just trained is used."""

    def __call__(self, model: ModelFolder, split: Fold, stores: Mapping[str, Store], cpu_threads: int | None,
                 log: Callable[[str], object]) -> Decisions | None:
        """Return the decisions; None if there is nothing to decide."""


class Follower(Protocol):
    """Follows a training, for example `tracking.live.Live`. Its methods must not raise."""

    def begin(self, record: Identity, plan: Plan) -> None:
        """Called when the training starts or resumes; `record` is the part of `provenance.json` known by then."""

    def epoch(self, history: dict[str, Any], system: dict[str, Any]) -> None:
        """Called after each epoch with its rows of `history.csv` and `system.csv`."""

    def end(self, status: str) -> None:
        """Called at the end with `FINISHED`, `KILLED` (a checkpoint exists) or `FAILED`."""


@dataclass(frozen=True)
class Observer:
    """Callbacks of a training.

    Attributes:
        log: Called with progress messages.
        on_step: Called after each step with the number of completed steps.
        follow: Called at the begin, after each epoch and at the end; None: nothing is called.
    """

    log: Callable[[str], None] = print
    on_step: Callable[[int], None] = lambda step: None
    follow: Follower | None = None


@dataclass(frozen=True)
class Choice:
    """The network to train.

    Attributes:
        arch: A key of `network.ARCHITECTURES`.
        width: The width policy as text; see `widths.parse_width`.
        fold: Number of the fold, from 0.
        start: A trained network to start from; None for random weights.
        decide: Decides on how the network is used, from its folder, the fold, the stores and the CPU threads, for
            example `inference.decide.decide`; None leaves it undecided.
    """

    arch: str
    width: str
    fold: int
    start: Start | None = None
    decide: Decide | None = None


@dataclass(frozen=True)
class Resources:
    """Resources of a training. They are not part of the run key, because results differ only by rounding.

    Attributes:
        gpus: GPUs of each node that share each batch, see `Devices`; 0 for the backend's default device. A run
            started on one device may resume on two.
        logical_cpus: Logical CPU devices that share each batch instead; 0 for none.
        threads: CPU threads per operation; None for all cores.
        time_limit: Write a checkpoint and stop within this many seconds; None for no limit.
        checkpoint_seconds: Maximum seconds between two checkpoints.
        nodes: Nodes that share each batch, each with a process that calls `train`.
        watts_per_core: For an estimate of the energy (`energy.Meter`).
    """

    gpus: int = 0
    logical_cpus: int = 0
    threads: int | None = None
    time_limit: float | None = None
    checkpoint_seconds: float = 60
    nodes: int = 1
    watts_per_core: float = WATTS_PER_CORE


def train(plan: Plan, splits: Splits, store_folders: list[Path], choice: Choice, output: Path, checkpoint_root: Path,
          resources: Resources = Resources(), observer: Observer = Observer()) -> Provenance | None:  # noqa: B008
    """Train one network on one fold and write its model folder.

    On several nodes, each node's process calls this with the same arguments; that of worker 0, the chief, holds the
    lock, reports the progress and writes all files.

    Args:
        plan: The plan to follow.
        splits: The folds.
        store_folders: Stores, or folders that contain stores.
        choice: The network and the fold.
        output: The model folder to write.
        checkpoint_root: Folder for checkpoint folders, which are named by run key.
        resources: Devices and time that the training may use.
        observer: Callbacks of the training.

    Returns:
        The provenance written; None in a process that is not the chief.

    Raises:
        UsageError: The fold does not exist, the architecture does not suit the plan's task, or the processes of
            several nodes were called with different arguments.
        DataError: A store is missing or altered, or a patch cannot be read.
        Diverged: The loss or the weights are NaN or infinite; the last good checkpoint is kept.
        Stopped: After a signal or at the time limit; run again to resume.
        DeviceMemoryError: A step does not fit in device memory.
        WorkerLost: The process of another node ended.
    """
    deadline = None if resources.time_limit is None else time.monotonic() + resources.time_limit
    arch, width, fold, start = choice.arch, choice.width, choice.fold, choice.start
    if start:
        start.check(plan)
    log, network = observer.log, plan.network_of(arch, width)
    split = splits.fold(fold)
    stores = stores_of(split, store_folders)
    devices, precision = configured(plan, resources)
    key = run_key(plan, split, arch, width, stores, precision, start)
    folder = checkpoint_root / key
    if not devices.chief:
        observer, log = Observer(), lambda line: None
    with checkpoints.lock(folder, log, until=deadline) if devices.chief else nullcontext():
        if len(set(devices.gathered(int(key[:12], 16)))) > 1:
            raise UsageError("The processes of the nodes would train different networks.",
                             todo="Give all of them the same plan, splits, stores and options, and the same version.")
        backend.set_precision(precision)
        from ..models.build import build
        from ..models.export import export_openvino
        from .fit import SYSTEM_COLUMNS, history_columns
        from .tasks import TASKS

        meter = Meter((resources.gpus or 1) if backend.on_gpu() else 0, resources.watts_per_core)
        trainer, layers = trainer_of(
            plan, split, stores, choice, folder, devices=devices, log=log, deadline=deadline,
            checkpoint_seconds=resources.checkpoint_seconds, energy=meter.read if devices.nodes == 1 else None)
        model = trainer.model
        if start and layers:
            log(start.words(layers))
        task = TASKS[plan.task]
        name, ships = (start.variant if start else None) or width, plan.training.checkpoint
        log(f"training {name} {arch}, fold {fold}: {model.count_params():,} parameters, "
            f"{counted(plan.training.steps, 'step')} of {plan.training.batch} {task.SAMPLES} of "
            f"{'×'.join(map(str, plan.training.patch))} in {precision}"
            f"{f' on {devices.count} devices' if devices.count > 1 else ''}"
            f"{f' of {devices.nodes} nodes' if devices.nodes > 1 else ''}; {len(split.train)} training and "
            f"{counted(len(split.validation), 'validation case')}; run {key}")
        record = Identity(
            dataset=plan.dataset, arch=arch, width=name, fold=fold, recipe=plan.recipe, seed=plan.seed,
            precision=precision, parameters=model.count_params(), run_key=key, code=code_hash("train"),
            version=__version__, commit=commit(), versions=backend.versions(), hardware=Hardware(**backend.hardware()))
        try:
            state = _followed(trainer, observer, record, plan)
        finally:
            meter.stop()
        if not devices.chief:
            return None
        attempts = tuple(Attempt(**attempt) for attempt in state.attempts)
        provenance = Provenance(
            **vars(record), steps=state.step, attempts=attempts, energy=total([one.energy for one in attempts]),
            wall_seconds=round(sum(attempt["seconds"] for attempt in state.attempts), 2),
            peak_host_memory_mib=round(state.peak_host_memory_mib, 1),
            peak_device_memory_mib=state.peak_device_memory_mib,
            validation_loss=state.best if ships == BEST else state.history[-1]["validation_loss"],
            intensity=split.intensity, start=start.record(layers) if start else None,
            ranges=split.ranges, chain=tuple(Link.from_json(link) for link in state.chain))
        with files.atomic_folder(output) as temporary:
            # Save an uncompiled float32 copy: the optimiser's state belongs in the checkpoint only, and inference
            # and exports use float32 regardless of the training precision.
            backend.set_precision("float32")
            shipped = build(network)
            for checkpoint, take in ((LAST, trainer.use_last), (BEST, trainer.use_best)):
                take(shipped)
                shipped.save(temporary / ("model.keras" if checkpoint == ships else f"{checkpoint}.keras"))
                if checkpoint == ships:
                    export_openvino(shipped, temporary)
            if choice.decide:
                made = ModelFolder(temporary, plan, plan.labels, provenance, {})
                provenance = replace(provenance, decisions=choice.decide(made, split, stores, resources.threads, log))
            files.write_text(temporary / "system.csv", history_csv(state.system, SYSTEM_COLUMNS))
            write_records(temporary, plan, provenance, history_csv(state.history, history_columns(plan.task)))
    return provenance


def stores_of(split: Fold, folders: list[Path]) -> dict[str, Store]:
    """Open and verify the stores of a fold's training and validation cases.

    Raises:
        DataError: A store is missing or altered.
    """
    return needed_stores(folders, split.train + split.validation)


def configured(plan: Plan, resources: Resources) -> tuple[Devices, str]:
    """Configure the backend for a training; return its devices and the precision of its layers.

    Raises:
        UsageError: There are fewer devices than asked for, or they cannot share a batch.
    """
    backend.configure(resources.threads, plan.seed)
    devices = Devices(resources.gpus, resources.logical_cpus, resources.nodes, plan.training.batch)
    return devices, backend.usable_precision(plan.training.precision)


def trainer_of(plan: Plan, split: Fold, stores: dict[str, Store], choice: Choice, folder: Path, *, devices: Devices,
               **options: Any) -> tuple[Trainer, Taken | None]:
    """Build the network and its trainer, in the precision that is set.

    Args:
        plan: The plan to follow.
        split: The fold.
        stores: Stores of its cases.
        choice: The network.
        folder: The run's checkpoint folder.
        devices: Devices of the training.
        options: Other options of `Trainer`.

    Returns:
        The trainer, and the layers that the network took from another one, if it starts from one.
    """
    from ..models.build import build
    from .fit import Trainer
    from .tasks import TASKS

    with devices.scope():
        model = build(plan.network_of(choice.arch, choice.width))
    layers = choice.start.give_weights(model) if choice.start else None
    train_patches, validation_patches = (
        TASKS[plan.task].SAMPLER(plan, stores, cases, split.intensity, choice.fold)
        for cases in (split.train, split.validation))
    return Trainer(model, plan, train_patches, validation_patches, folder, devices=devices, **options), layers


def _followed(trainer: Trainer, observer: Observer, record: Identity, plan: Plan) -> State:
    """Train and report the progress to the observer."""
    on_step, follow = observer.on_step, observer.follow
    if follow is None:
        return trainer.run(on_step)
    follow.begin(record, plan)
    try:
        state = trainer.run(on_step, lambda state: follow.epoch(state.history[-1], state.system[-1]))
    except BaseException as error:
        follow.end("KILLED" if isinstance(error, Stopped | WorkerLost) else "FAILED")
        raise
    follow.end("FINISHED")
    return state
