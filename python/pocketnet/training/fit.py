"""Train one network on one fold; stopping and resuming does not change the result.

The loop calls Keras' `train_on_batch` and keeps all other state itself, so that a checkpoint after any step contains
everything that the next step depends on.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
import psutil

from .. import backend
from ..contracts.chain import Link
from ..contracts.plan import Plan, Training
from ..errors import DeviceMemoryError, Diverged, Stopped, UsageError
from . import chain, checkpoints
from .compile import alike, averaged, compile_for_training, stepping
from .devices import Devices
from .losses import of_plan
from .sampling import Sampler
from .supervision import supervised
from .tasks import TASKS

Log = Callable[[str], None]


@dataclass
class State:
    """Everything in a checkpoint except variables, as JSON values.

    Attributes:
        step: Number of completed steps.
        loss_sum: Sum of the losses in the current epoch.
        history: One row per epoch, see `history_columns`.
        best: Lowest validation loss so far; None during the first epoch.
        waited: Epochs since the validation loss last improved or the learning rate was last reduced.
        attempts: One dict per start of the training, see `contracts.provenance.Attempt`.
        peak_host_memory_mib, peak_device_memory_mib: Maximum over the attempts.
        system: One row per epoch about the machine's load, see `SYSTEM_COLUMNS`.
        labels: Checksum of all labels seen so far, see `chain.labels_digest`.
        chain: The links of the training's hash chain, one for its start and one per epoch.
    """

    step: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    waited: int = 0
    attempts: list[dict[str, Any]] = field(default_factory=list)
    peak_host_memory_mib: float = 0.0
    peak_device_memory_mib: float | None = None
    system: list[dict[str, Any]] = field(default_factory=list)
    labels: str = chain.NOTHING
    chain: list[dict[str, Any]] = field(default_factory=list)


SYSTEM_COLUMNS = ("epoch", "step", "seconds", "cpu_percent", "host_memory_mib", "device_memory_mib")
"""Columns of `system.csv`: CPU load over the epoch (100 is one core), resident memory at its end, and peak device
memory so far (empty if the device does not report it)."""


def history_columns(task: str) -> tuple[str, ...]:
    """Return the columns of `history.csv`."""
    return ("epoch", "step", "learning_rate", "loss", "validation_loss", *TASKS[task].COLUMNS, "seconds")


def rate_at(settings: Training, step: int) -> float:
    """Return the learning rate at a step, counted from 1, for the schedules that depend only on the step."""
    done = (step - 1) / settings.steps
    rising = min(1.0, step / max(settings.warm_up_steps, 1))
    share = (1 - done) ** 0.9 if settings.schedule == "polynomial" else (1 + math.cos(math.pi * done)) / 2
    return settings.learning_rate * rising * share


class Trainer:
    """Train a network according to a plan.

    Args:
        model: A built network, not compiled.
        plan: The plan to follow.
        train: Patches or images of the fold's training cases.
        validation: Patches or images of its validation cases. Only these decide "best" and the learning rate.
        folder: The run's checkpoint folder.
        devices: The devices that share each batch; build `model` in their scope. None for the backend's default.
        checkpoint_seconds: Maximum seconds between two checkpoints.
        deadline: Value of `time.monotonic()` before which to write a checkpoint and stop. The margin is the longest
            step of this attempt, without the first, which compiles. None for no limit.
        log: Called with progress messages.
        energy: Returns the energy so far, as the fields of `contracts.energy.Energy`; None does not record it.
    """

    def __init__(self, model: keras.Model, plan: Plan, train: Sampler, validation: Sampler, folder: Path,
                 *, devices: Devices | None = None, checkpoint_seconds: float = 60,
                 deadline: float | None = None, log: Log = print, energy: Callable[[], dict[str, Any]] | None = None):
        self.model, self.plan, self.train_patches = model, plan, train
        self.validation_batches = validation.fixed()
        self.folder, self.log, self.energy = folder, log, energy
        self.checkpoint_seconds = checkpoint_seconds
        self.started = time.monotonic()
        self.deadline = deadline
        self.longest_step = 0.0
        self.state = State()
        self.best_variables: list[np.ndarray] = []
        self._stop_signal: int | None = None
        self._process = psutil.Process()
        self._process.cpu_percent()  # the next call measures from here
        settings = plan.training
        self.loss = of_plan(plan)
        self.devices = devices or Devices()
        with self.devices.scope():
            self.trained = supervised(model) if settings.deep_supervision else model
            levels = self.trained.output.shape[-1] // model.output.shape[-1]
            compile_for_training(self.trained, self.loss, settings.learning_rate, settings.clip_norm,
                                 settings.average_decay, settings.accumulate,
                                 settings.weight_decay if settings.optimizer == "adamw" else None, levels)
        if self.devices.count > 1 and (settings.rematerialise or settings.accumulate > 1):
            raise UsageError("Rematerialisation and accumulation work only on one device.",
                             todo="Train on one, or set training.rematerialise to false and training.accumulate to 1.")
        if self.trained is not model:
            if settings.rematerialise:
                raise UsageError("Rematerialisation and deep supervision cannot be combined.",
                                 todo="Set training.rematerialise or training.deep_supervision to false.")
            alike(model, self.trained)  # to validate
        self._stepper = stepping(self.trained, settings.rematerialise, self.devices.count)
        self._train_step = self.devices.train_step(self._stepper, self.trained.loss, settings.clip_norm)
        self._predict = self.devices.predict(self._stepper if self.trained is model else model)

    def run(self, on_step: Callable[[int], None] = lambda step: None,
            epoch_ended: Callable[[State], None] = lambda state: None, until: int | None = None) -> State:
        """Train to the last step, starting from the newest intact checkpoint if there is one.

        Args:
            on_step: Called after each step with the number of completed steps.
            epoch_ended: Called after each epoch.
            until: Train to this step instead of the plan's last one.

        Raises:
            Stopped: After a signal or at the time limit; a checkpoint was written.
            DeviceMemoryError: A step does not fit in device memory.
            Diverged: A loss or a variable is NaN or infinite; the last good checkpoint is kept.
            UsageError: The workers of several nodes do not find the same checkpoint.
            WorkerLost: The worker of another node ended.
        """
        self._resume_together()
        first = self.state.step + 1
        total = until or self.plan.training.steps
        if first <= total:
            self.state.attempts.append({"first_step": first, "last_step": first, "seconds": 0.0, "ended": "killed",
                                        "devices": self.devices.count, "nodes": self.devices.nodes,
                                        "threads": backend.threads()})
        last_written = time.monotonic()
        with self._signals():
            for step, image, label in self.train_patches.stream(first, total):
                began = time.monotonic()
                self._step(step, image, label)
                if step > first:
                    self.longest_step = max(self.longest_step, time.monotonic() - began)
                on_step(step)
                if step % self.plan.training.steps_per_epoch == 0:
                    epoch_ended(self.state)
                if step == total:
                    break
                reason = self._reason_to_stop()
                if self.devices.anywhere(reason is not None):
                    self._write("stopped")
                    raise Stopped(
                        f"Stopped at step {step} of {total} ({reason or 'on another node'}); the checkpoint is whole.",
                        where=str(self.folder), todo="Run the same command again to go on.")
                if time.monotonic() - last_written >= self.checkpoint_seconds:
                    self._write("killed")
                    last_written = time.monotonic()
            if first <= total:
                self._write("finished")
        return self.state

    def _step(self, step: int, image: np.ndarray, label: np.ndarray) -> None:
        settings = self.plan.training
        if settings.schedule != "plateau":
            self.model.optimizer.learning_rate = rate_at(settings, step)
        try:
            loss = self._train_step(image, label)
        except Exception as error:
            if backend.is_out_of_memory(error):
                raise DeviceMemoryError(f"A step of batch {image.shape[0]} and patch {image.shape[1:-1]} does not fit "
                                        "in the device's memory.", todo="Use a smaller --batch or --patch.") from error
            raise
        if not np.isfinite(loss):
            if self.devices.chief:
                checkpoints.discard(self.folder, step - 1)  # its weights give this loss
            raise self._diverged(f"the loss is {loss}", step)
        state = self.state
        state.step, state.loss_sum = step, state.loss_sum + loss
        state.labels = chain.labels_digest(state.labels, label)
        if step % settings.steps_per_epoch == 0:
            with averaged(self.trained):
                self._end_epoch()
                model = chain.weights_digest(self.model.get_weights())
            self._link(model)

    def _end_epoch(self) -> None:
        state, settings = self.state, self.plan.training
        optimizer = self.model.optimizer
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        loss, scores = self._validate()
        loss = self.devices.of_chief(loss)  # on other processors it differs by rounding
        if not np.isfinite(loss):
            raise self._diverged(f"the validation loss is {loss}", state.step)
        epoch = state.step // settings.steps_per_epoch
        elapsed = sum(a["seconds"] for a in state.attempts[:-1]) + time.monotonic() - self.started
        training_loss = state.loss_sum / settings.steps_per_epoch
        row = (epoch, state.step, rate, training_loss, loss, *scores.values(), round(elapsed, 2))
        state.history.append(dict(zip(history_columns(self.plan.task), row, strict=True)))
        device = backend.peak_device_memory_mib()
        state.system.append(dict(zip(SYSTEM_COLUMNS, (
            epoch, state.step, round(elapsed, 2), self._process.cpu_percent(),
            round(self._process.memory_info().rss / 2**20, 1), device), strict=True)))
        better = state.best is None or loss < state.best
        named = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in scores.items())
        self.log(f"epoch {epoch}/{settings.epochs}: loss {training_loss:.4f}, validation loss {loss:.4f}, "
                 f"{named}, learning rate {rate:.2e}, {elapsed:.0f} s{' · best' if better else ''}")
        state.loss_sum = 0.0
        if better:
            state.best, state.waited = loss, 0
            self.best_variables = _values(self.model.variables)
            return
        state.waited += 1
        if settings.schedule == "plateau" and state.waited >= settings.plateau_patience:
            optimizer.learning_rate = rate * settings.plateau_factor
            state.waited = 0

    def _link(self, model: str) -> None:
        """Add a link to the chain, and keep the state if it is one of those to keep.

        Args:
            model: Checksum of the weights that a model folder of this step has.
        """
        if not self.devices.chief:
            return
        state, settings = self.state, self.plan.training
        weights, optimizer = self.trained.get_weights(), _values(self.model.optimizer.variables)
        before = Link.from_json(state.chain[-1]) if state.chain else None
        link = chain.next_link(before, state.step, chain.weights_digest(weights), chain.weights_digest(optimizer),
                               state.labels, model)
        state.chain.append(link.to_json())
        size = sum(value.nbytes for value in (*weights, *optimizer, *self.best_variables)) / 2**20
        if state.step // settings.steps_per_epoch in chain.kept_epochs(settings.epochs, size):
            self._write("killed")
            checkpoints.keep(self.folder, state.step)

    def _validate(self) -> tuple[float, dict[str, float]]:
        """Return the validation loss and the task's scores."""
        task = TASKS[self.plan.task]
        losses, kept, count = [], [], 0
        for image, label in self.validation_batches:
            probabilities = self._predict(image)
            losses.append(float(self.loss(label, keras.ops.convert_to_tensor(probabilities))) * len(image))
            count += len(image)
            kept.append(task.of_batch(probabilities, label, self.plan.labels))
        return sum(losses) / count, task.scores(kept)

    def _diverged(self, what: str, step: int) -> Diverged:
        good = checkpoints.newest_step(self.folder)
        settings = self.plan.training
        precision = "" if settings.precision == "float32" else "set training.precision to float32, "
        clip = "lower training.clip_norm" if settings.clip_norm else "set training.clip_norm, for example to 1"
        return Diverged(
            f"The training diverged: {what} at step {step} of {settings.steps}. " +
            (f"The checkpoint of step {good} is kept." if good else "There is no checkpoint before it."),
            where=str(self.folder),
            todo=f"In the plan, lower training.learning_rate, {precision}or {clip}, and train by that plan from the "
                 "start. The same command with the same plan diverges again.")

    def _write(self, ended: str) -> None:
        if not self.devices.chief:
            return
        state = self.state
        variables = {"model": _values(self.trained.variables), "optimizer": _values(self.model.optimizer.variables),
                     "best": self.best_variables}
        if not all(np.isfinite(value).all() for values in variables.values() for value in values):
            raise self._diverged("weights are NaN or infinite", state.step)
        attempt = state.attempts[-1]
        attempt.update(last_step=state.step, seconds=round(time.monotonic() - self.started, 2), ended=ended)
        attempt |= {"energy": self.energy()} if self.energy else {}
        state.peak_host_memory_mib = max(state.peak_host_memory_mib, backend.peak_host_memory_mib())
        device = backend.peak_device_memory_mib()
        if device is not None:
            state.peak_device_memory_mib = max(state.peak_device_memory_mib or 0.0, device)
        checkpoints.write_checkpoint(self.folder, state.step, variables, vars(state),
                                     keep=1 if ended == "finished" else checkpoints.KEEP)

    def _resume_together(self) -> None:
        """Resume; on several nodes, all workers resume from the checkpoint that the chief takes."""
        if self.devices.chief:
            self.resume()
        step = int(self.devices.of_chief(self.state.step))
        if not self.devices.chief:
            checkpoints.wait_for(self.folder, step)
            self.resume()
        begins = [int(begin) for begin in self.devices.gathered(self.state.step)]
        if set(begins) != {step}:
            raise UsageError(f"The nodes begin after different steps: {', '.join(map(str, begins))}.",
                             where=str(self.folder), todo="Use a checkpoint folder that all nodes share.")

    def resume(self) -> None:
        """Take the state of the newest intact checkpoint, or begin the chain if there is none."""
        found = checkpoints.latest(self.folder, self.log)
        if found is None:
            self._link(chain.weights_digest(self.model.get_weights()))
            return
        arrays, state = found
        _assign(self.trained.variables, arrays["model"])
        _assign(self.model.optimizer.variables, arrays["optimizer"])
        self.best_variables = arrays.get("best", [])
        self.state = State(**state)
        self.log(f"going on after step {self.state.step} of {self.plan.training.steps} from a checkpoint")

    def _reason_to_stop(self) -> str | None:
        if self._stop_signal is not None:
            return signal.Signals(self._stop_signal).name
        if self.deadline is not None and time.monotonic() + self.longest_step >= self.deadline:
            return "time limit"
        return None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def remember(number: int, _frame: FrameType | None) -> None:
            self._stop_signal = number

        handled = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, remember) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def use_last(self, model: keras.Model) -> None:
        """Copy the current weights to a network of the same structure, or their moving averages if kept."""
        with averaged(self.trained):
            model.set_weights(self.model.get_weights())

    def use_best(self, model: keras.Model) -> None:
        """Copy the variables with the best validation loss to a network of the same structure."""
        _assign(model.variables, self.best_variables)


def _values(variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: Iterable[keras.Variable], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
