"""Log a training to an MLflow server, epoch by epoch.

The server cannot stop a training or slow it for long: after the first failure, a warning names the address and nothing
more is sent. The model folder contains the records in any case; `pocket-collect` adds missing ones to the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from ..contracts.plan import Plan
from ..contracts.provenance import Identity
from ..errors import PocketError
from . import fold
from .store import Store, refuse_credentials


class Live:
    """Log one training to a server.

    Args:
        uri: `http://…` or `https://…`.
        log: Function that prints the warning.

    Raises:
        UsageError: If the address contains a user name or password.
    """

    def __init__(self, uri: str, log: Callable[[str], None]):
        refuse_credentials(uri)
        self.uri, self.log = uri, log
        self._store: Store | None = None
        self._run: str | None = None
        self._dead = False

    def begin(self, record: Identity, plan: Plan) -> None:
        """Start or resume the run.

        Args:
            record: The part of `provenance.json` that is already known.
            plan: Plan of the training.
        """
        self._try(self._begin, record, plan)

    def epoch(self, history: Mapping[str, Any], system: Mapping[str, Any]) -> None:
        """Log a finished epoch.

        Args:
            history: The epoch's row of `history.csv`.
            system: The epoch's row of `system.csv`.
        """
        self._try(self._epoch, history, system)

    def end(self, status: str) -> None:
        """End the run.

        Args:
            status: `FINISHED`, `KILLED` (stopped with a checkpoint) or `FAILED`.
        """
        self._try(lambda: cast(Store, self._store).client.set_terminated(cast(str, self._run), status))

    def _begin(self, record: Identity, plan: Plan) -> None:
        self._store = Store(self.uri)
        experiment = self._store.experiment(record.dataset)
        self._run, made = self._store.run(experiment, record.run_key, fold.name(record), "fold",
                                          start=_now())
        if not made:
            self._store.client.update_run(self._run, status="RUNNING")
        self._store.add(self._run, parameters=fold.parameters(record, plan), tags=fold.tags(record), metrics={})

    def _epoch(self, history: Mapping[str, Any], system: Mapping[str, Any]) -> None:
        start = _now() - round(1000 * history["seconds"])
        store, run = cast(Store, self._store), cast(str, self._run)
        store.log_history(run, [history], start)
        store.log_history(run, fold.system_metrics([system]), start)

    def _try(self, action: Callable[..., Any], *arguments: Any) -> None:
        if self._dead:
            return
        try:
            action(*arguments)
        except Exception as error:  # the training must continue on any error
            self._dead = True
            reason = error.what if isinstance(error, PocketError) else str(error).strip().split("\n")[0][:200]
            self.log(f"Warning: the training is not tracked live at {self.uri} any more.\n"
                     f"  why: {type(error).__name__}: {reason}\n"
                     "  what to do: Nothing now: it goes on; pocket-collect sends the records later.")


def _now() -> int:
    """Return the time in milliseconds since 1970."""
    return round(1000 * time.time())
