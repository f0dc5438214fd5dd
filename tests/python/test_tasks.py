"""Tasks as objects: each room's registry has every task, and nothing else says which task a run is for."""

from __future__ import annotations

import ast
import inspect
import re
import typing
from importlib import import_module
from pathlib import Path

import pytest
from pocketnet.contracts.plan import LOSS_NAMES
from pocketnet.contracts.tasks import CLASSIFICATION, SEGMENTATION, TASKS, Task
from pocketnet.models.network import ARCHITECTURES

PACKAGE = Path(__file__).parents[2] / "python" / "pocketnet"
HOME = PACKAGE / "contracts" / "tasks.py"
NAMES = {"SEGMENTATION": SEGMENTATION, "CLASSIFICATION": CLASSIFICATION}
OTHER_MEANINGS = {
    "contracts/classification.py": "the kind of `classification.json`",
    "inference/options.py": "the column of a served model's answer",
}
"""Modules with a text that only happens to be a task's name, each with what it is."""

REGISTRIES = {
    "preprocessing.tasks.TASKS": "preprocessing.tasks.PreprocessingTask",
    "datasets.tasks.TASKS": "datasets.tasks.DatasetTask",
    "training.tasks.TASKS": "training.tasks.TrainingTask",
    "evaluation.table.TABLES": "evaluation.table.Form",
    "evaluation.tasks.TASKS": {"layout": "evaluation.tasks.Layout", "comparison": "evaluation.tasks.Compare"},
    "evaluation.evaluate.TASKS": "evaluation.evaluate.Evaluate",
    "inference.tasks.TASKS": "inference.tasks.InferenceTask",
    "tracking.tasks.TASKS": "tracking.tasks.TrackingTask",
    "report.tasks.TASKS": "report.tasks.ReportTask",
}


def named(name: str):
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(f"pocketnet.{module}"), attribute)


def task_of(node: ast.AST) -> str | None:
    """The task that an expression names, by its constant or as text."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None
    value = node.value if isinstance(node, ast.Constant) else NAMES.get(name or "")
    return value if value in TASKS else None


def branches(source: str) -> list[int]:
    """Lines that name a task other than as a key of a registry of all tasks or as the value of a declared attribute."""
    tree, allowed = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and {task_of(key) for key in node.keys if key} == set(TASKS):
            allowed |= {id(key) for key in node.keys}
        if isinstance(node, ast.ClassDef):
            allowed |= {id(statement.value) for statement in node.body if isinstance(statement, ast.Assign)}
    return sorted({node.lineno for node in ast.walk(tree) if task_of(node) and id(node) not in allowed})


def comparisons(source: str) -> list[int]:
    """Lines that compare with the name of an architecture that is a task's only one."""
    tasks = [entry["task"] for entry in ARCHITECTURES.values()]
    only = {name for name, entry in ARCHITECTURES.items() if tasks.count(entry["task"]) == 1}
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare)
            for side in ast.walk(node) if isinstance(side, ast.Constant) and side.value in only]


def test_no_module_branches_on_the_task():
    found, seen = [], set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name, source = path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")
        lines = branches(source) if path != HOME else []
        if name in OTHER_MEANINGS and lines:
            seen.add(name)
            assert len(lines) == 1, name
            lines = []
        found += [f"{name}:{line}" for line in [*lines, *comparisons(source)]]
    assert found == []
    assert seen == set(OTHER_MEANINGS)


@pytest.mark.parametrize("source", [
    "if plan.task == CLASSIFICATION: pass", "x = 1 if task == 'segmentation' else 2", "f(labels.SEGMENTATION)",
    "classified = plan.get('task') in ('classification',)", "x = {SEGMENTATION: 1}[task]",
    "match task:\n    case 'classification': pass", "def f(task='segmentation'): pass",
])
def test_a_branch_is_found(source):
    assert branches(source)


@pytest.mark.parametrize("source", [
    "TASKS = {SEGMENTATION: a, CLASSIFICATION: b}", "class Predictor:\n    task = SEGMENTATION", "f(task)",
    "'''A classification.'''", "from ..contracts.tasks import CLASSIFICATION",
])
def test_a_registry_and_a_declaration_are_no_branch(source):
    assert branches(source) == []


def test_a_comparison_with_the_only_architecture_of_a_task_is_found():
    assert comparisons("if arch == 'classifier': pass") == [1]
    assert comparisons("if arch == 'unet': pass") == []


def test_the_pipeline_has_rules_for_every_task_and_no_branch():
    tasks = PACKAGE.parents[1] / "lib" / "Tasks.groovy"
    assert set(re.findall(r"^ +(\w+): +\[", tasks.read_text(encoding="utf-8"), re.MULTILINE)) == set(TASKS)
    scripts = [path for folder in ("lib", "workflows", "modules") for path in (PACKAGE.parents[1] / folder).iterdir()]
    assert len(scripts) > 25
    assert [path.name for path in scripts if path != tasks
            and re.search(r"""(["'])({})\1""".format("|".join(TASKS)), path.read_text(encoding="utf-8"))] == []


def test_every_task_has_its_rules():
    assert set(TASKS) == set(typing.get_args(Task))
    for rules in TASKS.values():
        assert rules.losses and set(rules.losses) <= set(LOSS_NAMES)


def test_every_registry_is_listed():
    found = {f"{'.'.join(path.relative_to(PACKAGE).with_suffix('').parts)}.{node.target.id}"
             for path in PACKAGE.rglob("*.py") if path != HOME
             for node in ast.parse(path.read_text(encoding="utf-8")).body
             if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)
             and {task_of(key) for key in node.value.keys if key} == set(TASKS)}
    assert found == set(REGISTRIES)


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_task_fulfils_the_protocol(registry):
    found, protocols = named(registry), REGISTRIES[registry]
    assert set(found) == set(TASKS)
    for task in found.values():
        for part, protocol in (protocols.items() if isinstance(protocols, dict) else [(None, protocols)]):
            check(task if part is None else getattr(task, part), named(protocol))


def check(implementation: object, protocol: type) -> None:
    """Every member is there: a function with the protocol's parameters in order, or a value of the protocol's type."""
    members = {name: member for name, member in vars(protocol).items()
               if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))}
    assert members
    for name, member in members.items():
        own = getattr(implementation, name)
        if inspect.isfunction(member):
            expected = [one for one in inspect.signature(member).parameters if one != "self"]
            assert list(inspect.signature(own).parameters) == expected, f"{implementation} {name}"
        else:
            assert own is not None
