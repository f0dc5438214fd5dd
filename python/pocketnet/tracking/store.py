"""Add runs to an MLflow store. Adding a run twice changes nothing.

The tag `pocketnet.run_key` identifies a run. A run is created only if no run has its key, and only differences are
written.
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
MOST_OF_A_NAME = 100  # of MLflow's 250 characters; a metric has up to four parts
_CHECKSUMMED = re.compile(r"_[0-9a-f]{8}$")
BATCH = 1000  # metrics in one request, MLflow's limit

# Keep MLflow's output out of the log, and detect a dead server within seconds instead of minutes.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


class Store:
    """An MLflow tracking store.

    Args:
        uri: `sqlite:///<file>` (created if missing; artifacts are written to `artifacts/` in the same folder) or the
            `http(s)://` address of a server.

    Raises:
        UsageError: If the address is neither, or the file belongs to another program.
    """

    def __init__(self, uri: str):
        self.database = sqlite_file(uri)
        self.uri = f"{SQLITE}{self.database}" if self.database else uri
        if self.database:
            self.database.parent.mkdir(parents=True, exist_ok=True)
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):  # after the import, which resets the levels
            logging.getLogger(name).setLevel(logging.WARNING)
        with self.alone():
            if self.database:
                _refuse_foreign(self.database)
                _create(self.database)
            self.client = MlflowClient(self.uri)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Lock a SQLite store against other collecting processes; it does not support two writers."""
        if not self.database:
            yield
            return
        with open(self.database.with_suffix(".lock"), "a", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def experiment(self, name: str) -> str:
        """Return the id of an experiment; create the experiment if it does not exist."""
        found = self.client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        from mlflow.exceptions import MlflowException

        folder = None if self.database is None else self.database.parent / "artifacts" / safe(name)
        try:
            return self.client.create_experiment(
                name, artifact_location=folder.as_uri() if folder else None,
                tags={"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": NOTE})
        except MlflowException:  # another live training may have created it meanwhile
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return found.experiment_id

    def run(self, experiment: str, key: str, name: str, kind: str, *, start: int | None = None,
            parent: str | None = None) -> tuple[str, bool]:
        """Find the run with this key, or create it.

        Args:
            experiment: Id of the experiment.
            key: Key that identifies the run.
            name: Display name.
            kind: `network`, `fold` or `comparison`.
            start: Start time in milliseconds since 1970.
            parent: Id of the parent run.

        Returns:
            The run's id, and whether the run was created.
        """
        key = key if re.fullmatch(r"[\w.-]+", key) else digest(key)  # it stands in a filter
        found = self.client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
        if found:
            return found[0].info.run_id, False
        tags = {KEY: key, KIND: kind, "mlflow.source.name": "pocket-collect"}
        if parent:
            tags[PARENT] = parent
        return self.client.create_run(experiment, start_time=start, run_name=name, tags=tags).info.run_id, True

    def add(self, run: str, *, parameters: Mapping[str, object], tags: Mapping[str, object],
            metrics: Mapping[str, float], at: int | None = None) -> None:
        """Add missing parameters, tags and metrics to a run.

        Args:
            run: Id of the run.
            parameters: Parameters. Existing ones are not changed.
            tags: Tags. Existing ones are overwritten if they differ.
            metrics: Metrics by `metric` name. A value is added if the latest one differs.
            at: Time of the metrics in milliseconds since 1970.
        """
        from mlflow.entities import Metric, Param, RunTag

        known = self.client.get_run(run).data
        self.client.log_batch(
            run, metrics=[Metric(name, value, at or 0, 0) for name, value in metrics.items()
                          if known.metrics.get(name) != value],
            params=[Param(name, str(value)) for name, value in parameters.items() if name not in known.params],
            tags=[RunTag(name, str(value)) for name, value in tags.items() if known.tags.get(name) != str(value)])

    def log(self, run: str, *, end: int | None = None, parent: str | None = None, **values: Any) -> None:
        """Add missing values to a run and end it.

        Args:
            run: Id of the run.
            end: End time in milliseconds since 1970.
            parent: Id of the parent run, which a live run has not recorded.
            values: Arguments of `add`.
        """
        self.add(run, at=end, **(values if parent is None else values | {"tags": values["tags"] | {PARENT: parent}}))
        if self.client.get_run(run).info.status != "FINISHED":
            self.client.set_terminated(run, "FINISHED", end_time=end)

    def log_history(self, run: str, history: Sequence[Mapping[str, float]], start: int) -> None:
        """Add missing epochs to a run, each with its step and time.

        Args:
            run: Id of the run.
            history: Rows of `history.csv`.
            start: Start of the training in milliseconds since 1970.
        """
        from mlflow.entities import Metric

        names = list(dict.fromkeys(name for row in history for name in row if name not in ("epoch", "step", "seconds")))
        known = {name: metric(*name.split("/")) for name in names}
        have = {name: {point.step for point in self.client.get_metric_history(run, known[name])} for name in names}
        points = [Metric(known[name], row[name], start + round(1000 * row["seconds"]), int(row["step"]))
                  for row in history for name in names if name in row and int(row["step"]) not in have[name]]
        for first in range(0, len(points), BATCH):
            self.client.log_batch(run, metrics=points[first:first + BATCH])

    def log_model(self, experiment: str, run: str, key: str, name: str, step: int,
                  write: Callable[[Path], None]) -> None:
        """Log a run's model, unless the run already has it.

        Args:
            experiment: Id of the experiment.
            run: Id of the run.
            key: Key that identifies the model.
            name: Display name.
            step: Training step of the model.
            write: Function that writes an MLflow model to the given folder.
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
        """Log a run's dataset, unless the run already has it.

        Args:
            run: Id of the run.
            name: Name of the dataset.
            digest_: Checksum over the dataset's files.
            profile: Properties of the dataset.
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
        """Add files to a run, unless it already has exactly these.

        Args:
            run: Id of the run.
            files: File by path within the run's artifacts.
        """
        checksum = digest({name: sha256(path) for name, path in files.items()})
        if self.client.get_run(run).data.tags.get(ARTIFACTS) == checksum:
            return
        for name, path in files.items():
            folder = Path(name).parent.as_posix()
            self.client.log_artifact(run, str(path), None if folder == "." else folder)
        self.client.set_tag(run, ARTIFACTS, checksum)


def _create(database: Path) -> None:
    """Create MLflow's tables in a new file.

    MLflow puts the place of its default experiment into SQL without quoting it. Unless it is told another one, this is
    below the current folder, whose name may have quotes. A URI has none.
    """
    if os.path.lexists(database):
        return
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(f"{SQLITE}{database}", (database.parent / "artifacts").as_uri())  # type: ignore[no-untyped-call]


def _refuse_foreign(database: Path) -> None:
    """Refuse another program's file, to which MLflow would add its tables.

    Raises:
        UsageError: If the file is not a SQLite database, or has tables other than MLflow's.
    """
    if not os.path.lexists(database):
        return
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
    except sqlite3.OperationalError:  # locked or not readable: MLflow reports it
        return
    except sqlite3.DatabaseError:
        tables = {"none"}
    if tables and "experiments" not in tables:
        raise UsageError("This file is not MLflow's; it belongs to another program.", where=str(database),
                         todo="Name another file in --mlflow-uri.")


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite address; None for a server.

    Raises:
        UsageError: If the address is neither, or the path has a `?`.
    """
    if uri.startswith(SQLITE) and "?" in uri:  # options would begin there
        raise UsageError("The path of a SQLite store cannot have a question mark in it.", where=uri,
                         todo="Name another file in --mlflow-uri.")
    if uri.startswith(SQLITE) and len(uri) > len(SQLITE):
        return Path(uri[len(SQLITE):]).absolute()
    if re.match(r"https?://[^/]+", uri):
        return None
    raise UsageError(f"This is not a tracking address: {uri!r}.",
                     todo="Give sqlite:///<file> or http(s)://<server>.")


def refuse_credentials(uri: str) -> None:
    """Refuse an address with credentials, which would appear in logs and records.

    Raises:
        UsageError: If the address contains a user name or password.
    """
    if re.match(r"(?!sqlite:).*//.*@", uri):  # a file path may contain an @
        raise UsageError("The address must not contain a user name or password.", where="--mlflow-uri",
                         todo="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "
                              "in the environment.")


def metric(*parts: str) -> str:
    """Return the metric's name `<part>/<part>…`: one that MLflow takes, and another one for other parts.

    A part that MLflow does not take as it is gets other characters and a checksum.
    """
    return "/".join(map(safe, parts))


def safe(name: str) -> str:
    """Return a name that MLflow takes as a part of a metric's name or a folder's; different names stay different."""
    changed = re.sub(r"[^\w\-. ]", "_", name)[:MOST_OF_A_NAME]
    if changed != name or name.strip(". ") != name or _CHECKSUMMED.search(name):
        return f"{changed.strip('. ')}_{digest(name)[:8]}"
    return name
