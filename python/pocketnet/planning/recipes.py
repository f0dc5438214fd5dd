"""Recipes: how to train and infer, as data in `recipes.json`."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import UsageError

RECIPES = Path(__file__).parents[1] / "recipes.json"


def load(name: str) -> dict:
    """The recipe called `name`.

    Raises:
        UsageError: There is none of that name; names those that there are.
    """
    recipes = json.loads(RECIPES.read_text(encoding="utf-8"))
    if name not in recipes:
        raise UsageError(f"Unknown recipe '{name}'.", todo=f"Use one of: {', '.join(recipes)}.")
    return recipes[name]
