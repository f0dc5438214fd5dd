"""What counts as a step's code: a checksum over the modules that it imports, directly or not.

`-resume` and a training's run key must change when the code behind a step changes, and must not when other
code does, or when only words do: editing the report or a docstring retrains nothing. The rule is static:

1. start from `pocketnet.cli.<step>` and follow every `import` of a module of this package, wherever in the
   file it stands (late imports count);
2. importing a module runs the `__init__.py` of the packages that it lies in, so these count too;
3. of a module its syntax tree counts, without docstrings and type annotations (`syntax.py`);
4. a data file beside a counted module (JSON, template …) counts when the module names it in a string:
   `recipes.json` counts for the step that reads it, not for all. Of a folder that the module names, those
   files count whose name up to the first dot any counted module has as a string. JSON counts by its value,
   whatever its layout and the order of its keys; a JSON Schema does not count, since it changes no result;
5. the versions of the libraries that compute (`COMPUTING`) count, for every step.

Only the standard library is imported, so that the answer comes at once.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import syntax
from .errors import DataError, UsageError

PACKAGE = Path(__file__).parent
LOCK = "requirements.lock"
LIBRARIES = ("pocketnet", "tensorflow", "keras", "numpy", "scipy", "pandas", "SimpleITK", "nibabel", "blosc2",
             "openvino", "mlflow")
COMPUTING = ("blosc2", "keras", "nibabel", "numba", "numpy", "openvino", "scipy", "simpleitk", "tensorflow")
"""The libraries of which another version may give other numbers. nibabel is among them because it makes voxel values of
a file's numbers, Numba because its compiler orders the arithmetic of augmentation."""
DATA_SUFFIXES = {".json", ".jinja", ".html", ".css", ".js"}


def steps(package: Path = PACKAGE) -> list[str]:
    """The steps that there are: the modules of `pocketnet.cli`, without what they share."""
    names = {path.stem for path in (package / "cli").glob("*.py")}
    return sorted(names - {"__init__", "common", "code"})


@cache
def code_hash(step: str, package: Path = PACKAGE) -> str:
    """Checksum of the code of one step, 16 hexadecimal digits.

    Args:
        step: The name after `pocket-`, for example `train`.
        package: The package's folder.

    Raises:
        UsageError: There is no such step.
        DataError: A file of the package cannot be parsed.
    """
    total = hashlib.sha256("\n".join(libraries(package)).encode())
    for path in closure(step, package):
        total.update(f"{path.relative_to(package.parent).as_posix()}\n{_checksum(path)}\n".encode())
    return total.hexdigest()[:16]


def commit() -> str | None:
    """The commit that this code was checked out at, with `+` where files differ from it; None outside git."""
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True,
                              check=True, timeout=20).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def differing(package: Path, other: Path = PACKAGE) -> list[str]:
    """The steps whose code in one folder of the package is not that in another, sorted."""
    if package.resolve() == other.resolve():
        return []
    both = set(steps(package)) & set(steps(other))
    return sorted(step for step in {*steps(package), *steps(other)}
                  if step not in both or code_hash(step, package) != code_hash(step, other))


def libraries(package: Path = PACKAGE) -> list[str]:
    """The libraries that compute, as `name==version`, sorted.

    The versions are those that the lock file beside the package pins, as in a clone and in an image made from it: all
    that it pins for any Python version, so that both give the same answer. Without a lock they are the installed ones.
    """
    lock = package.parent / LOCK
    if lock.is_file():
        pins = re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    else:
        pins = [(name, _installed(name)) for name in COMPUTING]
    names = ((re.sub(r"[-_.]+", "-", name).lower(), pinned) for name, pinned in pins)
    return sorted({f"{name}=={pinned}" for name, pinned in names if name in COMPUTING})


def _installed(name: str) -> str:
    """A library's version, without importing it."""
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
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"This file of the package is not JSON: {error}.", where=str(path)) from None


def closure(step: str, package: Path = PACKAGE) -> list[Path]:
    """The files whose content defines a step, sorted by path."""
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
    """A module's syntax tree, of which only what counts is left."""
    try:
        return syntax.code_of(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, ValueError) as error:
        raise DataError(f"This module of the package is not Python: {error}.", where=str(path)) from None


@cache
def _imports(path: Path, package: Path) -> tuple[Path, ...]:
    """The package's own files that importing `path` may load."""
    here = path.relative_to(package.parent).with_suffix("").parts[:-1]
    return tuple(file for name in _module_names(_tree(path), here) if name[0] == package.name
                 for file in _files(name, package))


def _module_names(tree: ast.AST, here: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Every dotted name that an import may mean, as parts; `here` is the importing module's package."""
    for node in ast.walk(tree):
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
    """The source files of a module and of the packages around it; nothing for a name that isn't a module."""
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
    """Every string in a module; of a path, its last part."""
    return frozenset(node.value.rsplit("/", 1)[-1] for node in ast.walk(_tree(module))
                     if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _data_beside(module: Path, said: set[str]) -> Iterator[Path]:
    """Data files beside a module that it names; of a folder that it names, the files that `said` has by kind."""
    for entry in module.parent.iterdir():
        if entry.name in _strings(module) and not (entry / "__init__.py").exists():
            files = [f for f in entry.rglob("*") if f.name.split(".")[0] in said] if entry.is_dir() else [entry]
            yield from (file for file in files
                        if file.suffix in DATA_SUFFIXES and not file.name.endswith(".schema.json"))


def library_versions() -> dict[str, str]:
    """The versions of Python, this package and the libraries that results depend on; nothing is imported."""
    import platform

    return {"python": platform.python_version(), "system": _system()} | {name: _installed(name) for name in LIBRARIES}


def _system() -> str:
    """The distribution that this runs on, in a container the container's; else the kernel's name."""
    import platform

    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
