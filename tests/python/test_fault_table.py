"""The table of faults in docs/slurm.md names the tests of tests/cluster, and none is left out."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_faults_and_the_tests_are_the_same():
    tests = {node.name for name in ("test_faults.py", "test_ending.py", "test_nodes.py")
             for node in ast.parse((ROOT / "tests/cluster" / name).read_text()).body
             if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    section = (ROOT / "docs/slurm.md").read_text().split("## The faults, tried")[1]
    assert set(re.findall(r"`(test_\w+)`", section)) == tests
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 16 and all(re.search(r"`test_\w+` \|$", row) for row in rows)
