"""No function takes a file of a contract as a raw dict."""

from __future__ import annotations

import ast
from pathlib import Path

import pocketnet

PACKAGE = Path(pocketnet.__file__).parent
FILES = {"manifest", "fingerprint", "plan", "splits", "split", "fold", "provenance", "provenances", "run", "record",
         "comparison", "network", "pair", "pairs", "baseline", "profile", "configuration", "device", "labels", "entry",
         "entries", "statistics", "constants", "described", "overlays", "activations", "deployment", "case", "cases"}
"""What parameters are called that hold such a file, or a part of one."""
OTHERS = {("experiments/outcome.py", "write_experiment", "entry"), ("experiments/outcome.py", "_page", "entry"),
          ("experiments/outcome.py", "provenance", "entry"),  # an entry of experiments.json
          ("profiling/sweep.py", "entry", "described"),  # what a measuring process leaves for its parent
          ("datasets/index.py", "_classes", "labels"), ("preprocessing/index.py", "write", "entries"),  # by folder
          ("preprocessing/store.py", "write_store", "labels"),  # by name
          ("tracking/store.py", "log_dataset", "profile")}  # MLflow's word for a dataset's figures


def test_no_function_takes_a_raw_dict_of_a_file():
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found |= {(path.relative_to(PACKAGE).as_posix(), node.name, given.arg)
                          for given in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                          if given.arg in FILES and given.annotation is not None and _is_raw(given.annotation)}
    assert found <= OTHERS


def _is_raw(annotation: ast.expr) -> bool:
    """Whether an annotation is a dict, or a sequence of dicts, of anything."""
    return any(isinstance(node, ast.Name) and node.id in ("dict", "Mapping") for node in ast.walk(annotation))
