"""The same code in other words: what a clean-up of docstrings, comments and formatting leaves of a module."""

import ast
import shutil
from pathlib import Path

import pocketnet


def reworded(source: str) -> str:
    """A module's text with another layout, other docstrings and option helps, and none of its comments."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr | ast.keyword) and getattr(node, "arg", "help") == "help" \
                and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = "Other words."
    return f"# Another comment.\n{ast.unparse(tree)}\n"


def reworded_package(folder: Path) -> Path:
    """Write the package and its lock file in other words; returns what goes on the Python path."""
    package = Path(pocketnet.__file__).parent
    shutil.copytree(package, folder / "pocketnet", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package.parent / "requirements.lock", folder)
    for path in (folder / "pocketnet").rglob("*.py"):
        path.write_text(reworded(path.read_text(encoding="utf-8")), encoding="utf-8")
    return folder
