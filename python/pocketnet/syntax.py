"""Represent a module's behaviour as text that does not depend on comments, formatting or the Python version.

The text is the module's abstract syntax tree without

- docstrings, other standalone constants, `pass`, and the `help=` texts of options;
- annotations of undecorated functions and of variables outside a class body. Annotations in a class body count, because
  dataclasses and pydantic read them. Those of a decorated function count, because the decorator may read them;
- imports that only annotations need: from `typing`, `collections.abc` and `__future__`, and those under
  `if TYPE_CHECKING`.

Everything else counts: names, the order of statements, and strings, including error messages. A syntax tree contains no
comments or formatting.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import groupby
from typing import cast

TYPE_MODULES = {"typing", "collections.abc", "__future__"}
IGNORED_FIELDS = {"ctx", "kind", "type_comment", "type_ignores"}
"""Fields that are redundant or have no effect on the computation."""


def code_of(source: str, name: str = "<text>") -> ast.Module:
    """Parse a module and remove the parts that do not count.

    Args:
        source: The module's text.
        name: The module's name for messages.

    Raises:
        SyntaxError: The text is not Python.
    """
    return _Stripper().visit(ast.parse(source, filename=name))


def canonical(node: object) -> str:
    """Convert a syntax tree to text.

    Unlike `ast.dump`, the text does not depend on the Python version: it omits fields that are None or empty, including
    those that newer versions add (`type_params`), and it writes constants in ASCII.
    """
    if isinstance(node, ast.Constant):
        return ascii(node.value)
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields if name not in IGNORED_FIELDS)
        said = ", ".join(f"{name}={canonical(value)}" for name, value in fields if value is not None and value != [])
        return f"{type(node).__name__}({said})"
    if isinstance(node, list):
        return f"[{', '.join(map(canonical, node))}]"
    return ascii(node)


class _Stripper(ast.NodeTransformer):
    """Remove the parts that do not count, and normalise f-strings."""

    def __init__(self) -> None:
        self._in_class = False  # whether the current statement is directly in a class body

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._inside(node, in_class=True)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if not node.decorator_list:
            node.returns = None
            given = node.args
            for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg):
                if argument is not None:
                    argument.annotation = None
        return self._inside(node, in_class=False)

    visit_AsyncFunctionDef = visit_FunctionDef

    def _inside(self, node: ast.AST, in_class: bool) -> ast.AST:
        outside, self._in_class = self._in_class, in_class
        self.generic_visit(node)
        self._in_class = outside
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        test = node.test
        name = test.id if isinstance(test, ast.Name) else test.attr if isinstance(test, ast.Attribute) else None
        return node.orelse if name == "TYPE_CHECKING" else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if not node.level and node.module in TYPE_MODULES else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        self.generic_visit(node)
        if self._in_class:
            return node
        return ast.Assign(targets=[node.target], value=node.value) if node.value else None

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.keywords = [given for given in node.keywords if not (given.arg == "help" and _is_text(given.value))]
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """Join adjacent pieces of text, because Python 3.12 and later split them differently from 3.11."""
        self.generic_visit(node)
        node.values = [piece for is_text, pieces in groupby(_pieces(node), _is_text)
                       for piece in (_joined(pieces) if is_text else pieces)]
        return node

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.format_spec, ast.JoinedStr) and not node.format_spec.values:
            node.format_spec = None
        return node


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or isinstance(node, ast.Constant) and isinstance(node.value, str)


def _pieces(node: ast.JoinedStr) -> Iterator[ast.expr]:
    for value in node.values:
        yield from _pieces(value) if isinstance(value, ast.JoinedStr) else (value,)


def _joined(pieces: Iterator[ast.expr]) -> list[ast.Constant]:
    text = "".join(cast(str, cast(ast.Constant, piece).value) for piece in pieces)
    return [ast.Constant(text)] if text else []
