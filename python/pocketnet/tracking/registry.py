"""Register each dataset's best network in MLflow's model registry, under the alias `best`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .store import KEY, Store, safe

ALIAS = "best"
SCORE = "pocketnet.validation_score"


class Candidate(NamedTuple):
    """A logged model.

    Attributes:
        score: Best mean validation Dice of its training (classification: AUC).
        run: Id of its run.
        key: Run key of its training.
        title: Display name.
    """

    score: float
    run: str
    key: str
    title: str


def register_best(store: Store, experiment: str, dataset: str, candidates: Sequence[Candidate]) -> None:
    """Make the candidate with the highest score a version of the registered model `dataset`, and give it the alias.

    The choice is made on validation cases, never on test cases. An earlier version with a higher score keeps the alias.
    Repeating the call changes nothing.

    Args:
        store: The store that has the candidates.
        experiment: Id of the dataset's experiment.
        dataset: Name of the dataset.
        candidates: Logged models of the dataset.
    """
    if not candidates:
        return
    best, name = max(candidates), safe(dataset)
    client = store.client
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=f"Networks for {dataset}. Of all collected, the one "
                                       f"with the highest validation score has the alias `{ALIAS}`.")
    versions = {one.tags[KEY]: one for one in client.search_model_versions(f"name = '{name}'") if KEY in one.tags}
    if best.key not in versions:
        (logged, *_) = client.search_logged_models([experiment], f"source_run_id = '{best.run}' AND tags.`{KEY}` = "
                                                   f"'{best.key}'")
        versions[best.key] = client.create_model_version(
            name, logged.artifact_location, best.run, {KEY: best.key, SCORE: repr(best.score)},
            description=best.title, model_id=logged.model_id)
    first = max(versions.values(), key=lambda one: float(one.tags[SCORE]))
    if client.get_registered_model(name).aliases.get(ALIAS) != first.version:
        client.set_registered_model_alias(name, ALIAS, first.version)
