"""An MLflow store to which runs are added so that adding one twice changes nothing.

Every run carries its key in the tag `pocketnet.run_key`: a run is looked for before it is made, and only what
differs is written.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from ..errors import UsageError
from ..files import digest, sha256

if TYPE_CHECKING:
    from mlflow.entities import RunInputs

KEY, KIND, ARTIFACTS = "pocketnet.run_key", "pocketnet.kind", "pocketnet.artifacts"
PARENT, MODEL = "mlflow.parentRunId", "pocketnet.model"
SQLITE = "sqlite:///"
NOTE = """**Pocket or full?** The run `comparison of …` answers: its description is the verdict, its artifacts are the
report and the tables with paired differences, and its metrics `difference/…` and `p_value/…`.

To see for yourself, filter `tags."pocketnet.kind" = 'network'`, tick the parent runs (`<arch> <width> <recipe>`) and
press Compare: `dice/mean`, `hd95_mm/mean` and `asd_mm/mean` are means over all cases of all folds, `parameters` and
`wall_seconds` what they cost; a classification has `auc/<class>` and others. For learning curves tick the folds below
them instead (`tags."pocketnet.kind" = 'fold'`): `validation_dice` and `validation_loss` by step. Each fold has its
model, which `mlflow models serve --env-manager local -m models:/<model id>` serves (docs/output.md).
"""
BATCH = 1000  # metrics in one request, MLflow's limit

# Nothing is printed between a step's own lines, and a dead server is noticed within
# seconds instead of minutes.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


class Store:
    """A tracking address.

    Args:
        uri: `sqlite:///<file>` (made when it is not there; artifacts go to `artifacts/` beside it) or the
            `http(s)://` address of a server.

    Raises:
        UsageError: The address is neither, or the file is another program's.
    """

    def __init__(self, uri: str):
        self.database = sqlite_file(uri)
        self.uri = f"{SQLITE}{self.database}" if self.database else uri
        if self.database:
            self.database.parent.mkdir(parents=True, exist_ok=True)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):  # after the import, which sets them itself
            logging.getLogger(name).setLevel(logging.WARNING)
        with self.alone():
            if self.database:
                _refuse_foreign(self.database)
            self.client = MlflowClient(self.uri)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other collecting processes out of a SQLite store, which does not bear two writers."""
        if not self.database:
            yield
            return
        with open(self.database.with_suffix(".lock"), "a", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def experiment(self, name: str) -> str:
        """The id of an experiment, made when it is not there."""
        found = self.client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        from mlflow.exceptions import MlflowException

        folder = None if self.database is None else self.database.parent / "artifacts" / safe(name)
        try:
            return self.client.create_experiment(
                name, artifact_location=folder.as_uri() if folder else None,
                tags={"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": NOTE})
        except MlflowException:  # another training that logs live may have been quicker
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id

    def run(self, experiment: str, key: str, name: str, kind: str, *, start: int | None = None,
            parent: str | None = None) -> tuple[str, bool]:
        """The id of the run with this key, made when it is not there, and whether it was made.

        Args:
            experiment: The experiment's id.
            key: What the run is known by.
            name: As people see it.
            kind: `network`, `fold` or `comparison`.
            start: Milliseconds since 1970.
            parent: Id of the parent run.
        """
        found = self.client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
        if found:
            return found[0].info.run_id, False
        tags = {KEY: key, KIND: kind, "mlflow.source.name": "pocket-collect"}
        if parent:
            tags[PARENT] = parent
        return self.client.create_run(experiment, start_time=start, run_name=name, tags=tags).info.run_id, True

    def add(self, run: str, *, parameters: Mapping[str, object], tags: Mapping[str, object],
            metrics: Mapping[str, float], at: int | None = None) -> None:
        """Add what the run does not have yet.

        Args:
            run: The run's id.
            parameters: Those that the run has already stay as they are.
            tags: Overwritten where they differ.
            metrics: A new value is added where the latest one differs.
            at: The metrics' time, milliseconds since 1970.
        """
        from mlflow.entities import Metric, Param, RunTag

        known = self.client.get_run(run).data
        self.client.log_batch(
            run, metrics=[Metric(safe(name), value, at or 0, 0) for name, value in metrics.items()
                          if known.metrics.get(safe(name)) != value],
            params=[Param(name, str(value)) for name, value in parameters.items() if name not in known.params],
            tags=[RunTag(name, str(value)) for name, value in tags.items() if known.tags.get(name) != str(value)])

    def log(self, run: str, *, end: int | None = None, parent: str | None = None, **values: Any) -> None:
        """Add what the run does not have yet and end it.

        Args:
            run: The run's id.
            end: Milliseconds since 1970.
            parent: Id of the parent run, which a run that was logged live does not know.
            values: As for `add`.
        """
        self.add(run, at=end, **(values if parent is None else values | {"tags": values["tags"] | {PARENT: parent}}))
        if self.client.get_run(run).info.status != "FINISHED":
            self.client.set_terminated(run, "FINISHED", end_time=end)

    def log_history(self, run: str, history: Sequence[Mapping[str, float]], start: int) -> None:
        """Add the epochs that the run does not have yet, at their step and time.

        Args:
            run: The run's id.
            history: Rows of `history.csv`.
            start: When the training started, milliseconds since 1970.
        """
        from mlflow.entities import Metric

        names = list(dict.fromkeys(name for row in history for name in row if name not in ("epoch", "step", "seconds")))
        have = {name: {point.step for point in self.client.get_metric_history(run, name)} for name in names}
        points = [Metric(name, row[name], start + round(1000 * row["seconds"]), int(row["step"]))
                  for row in history for name in names if name in row and int(row["step"]) not in have[name]]
        for first in range(0, len(points), BATCH):
            self.client.log_batch(run, metrics=points[first:first + BATCH])

    def log_model(self, experiment: str, run: str, key: str, name: str, step: int,
                  write: Callable[[Path], None]) -> None:
        """Log a run's model, unless the run has this one already.

        Args:
            experiment: The experiment's id.
            run: The run's id.
            key: What the model is known by.
            name: As people see it.
            step: The training step that it is of.
            write: Called with the folder to make an MLflow model in.
        """
        from mlflow.entities import LoggedModelOutput

        if self.client.get_run(run).data.tags.get(MODEL) == key:
            return
        begun = self.client.search_logged_models([experiment], f"source_run_id = '{run}' AND tags.`{KEY}` = '{key}'")
        model = begun[0] if begun else self.client.create_logged_model(
            experiment, re.sub(r"[/:.%\"']", "_", name), run, tags={KEY: key})
        with TemporaryDirectory() as folder:
            write(Path(folder) / "model")
            self.client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
        self.client.finalize_logged_model(model.model_id, "READY")
        self.client.log_outputs(run, [LoggedModelOutput(model.model_id, step)])
        self.client.set_tag(run, MODEL, key)

    def log_dataset(self, run: str, name: str, digest_: str, profile: Mapping[str, object]) -> None:
        """Say what data a run is of, unless it says so already.

        Args:
            run: The run's id.
            name: The dataset's name.
            digest_: Checksum over its files.
            profile: Facts about it.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = cast("RunInputs", self.client.get_run(run).inputs)
        if any(one.dataset.digest == digest_ for one in inputs.dataset_inputs):
            return
        source = json.dumps({"manifest": "dataset/manifest.json"})
        self.client.log_inputs(run, [DatasetInput(
            Dataset(name, digest_, "pocketnet manifest", source, profile=json.dumps(profile)),
            [InputTag("mlflow.data.context", "cross-validation")])])

    def log_files(self, run: str, files: Mapping[str, Path]) -> None:
        """Add files unless the run has exactly these already.

        Args:
            run: The run's id.
            files: Path within the run's artifacts, and the file.
        """
        checksum = digest({name: sha256(path) for name, path in files.items()})
        if self.client.get_run(run).data.tags.get(ARTIFACTS) == checksum:
            return
        for name, path in files.items():
            folder = Path(name).parent.as_posix()
            self.client.log_artifact(run, str(path), None if folder == "." else folder)
        self.client.set_tag(run, ARTIFACTS, checksum)


def _refuse_foreign(database: Path) -> None:
    """Refuse a SQLite file that has tables, but not MLflow's, which would be added.

    Raises:
        UsageError: It is so, or the file is no SQLite database.
    """
    if not os.path.lexists(database):
        return
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.OperationalError:  # locked, or not to be read: MLflow says so
        return
    except sqlite3.DatabaseError:
        tables = {"none"}
    if tables and "experiments" not in tables:
        raise UsageError("This file is not MLflow's; it belongs to another program.", where=str(database),
                         todo="Name another file in --mlflow-uri.")


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address, None for a server.

    Raises:
        UsageError: The address is neither.
    """
    if uri.startswith(SQLITE) and len(uri) > len(SQLITE):
        return Path(uri[len(SQLITE):]).absolute()
    if re.match(r"https?://[^/]+", uri):
        return None
    raise UsageError(f"This is not a tracking address: {uri!r}.",
                     todo="Give sqlite:///<file> or http(s)://<server>.")


def refuse_credentials(uri: str) -> None:
    """Take no address that would leave a password in logs and records.

    Raises:
        UsageError: There is a user name or password in it.
    """
    if re.match(r"(?!sqlite:).*//.*@", uri):  # a file's path may hold an @
        raise UsageError("An address with a user name or password in it is not taken.", where="--mlflow-uri",
                         todo="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "
                              "in the environment.")


def safe(name: str) -> str:
    """A name with the characters only that MLflow takes in names of metrics."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)
