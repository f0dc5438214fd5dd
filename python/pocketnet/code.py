"""Compute a checksum of a step's code: all modules that it imports, directly or indirectly.

`-resume` and run keys of trainings depend on this checksum. It must change when the code of a step changes, but not
when only other code or text changes: editing the report or a docstring must not cause a new training. The rules are
static:

1. Start from `pocketnet.cli.<step>` and follow every `import` of a module of this package, anywhere in the file,
   including imports inside functions.
2. The `__init__.py` files of a module's packages count too, because importing the module runs them.
3. A module counts as its syntax tree, without docstrings and most type annotations (`syntax.py`).
4. A data file (JSON, template, …) next to a counted module counts if the module names it in a string. For example,
   `recipes.json` counts only for the step that reads it. If a module names a folder, a file in it counts if any counted
   module has its name, up to the first dot, as a string. JSON counts by value, regardless of layout and key order. JSON
   Schemas do not count, because they do not change results.
5. The versions of the computing libraries (`COMPUTING`) count for every step.

This module imports only the standard library, so that it starts fast.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import syntax
from .errors import DataError, UsageError
from .text import parse_json

PACKAGE = Path(__file__).parent
LOCK = "requirements.lock"
LIBRARIES = ("pocketnet-suite", "tensorflow", "keras", "numpy", "scipy", "pandas", "SimpleITK", "nibabel", "blosc2",
             "openvino", "mlflow")
COMPUTING = ("blosc2", "keras", "nibabel", "numba", "numpy", "openvino", "scipy", "simpleitk", "tensorflow")
"""Libraries whose version may affect numerical results. nibabel scales stored values to voxel values, and Numba's
compiler decides the order of arithmetic in augmentation."""
DATA_SUFFIXES = {".json", ".jinja", ".html", ".css", ".js"}


def steps(package: Path = PACKAGE) -> list[str]:
    """List all steps: the modules of `pocketnet.cli` except shared ones."""
    names = {path.stem for path in (package / "cli").glob("*.py")}
    return sorted(names - {"__init__", "common", "code"})


@cache
def code_hash(step: str, package: Path = PACKAGE) -> str:
    """Return the checksum of a step's code, 16 hexadecimal digits.

    Args:
        step: The name after `pocket-`, for example `train`.
        package: Folder of the package.

    Raises:
        UsageError: The step does not exist.
        DataError: A file of the package cannot be parsed.
    """
    total = hashlib.sha256("\n".join(libraries(package)).encode())
    for path in closure(step, package):
        total.update(f"{path.relative_to(package.parent).as_posix()}\n{_checksum(path)}\n".encode())
    return total.hexdigest()[:16]


def commit() -> str | None:
    """Return the commit of the checkout, with `+` if files differ from it; None outside git."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True,
                              check=True, timeout=20).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def differing(package: Path, other: Path = PACKAGE) -> list[str]:
    """List the steps whose code differs between two folders of the package, sorted."""
    if package.resolve() == other.resolve():
        return []
    both = set(steps(package)) & set(steps(other))
    return sorted(step for step in {*steps(package), *steps(other)}
                  if step not in both or code_hash(step, package) != code_hash(step, other))


def libraries(package: Path = PACKAGE) -> list[str]:
    """List the computing libraries as `name==version`, sorted.

    The versions come from the lock file next to the package, with its pins for all Python versions, so that a clone and
    an image built from it give the same result. Without a lock file, they are the installed versions.
    """
    lock = package.parent / LOCK
    if lock.is_file():
        pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    else:
        pins = [(name, _installed(name)) for name in COMPUTING]
    names = ((re.sub(r"[-_.]+", "-", name).lower(), pinned) for name, pinned in pins)
    return sorted({f"{name}=={pinned}" for name, pinned in names if name in COMPUTING})


def _installed(name: str) -> str:
    """Return a library's version without importing it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


@cache
def _checksum(path: Path) -> str:
    if path.suffix == ".py":
        content = syntax.canonical(_tree(path)).encode()
    elif path.suffix == ".json":
        content = json.dumps(_json(path), sort_keys=True).encode()
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _json(path: Path) -> object:
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise DataError(f"This file of the package is not JSON: {error}.", where=str(path)) from None


def closure(step: str, package: Path = PACKAGE) -> list[Path]:
    """List the files whose content defines a step, sorted by path."""
    start = package / "cli" / f"{step}.py"
    if not start.is_file():
        raise UsageError(f"There is no step '{step}'.", todo=f"Known steps: {', '.join(steps(package))}.")
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imports(path, package))
    said = set().union(*(_strings(module) for module in found))
    found.update(data for module in list(found) for data in _data_beside(module, said))
    return sorted(found)


@cache
def _tree(path: Path) -> ast.Module:
    """Return a module's syntax tree, reduced to the parts that count."""
    try:
        return syntax.code_of(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError) as error:
        raise DataError(f"This module of the package is not Python: {error}.", where=str(path)) from None


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    """Return all nodes of a module's syntax tree."""
    return tuple(ast.walk(_tree(path)))


@cache
def _imports(path: Path, package: Path) -> tuple[Path, ...]:
    """Return the files of the package that importing `path` may load."""
    here = path.relative_to(package.parent).with_suffix("").parts[:-1]
    return tuple(file for name in _module_names(_nodes(path), here) if name[0] == package.name
                 for file in _files(name, package))


def _module_names(nodes: Iterable[ast.AST], here: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield all dotted names that imports may refer to, split at the dots; `here` is the importing module's package."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            yield base
            for alias in node.names:  # `from .models import build` may name a module
                yield (*base, alias.name)


def _files(name: tuple[str, ...], package: Path) -> Iterator[Path]:
    """Yield the source files of a module and of its parent packages; for other names, only those of the packages."""
    folder = package.parent
    for part in name:
        module, folder = folder / f"{part}.py", folder / part
        if (folder / "__init__.py").is_file():
            yield folder / "__init__.py"
        elif module.is_file():
            yield module
            return
        else:
            return


@cache
def _strings(module: Path) -> frozenset[str]:
    """Return all strings in a module; of paths, only the last part."""
    return frozenset(node.value.rsplit("/", 1)[-1] for node in _nodes(module)
                     if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _data_beside(module: Path, said: set[str]) -> Iterator[Path]:
    """Yield data files next to a module that it names.

    If it names a folder, yield the files whose name up to the first dot is in `said`.
    """
    for entry in module.parent.iterdir():
        if entry.name in _strings(module) and not (entry / "__init__.py").exists():
            files = [f for f in entry.rglob("*") if f.name.split(".")[0] in said] if entry.is_dir() else [entry]
            yield from (file for file in files
                        if file.suffix in DATA_SUFFIXES and not file.name.endswith(".schema.json"))


def library_versions() -> dict[str, str]:
    """Return the versions of Python, the system, this package and its main libraries, without importing them."""
    import platform

    return {"python": platform.python_version(), "system": _system()} | {name: _installed(name) for name in LIBRARIES}


def _system() -> str:
    """Return the name of the Linux distribution (in a container, the container's), or else of the operating system."""
    import platform

    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
