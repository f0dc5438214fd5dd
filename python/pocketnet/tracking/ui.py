"""Serve MLflow's UI on this machine and say where the comparisons are: `make ui`.

`mlflow ui` starts the same server as a process of its own, and Ctrl+C ends it with a traceback.
"""

from __future__ import annotations

import os
import socket
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from ..errors import PocketError, UsageError
from .store import KIND, SQLITE, Store

HOST, PORT = "127.0.0.1", 5000
MOST = 5
"""Datasets whose comparison is named, those with the newest first."""


class _Server(uvicorn.Server):
    """A server that says where it is, and ends on SIGINT and SIGTERM without an error."""

    def __init__(self, config: uvicorn.Config, words: str):
        super().__init__(config)
        self.words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.words, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True


def main(database: Path, port: int) -> None:
    """Serve a store until SIGINT or SIGTERM.

    Raises:
        UsageError: There is no such store, or the port is in use.
    """
    if not database.is_file():
        raise UsageError("There are no runs here yet.", where=str(database),
                         todo="Run the pipeline first, or name its output folder: make ui OUTDIR=…")
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"Another program uses port {port}.", todo="Choose another one: make ui UI_PORT=5001"
                             ) from error
        address = f"http://{HOST}:{port}"
        words = "\n".join([*(f"{name}: pocket or full?  {address}/{page}" for name, page in comparisons(database)),
                           f"All runs: {address}   Stop with Ctrl+C."])
        _Server(uvicorn.Config(_application(database), log_level="warning", lifespan="off"), words).run([listener])


def comparisons(database: Path) -> list[tuple[str, str]]:
    """Return the newest comparison of each dataset as (name, page in MLflow's UI), the newest dataset first."""
    client = Store(f"{SQLITE}{database.absolute()}").client
    names = {one.experiment_id: one.name for one in client.search_experiments()}
    runs = client.search_runs(list(names), f"tags.`{KIND}` = 'comparison'", order_by=["attributes.start_time DESC"])
    newest: dict[str, str] = {}
    for run in runs:
        newest.setdefault(run.info.experiment_id, f"#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
    return [(names[experiment], page) for experiment, page in list(newest.items())[:MOST]]


def _application(database: Path) -> Any:
    """Return MLflow's application for a store; it reads its settings from the environment when it is imported."""
    from mlflow.server import constants

    uri = f"{SQLITE}{database.absolute()}"
    os.environ |= {constants.BACKEND_STORE_URI_ENV_VAR: uri, constants.REGISTRY_STORE_URI_ENV_VAR: uri,
                   constants.SERVE_ARTIFACTS_ENV_VAR: "true", constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
                   constants.ARTIFACTS_DESTINATION_ENV_VAR: (database.absolute().parent / "artifacts").as_uri()}
    with warnings.catch_warnings(action="ignore"):  # about its own libraries
        from mlflow.server.fastapi_app import app

    return app


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else PORT)
    except PocketError as problem:
        print(f"make: {problem.render()}", file=sys.stderr)
        sys.exit(problem.exit_code)
