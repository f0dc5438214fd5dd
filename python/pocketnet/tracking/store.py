"""An MLflow store to which runs are added so that adding one twice changes nothing.

Every run carries its key in the tag `pocketnet.run_key`: a run is looked for before it is made, and only what
differs is written.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import UsageError
from ..files import digest, sha256

KEY, KIND, ARTIFACTS = "pocketnet.run_key", "pocketnet.kind", "pocketnet.artifacts"
SQLITE = "sqlite:///"
NOTE = """Pocket or full? Tick the two parent runs (`<arch> <width> <recipe>`) and press Compare: their `dice/mean`,
`hd95_mm/mean` and `asd_mm/mean` are means over all cases of all folds; a classification has `auc/<class>` and others.
The run `comparison of …` holds the paired differences, the tables and the report. Below each parent are its folds with
learning curves, model and pictures.
"""
BATCH = 1000  # metrics in one request, MLflow's limit

# Nothing is reported to anyone, nothing is printed between a step's own lines, and a dead server is noticed within
# seconds instead of minutes.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")


class Store:
    """A tracking address.

    Args:
        uri: `sqlite:///<file>` (made when it is not there; artifacts go to `artifacts/` beside it) or the
            `http(s)://` address of a server.

    Raises:
        UsageError: The address is neither.
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
            self.client = MlflowClient(self.uri)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other collecting processes out of a SQLite store, which does not bear two writers."""
        if not self.database:
            yield
            return
        with open(self.database.with_suffix(".lock"), "w", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def experiment(self, name: str) -> str:
        """The id of an experiment, made when it is not there."""
        found = self.client.get_experiment_by_name(name)
        if found:
            return found.experiment_id
        folder = None if self.database is None else self.database.parent / "artifacts" / safe(name)
        return self.client.create_experiment(
            name, artifact_location=folder.as_uri() if folder else None,
            tags={"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": NOTE})

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
            tags["mlflow.parentRunId"] = parent
        return self.client.create_run(experiment, start_time=start, run_name=name, tags=tags).info.run_id, True

    def log(self, run: str, *, parameters: Mapping[str, object], tags: Mapping[str, object],
            metrics: Mapping[str, float], end: int | None = None) -> None:
        """Add what the run does not have yet and end it.

        Args:
            run: The run's id.
            parameters: Those that the run has already stay as they are.
            tags: Overwritten where they differ.
            metrics: A new value is added where the latest one differs.
            end: Milliseconds since 1970.
        """
        from mlflow.entities import Metric, Param, RunTag

        known = self.client.get_run(run)
        self.client.log_batch(
            run, metrics=[Metric(safe(name), value, end or 0, 0) for name, value in metrics.items()
                          if known.data.metrics.get(safe(name)) != value],
            params=[Param(name, str(value)) for name, value in parameters.items() if name not in known.data.params],
            tags=[RunTag(name, str(value)) for name, value in tags.items() if known.data.tags.get(name) != str(value)])
        if known.info.status != "FINISHED":
            self.client.set_terminated(run, "FINISHED", end_time=end)

    def log_history(self, run: str, history: Sequence[Mapping[str, float]], start: int) -> None:
        """Add the epochs that the run does not have yet, at their step and time.

        Args:
            run: The run's id.
            history: Rows of `history.csv`.
            start: When the training started, milliseconds since 1970.
        """
        from mlflow.entities import Metric

        names = [name for name in (history[0] if history else {}) if name not in ("epoch", "step", "seconds")]
        have = {name: {point.step for point in self.client.get_metric_history(run, name)} for name in names}
        points = [Metric(name, row[name], start + round(1000 * row["seconds"]), int(row["step"]))
                  for row in history for name in names if int(row["step"]) not in have[name]]
        for first in range(0, len(points), BATCH):
            self.client.log_batch(run, metrics=points[first:first + BATCH])

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


def safe(name: str) -> str:
    """A name with the characters only that MLflow takes in names of metrics."""
    return re.sub(r"[^\w\-./ ]", "_", name, flags=re.ASCII)
