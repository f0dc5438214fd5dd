"""What counts as a step's code: a checksum over the modules that it imports, directly or not.

`-resume` and a training's run key must change when the code behind a step changes, and must not when other
code does: editing the report retrains nothing. The rule is static and simple:

1. start from `pocketnet.cli.<step>` and follow every `import` of a module of this package, wherever in the
   file it stands (late imports count);
2. importing a module runs the `__init__.py` of the packages that it lies in, so these count too;
3. a data file beside a counted module (JSON, template …) counts when the module names it in a string:
   `recipes.json` counts for the step that reads it, not for all. Of a folder that the module names, those
   files count whose name up to the first dot any counted module has as a string: `schemas/plan.schema.json`
   counts where somebody says "plan";
4. the lock file counts, where the clone has it: other versions of the libraries are other code.

Only the standard library is imported, so that the answer comes at once.
"""

from __future__ import annotations

import ast
import hashlib
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .errors import UsageError

PACKAGE = Path(__file__).parent
LOCK = "requirements.lock"
LIBRARIES = ("pocketnet", "tensorflow", "keras", "numpy", "scipy", "pandas", "SimpleITK", "nibabel", "blosc2",
             "openvino", "mlflow")
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
    """
    total = hashlib.sha256()
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


@cache
def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    lock = package.parent / LOCK
    if lock.is_file():
        found.add(lock)
    return sorted(found)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


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
            yield from (file for file in files if file.suffix in DATA_SUFFIXES)


def library_versions() -> dict[str, str]:
    """The versions of Python, this package and the libraries that results depend on; nothing is imported."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version(), "system": _system()}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return versions


def _system() -> str:
    """The distribution that this runs on, in a container the container's; else the kernel's name."""
    import platform

    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
