"""The checksum of a step's code: what changes it, and what must not."""

import shutil

import pytest
from pocketnet import code
from pocketnet.errors import DataError, UsageError

FILES = {
    "__init__.py": "",
    "errors.py": "class UsageError(Exception): pass",
    "recipes.json": '{"a": 1, "b": {"c": [1, 2], "d": 2}}',
    "cli/__init__.py": "",
    "cli/common.py": "from ..errors import UsageError",
    "cli/train.py": "from .common import command\ndef main():\n    from ..training import fit",
    "cli/report.py": "from .common import command\nfrom ..report.page import write",
    "cli/plan.py": "from ..recipes import read",
    "recipes.py": "PATH = 'recipes.json'\nFOLDERS = 'schemas', 'tables'\nKIND = 'plan'",
    "schemas/plan.schema.json": "{}",
    "tables/plan.json": "[]",
    "tables/other.json": "[]",
    "training/__init__.py": "",
    "training/fit.py": "import pocketnet.training.losses\nimport json, os.path",
    "training/losses.py": "",
    "report/__init__.py": "",
    "report/page.py": "TEMPLATE = 'page.html.jinja'",
    "report/page.html.jinja": "<html>",
}

LOCK = """\
keras==3.15.1 \\
    --hash=sha256:aa
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:bb
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
rich==14.0.0 \\
    --hash=sha256:dd
tensorflow==2.21.0 \\
    --hash=sha256:ee
"""
ALL = {"train", "report", "plan"}


@pytest.fixture
def package(tmp_path):
    """A small package with the shape of ours."""
    root = tmp_path / "pocketnet"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "requirements.lock").write_text(LOCK)
    return root


def forget():
    for cached in (code.code_hash, code._checksum, code._imports, code._tree, code._nodes, code._strings):
        cached.cache_clear()


def hashes(package):
    forget()
    return {step: code.code_hash(step, package) for step in code.steps(package)}


def changed_by(package, name, text):
    """The steps whose checksum is another once a file has this text."""
    before = hashes(package)
    (package / name).write_text(text)
    after = hashes(package)
    return {step for step in before if before[step] != after[step]}


@pytest.mark.parametrize("name, changed", [
    ("training/losses.py", {"train"}),  # by `import a.b.c` out of a late `from ..training import fit`
    ("training/__init__.py", {"train"}),
    ("report/page.py", {"report"}),
    ("cli/common.py", {"train", "report"}),
    ("__init__.py", ALL),
])
def test_code_changes_the_steps_that_import_it_and_words_change_none(package, name, changed):
    source = (package / name).read_text()
    words = f'"""Words, \'recipes.json\'."""\n# and more\n{source}\n"recipes.json"\n'
    assert changed_by(package, name, words) == set()
    assert changed_by(package, name, f"{source}\nEDITED = 1") == changed


@pytest.mark.parametrize("name, text, changed", [
    ("recipes.json", '{"b": {"d": 2, "c": [1, 2]},\n\n "a": 1}', set()),
    ("recipes.json", '{"a": 1, "b": {"c": [2, 1], "d": 2}}', {"plan"}),
    ("recipes.json", '{"a": 1.5, "b": {"c": [1, 2], "d": 2}}', {"plan"}),
    ("schemas/plan.schema.json", '{"title": "another"}', set()),
    ("tables/plan.json", "[1]", {"plan"}),
    ("tables/other.json", "[1]", set()),
    ("report/page.html.jinja", "<html><body>", {"report"}),
])
def test_data_counts_by_value_where_a_step_names_it(package, name, text, changed):
    assert changed_by(package, name, text) == changed


@pytest.mark.parametrize("old, new, changed", [
    ("rich==14.0.0", "rich==14.1.0", set()),
    ("rich==14.0.0", "rich==14.0.0 \\\n    --hash=sha256:ff\nmatplotlib==3.10.1", set()),
    ("sha256:ee", "sha256:eeee", set()),
    ("keras==3.15.1 ", "# by hand\nKeras==3.15.1  ", set()),
    ("tensorflow==2.21.0", "tensorflow==2.21.1", ALL),
    ("numpy==2.5.5", "numpy==2.5.6", ALL),  # the pin of another Python version counts, too
])
def test_of_the_lock_only_the_versions_of_libraries_that_compute_count(package, old, new, changed):
    assert changed_by(package, "../requirements.lock", LOCK.replace(old, new)) == changed


def test_without_a_lock_the_installed_versions_count(package):
    (package.parent / "requirements.lock").unlink()
    installed = code.libraries(package)
    assert {pin.split("==")[0] for pin in installed} == set(code.COMPUTING)
    assert set(installed) <= set(code.libraries())  # the lock of this clone, from which they were installed


@pytest.mark.parametrize("name, text, kind", [("report/page.py", "def", "Python"), ("recipes.json", "{", "JSON")])
def test_a_file_that_cannot_be_parsed_is_named(package, name, text, kind):
    with pytest.raises(DataError, match=f"(?s)is not {kind}.*{name}"):
        changed_by(package, name, text)


def test_another_copy_differs_where_a_step_does(package, tmp_path):
    other = tmp_path / "other/pocketnet"
    shutil.copytree(package, other)
    (tmp_path / "other/requirements.lock").write_text(LOCK)
    assert code.differing(other, package) == []
    (other / "report/page.py").write_text("EDITED = 1")
    (other / "cli/plan.py").rename(other / "cli/planned.py")
    forget()
    assert code.differing(other, package) == ["plan", "planned", "report"]


def test_closure_of_a_real_step_holds_what_it_shares():
    names = {path.name for path in code.closure("code")}
    assert {"code.py", "common.py", "errors.py"} <= names


def test_unknown_step_is_refused_with_the_known_ones(package):
    with pytest.raises(UsageError, match="(?s)no step 'trian'.*train"):
        code.code_hash("trian", package)
