"""The checksum of a step's code: what changes it, and what must not."""

import shutil

import pytest
from pocketnet import code
from pocketnet.errors import UsageError

FILES = {
    "__init__.py": "",
    "errors.py": "class UsageError(Exception): pass",
    "recipes.json": "{}",
    "cli/__init__.py": "",
    "cli/common.py": "from ..errors import UsageError",
    "cli/train.py": "from .common import command\ndef main():\n    from ..training import fit",
    "cli/report.py": "from .common import command\nfrom ..report.page import write",
    "cli/plan.py": "from ..recipes import read",
    "recipes.py": "PATH = 'recipes.json'\nFOLDER = 'schemas'\nKIND = 'plan'",
    "schemas/plan.schema.json": "{}",
    "schemas/other.schema.json": "{}",
    "training/__init__.py": "",
    "training/fit.py": "import pocketnet.training.losses\nimport json, os.path",
    "training/losses.py": "",
    "report/__init__.py": "",
    "report/page.py": "TEMPLATE = 'page.html.jinja'",
    "report/page.html.jinja": "<html>",
}


@pytest.fixture
def package(tmp_path):
    """A small package with the shape of ours."""
    root = tmp_path / "pocketnet"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (tmp_path / "requirements.lock").write_text("keras==3")
    return root


def forget():
    for cached in (code.code_hash, code._checksum, code._imports, code._tree, code._strings):
        cached.cache_clear()


def hashes(package):
    forget()
    return {step: code.code_hash(step, package) for step in code.steps(package)}


@pytest.mark.parametrize("edited, changed", [
    ("training/losses.py", {"train"}),  # by `import a.b.c` out of a late `from ..training import fit`
    ("training/__init__.py", {"train"}),
    ("report/page.py", {"report"}),
    ("report/page.html.jinja", {"report"}),
    ("recipes.json", {"plan"}),
    ("schemas/plan.schema.json", {"plan"}),
    ("schemas/other.schema.json", set()),
    ("cli/common.py", {"train", "report"}),
    ("__init__.py", {"train", "report", "plan"}),
    ("../requirements.lock", {"train", "report", "plan"}),
])
def test_an_edit_changes_the_steps_that_use_the_file(package, edited, changed):
    before = hashes(package)
    (package / edited).write_text((package / edited).read_text() + "\n# edited")
    after = hashes(package)
    assert {step for step in before if before[step] != after[step]} == changed


def test_another_copy_differs_where_a_step_does(package, tmp_path):
    other = tmp_path / "other/pocketnet"
    shutil.copytree(package, other)
    (tmp_path / "other/requirements.lock").write_text("keras==3")
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
