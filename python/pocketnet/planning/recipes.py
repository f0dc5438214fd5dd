"""Load recipes: the settings for training and inference in `recipes.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..contracts.tasks import DEFAULT, TASKS
from ..errors import UsageError

RECIPES = Path(__file__).parents[1] / "recipes.json"


def load(name: str, task: str = DEFAULT) -> dict[str, Any]:
    """Load a recipe for a task.

    A recipe is for the default task. For another task, the recipe's section with its name overrides the other sections.
    A recipe that `extends` another inherits all values, at any depth, that it does not set itself. The section `2d`
    overrides the others in the plan of a 2D network on slices of volumes.

    Raises:
        UsageError: The recipe is unknown or does not support the task; the message lists the valid names.
    """
    recipes = json.loads(RECIPES.read_text(encoding="utf-8"))
    if name not in recipes:
        raise UsageError(f"Unknown recipe '{name}'.", todo=f"Use one of: {', '.join(recipes)}.")
    recipe = _extended(recipes, name)
    sections = {other: recipe.pop(other, None) for other in TASKS}
    if task == DEFAULT:
        return recipe
    special = sections[task]
    if special is None:
        raise UsageError(f"The recipe '{name}' does not say how to train for {task}.",
                         todo="Use one of: " + ", ".join(n for n in recipes if task in _extended(recipes, n)) + ".")
    return recipe | special | {"training": recipe["training"] | special["training"]}


def _extended(recipes: dict[str, Any], name: str) -> dict[str, Any]:
    own = dict(recipes[name])
    base = own.pop("extends", None)
    if base is None:
        return own
    return patched(_extended(recipes, base), own)


def patched(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Merge `patch` into a JSON object recursively; a value of None removes the key (JSON Merge Patch, RFC 7396)."""
    out = dict(value)
    for key, change in patch.items():
        if change is None:
            out.pop(key, None)
        else:
            out[key] = patched(out.get(key, {}), change) if isinstance(change, dict) else change
    return out
