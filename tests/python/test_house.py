"""The house: the picture in docs/contributing.md against every import, and the sizes of files and functions."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from pocketnet.viewer import packages

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "pocketnet"
CONTRIBUTING = ROOT / "docs" / "contributing.md"
Module = tuple[str, ...]

MOST_LINES = 400
CODE = (".py", ".nf", ".groovy", ".jinja", ".css", ".js")
FOLDERS = ("python/pocketnet", "tests", "bench", "bin", "lib", "modules", "workflows")
LONG_FILES: dict[str, str] = {}
"""Files that are longer, each with the reason."""

MOST_PARAMETERS = 8
MANY_PARAMETERS = {
    **dict.fromkeys((f"cli/{name}.py main" for name in (
        "calibrate", "card", "check", "collect", "evaluate", "experiment", "infer", "models", "picture", "plan",
        "profile", "report", "train", "verify")),
        "Click gives a command an argument for each of its options"),
    "experiments/inputs.py read": "an argument for each file of a run, as in `pocket-experiment`",
    "profiling/wanted.py configurations": "an argument for each option of `pocket-profile` that a network is made from",
    "training/fit.py __init__": "what is trained, on what and where, and four that tests leave out",
}
"""Functions of the package with more parameters, `self` not counted, each with the reason."""


def floors(page: str) -> list[set[str]]:
    """The rooms of each floor, from the ground up, as the page draws them."""
    picture = re.search(r"^```text\n(cli\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert picture, "no picture that begins with cli"
    return [{room.strip() for room in line.split("|")} for line in reversed(picture[1].splitlines())]


def imports(package: Path) -> dict[Module, set[Module]]:
    """By module, the package's modules that it imports, wherever the import stands. A package is its `__init__`."""
    files = {path.relative_to(package).with_suffix("").parts: path for path in package.rglob("*.py")}
    return {module: {found for name in _names(ast.parse(path.read_text(encoding="utf-8")), module, package.name)
                     if (found := _module(name, files)) and found != module}
            for module, path in files.items()}


def _names(tree: ast.AST, module: Module, package: str) -> Iterator[Module]:
    """Dotted names that the imports mean, from the package's root on; `from x import y` is `x.y`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = (package, *module)[:-node.level] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            names = [(*base, alias.name) for alias in node.names]
        else:
            continue
        yield from (name[1:] for name in names if name[0] == package)


def _module(name: Module, files: dict[Module, Path]) -> Module | None:
    """The module that a dotted name is, or lies in."""
    choices = (choice for n in range(len(name), -1, -1) for choice in (name[:n], (*name[:n], "__init__")))
    return next((choice for choice in choices if choice in files), None)


def upward(package: Path, rooms: list[set[str]]) -> list[str]:
    """The imports that do not point to a lower floor or within a room."""
    level = {room: number for number, floor in enumerate(rooms) for room in floor}
    return [f"{'.'.join(importing)} imports {'.'.join(imported)}"
            for importing, found in imports(package).items() for imported in sorted(found)
            if importing[0] != imported[0] and level[imported[0]] >= level[importing[0]]]


def circle(package: Path) -> list[str]:
    """Modules that import each other in a circle; empty if there is none."""
    try:
        TopologicalSorter(imports(package)).prepare()
    except CycleError as error:
        return [".".join(module) for module in error.args[1]]
    return []


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many parameters a function has, of whatever kind, without `self` or `cls`."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg) if one]
    return len(names) - (names[:1] in (["self"], ["cls"]))


@pytest.fixture(scope="module")
def drawn():
    return floors(CONTRIBUTING.read_text(encoding="utf-8"))


def test_the_picture_has_every_room_once(drawn):
    rooms = {module[0] for module in imports(PACKAGE)}
    assert sorted(room for floor in drawn for room in floor) == sorted(rooms)


def test_no_import_points_upwards(drawn):
    assert upward(PACKAGE, drawn) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle(PACKAGE) == []


def test_no_file_is_too_long():
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
             for folder in FOLDERS for path in (ROOT / folder).rglob("*")
             if path.suffix in CODE and path.parent != packages.FILES}
    assert "python/pocketnet/cli/train.py" in sizes
    assert {name for name, lines in sizes.items() if lines > MOST_LINES} == set(LONG_FILES)


def test_no_function_has_too_many_parameters():
    found = {f"{path.relative_to(PACKAGE).as_posix()} {node.name}"
             for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
             if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and parameters(node) > MOST_PARAMETERS}
    assert found == set(MANY_PARAMETERS)


@pytest.mark.parametrize(("source", "count"), [
    ("def f(a, /, b, *c, d=1, **e): pass", 5), ("def f(self, a): pass", 1), ("def f(cls): pass", 0)])
def test_parameters_of_every_kind_count(source, count):
    assert parameters(ast.parse(source).body[0]) == count


@pytest.mark.parametrize("source", [
    "from ..high import a", "from ..high.a import X", "import house.high.a", "from house.high import a",
    "def late():\n    from ..high.a import X",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..high.a import X",
])
def test_an_upward_import_is_found_wherever_it_stands(tmp_path, source):
    house = make_house(tmp_path, {"low/b": source, "high/a": "from ..low import c", "low/c": "import math"})
    assert upward(house, [{"low", "__init__"}, {"high"}]) == ["low.b imports high.a"]
    assert circle(house) == []


def test_no_training_has_left_its_checkpoints_in_the_repository():
    """A later training of the same key would go on from them."""
    listed = subprocess.run(["git", "ls-files", "-z", "*/step-*.npz", "checkpoints/*"], cwd=ROOT, text=True,
                            capture_output=True)
    if listed.returncode:
        pytest.skip("this is no clone of the repository")
    assert listed.stdout == ""


def test_a_room_on_the_same_floor_is_not_imported_either(tmp_path):
    house = make_house(tmp_path, {"left/a": "from ..right.b import X", "right/b": "X = 1"})
    assert upward(house, [{"__init__"}, {"left", "right"}]) == ["left.a imports right.b"]


def test_a_circle_within_a_room_is_found(tmp_path):
    house = make_house(tmp_path, {"low/a": "from . import b", "low/b": "def late():\n    from .a import X"})
    assert set(circle(house)) == {"low.a", "low.b"}


def make_house(folder: Path, modules: dict[str, str]) -> Path:
    for name, source in modules.items():
        path = folder / "house" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(source)
    (folder / "house" / "__init__.py").touch()
    return folder / "house"
