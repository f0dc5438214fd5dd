"""Recipes: how to train and infer, as data in `recipes.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import UsageError

RECIPES = Path(__file__).parents[1] / "recipes.json"


def load(name: str, task: str = "segmentation") -> dict[str, Any]:
    """The recipe called `name`, for a task: for a classification, its section of that name overrides the rest.

    A recipe that `extends` another has that one's values where it has none of its own, section by section.

    Raises:
        UsageError: There is none of that name, or it is not for this task; names those that there are.
    """
    recipes = json.loads(RECIPES.read_text(encoding="utf-8"))
    if name not in recipes:
        raise UsageError(f"Unknown recipe '{name}'.", todo=f"Use one of: {', '.join(recipes)}.")
    recipe = _extended(recipes, name)
    special = recipe.pop("classification", None)
    if task == "classification":
        if special is None:
            raise UsageError(f"The recipe '{name}' does not say how to train a classifier.",
                             todo="Use one of: " + ", ".join(
                                 n for n in recipes if "classification" in _extended(recipes, n)) + ".")
        training = recipe["training"] | special.pop("training")
        recipe |= special | {"training": training}
    return recipe


def _extended(recipes: dict[str, Any], name: str) -> dict[str, Any]:
    own = dict(recipes[name])
    base = own.pop("extends", None)
    if base is None:
        return own
    return patched(_extended(recipes, base), own)


def patched(value: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with another laid over it, object by object; `None` removes (RFC 7396)."""
    out = dict(value)
    for key, change in patch.items():
        if change is None:
            out.pop(key, None)
        else:
            out[key] = patched(out.get(key, {}), change) if isinstance(change, dict) else change
    return out
