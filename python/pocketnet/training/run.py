"""One training from its files to its model folder."""

from __future__ import annotations

import time
from pathlib import Path

from .. import __version__, backend, files
from ..code import code_hash
from ..config import CLASSIFICATION, Plan, to_json
from ..errors import DataError, UsageError
from ..preprocessing.store import Store, open_stores
from . import checkpoints
from .model_folder import history_csv, write_records
from .start import Start


def split_of(splits: dict, fold: int) -> dict:
    """A fold's entry of `splits.json`.

    Raises:
        UsageError: There is no such fold.
    """
    for entry in splits["folds"]:
        if entry["fold"] == fold:
            return entry
    raise UsageError(f"There is no fold {fold}.", todo=f"Use 0 to {len(splits['folds']) - 1}.")


def run_key(plan: Plan, split: dict, arch: str, width: str, stores: dict[str, Store], precision: str,
            start: Start | None = None) -> str:
    """What defines a training: plan, fold, network, data, precision, code, and what network it starts from, if any.

    Another value of any is another run.
    """
    cases = split["train"] + split["validation"]
    return files.digest({
        "plan": to_json(plan), "split": split, "arch": arch, "width": width, "code": code_hash("train"),
        "precision": precision,
        "stores": {case: stores[case].digest for case in sorted(cases)},
    } | ({"start": start.identity} if start else {}))


def train(plan: Plan, splits: dict, store_folders: list[Path], arch: str, width: str, fold: int, output: Path,
          checkpoint_root: Path, *, gpus: int = 0, logical_cpus: int = 0, threads: int | None = None,
          time_limit: float | None = None, checkpoint_seconds: float = 60, start: Start | None = None,
          say=print, tick=lambda step: None) -> dict:
    """Train one network on one fold and write its model folder.

    Args:
        plan: What to train by.
        splits: `splits.json`.
        store_folders: Folders that are stores or hold stores.
        output: The model folder to write.
        checkpoint_root: Where this run's checkpoint folder lies, named by its run key.
        start: A trained network of the same kind to go on from; None to start from chance.
        gpus, logical_cpus: What shares each batch, see `backend.Devices`. Not part of the run key: the result is
            the same to rounding, and a run begun on one device may go on with two.
        time_limit: Stop with a checkpoint in time for this many seconds from now; None for no limit.

    Returns:
        The provenance that was written.

    Raises:
        UsageError: There is no such fold, or the architecture is not for the plan's task.
        DataError: A store is missing, or a patch cannot be made.
        Stopped: A signal or the time limit came; run again to go on.
        DeviceMemoryError: A step does not fit.
    """
    deadline = None if time_limit is None else time.monotonic() + time_limit
    network = plan.network_of(arch, width)
    images = "images" if plan.task == CLASSIFICATION else "patches"
    split = split_of(splits, fold)
    stores = open_stores(store_folders)
    needed = split["train"] + split["validation"]
    missing = [case for case in needed if case not in stores]
    if missing:
        raise DataError(f"{len(missing)} of the fold's cases have no store.", problems=missing,
                        todo="Preprocess them with pocket-preprocess.")
    backend.configure(threads, plan.seed)
    devices = backend.Devices(gpus, logical_cpus)
    devices.check_batch(plan.training.batch)
    precision = backend.usable_precision(plan.training.precision)
    key = run_key(plan, split, arch, width, stores, precision, start)
    folder = checkpoint_root / key
    with checkpoints.lock(folder, say, until=deadline):
        backend.set_precision(precision)
        from ..models.build import build
        from ..models.export import export_openvino
        from .fit import Trainer, history_columns
        from .scores import TASKS

        with devices.scope():
            model = build(network)
        if start:
            start.give_weights(model, plan)
        name = start.variant if start else width
        say(f"training {name} {arch}, fold {fold}: {model.count_params():,} parameters, "
            f"{plan.training.steps} steps of {plan.training.batch} {images} of "
            f"{'×'.join(map(str, plan.training.patch))} in {precision}"
            f"{f' on {devices.count} devices' if devices.count > 1 else ''}; {len(split['train'])} training and "
            f"{len(split['validation'])} validation cases; run {key}")
        sampler = TASKS[plan.task].sampler
        train_patches, validation_patches = (
            sampler(plan, stores, split[part], split["intensity"], fold) for part in ("train", "validation"))
        trainer = Trainer(model, plan, train_patches, validation_patches, folder, devices=devices, say=say,
                          checkpoint_seconds=checkpoint_seconds, deadline=deadline)
        state = trainer.run(tick)
        provenance = {
            "dataset": plan.dataset, "arch": arch, "width": name, "fold": fold, "recipe": plan.recipe,
            "seed": plan.seed, "precision": precision, "parameters": model.count_params(),
            "steps": state.step, "run_key": key, "code": code_hash("train"), "version": __version__,
            "versions": backend.versions(), "hardware": backend.hardware(), "attempts": state.attempts,
            "wall_seconds": round(sum(a["seconds"] for a in state.attempts), 2),
            "peak_host_memory_mib": round(state.peak_host_memory_mib, 1),
            "peak_device_memory_mib": state.peak_device_memory_mib, "validation_loss": state.best,
            "intensity": split["intensity"],
        } | ({"start": start.record} if start else {})
        with files.atomic_folder(output) as temporary:
            # A second, uncompiled copy is what is saved: the optimiser's state belongs to the checkpoint, and
            # inference and the exports are in float32 whatever the training's precision was.
            backend.set_precision("float32")
            shipped = build(network)
            shipped.set_weights(model.get_weights())
            shipped.save(temporary / "last.keras")
            trainer.use_best(shipped)
            shipped.save(temporary / "model.keras")
            export_openvino(shipped, temporary)
            write_records(temporary, plan, provenance, history_csv(state.history, history_columns(plan.task)))
    return provenance
