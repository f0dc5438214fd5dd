"""A module's code as text: what it leaves out, what it keeps, and the very text for Python's own differences."""

import pytest
from pocketnet.syntax import canonical, code_of
from rewording import reworded

MODULE = '''\
"""What it is."""
from __future__ import annotations
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

LIMIT = 5_000_000  # a bound
"""What it bounds."""

@dataclass(frozen=True)
class Box:
    """A box."""
    side: int = 1
    def volume(self, scale: float = 1.0) -> float:
        """Its volume."""
        total: float = self.side ** 3 * scale
        if total > LIMIT:
            raise ValueError(f"Too large: {total:.1f}")
        return total

@option("--side", help="Of the box.")
def main(side: int):
    pass
'''


def text(source):
    return canonical(code_of(source))


@pytest.mark.parametrize("old, new", [
    ("What it is.", "Something else."),
    ('"""Its volume."""', "pass"),
    ('    """A box."""\n', ""),
    ("  # a bound", ""),
    ("5_000_000", "5000000"),
    ('"--side"', "'--side'"),
    ("(frozen=True)", "(\n    frozen=True,\n)"),
    ("Of the box.", "In voxels."),
    ("scale: float = 1.0) -> float", "scale=1.0)"),
    ("total: float =", "total ="),
    ("import Sequence", "import Sequence, Callable"),
    ("import pandas", "import numpy"),
    ('f"Too large: {total:.1f}"', '"Too " f"large: {total:.1f}"'),
    ('f"Too large: {total:.1f}"', '"Too large: " f"{total:.1f}" ""'),
])
def test_words_do_not_count(old, new):
    assert MODULE.count(old) == 1
    assert text(MODULE.replace(old, new)) == text(MODULE)


def test_a_reworded_module_is_the_same():
    assert reworded(MODULE) != MODULE and text(reworded(MODULE)) == text(MODULE)


@pytest.mark.parametrize("old, new", [
    ("LIMIT = 5_000_000", "BOUND = 5_000_000"),
    ("5_000_000", "5_000_001"),
    ("side: int = 1", "side: float = 1"),  # dataclasses and pydantic read a class's annotations
    ("(side: int)", "(side: float)"),  # a decorator may read a function's
    ("frozen=True", "frozen=False"),
    ("Too large", "Too big"),
    (".1f", ".2f"),
    ("{total:.1f}", "{total!r:.1f}"),
    ("total > LIMIT", "total >= LIMIT"),
    ("import math", "import cmath"),
    ("scale: float = 1.0", "scale: float = 1"),
    ("** 3 * scale", "** (3 * scale)"),
    ("        return total\n", "        return\n"),
    ("        return total\n", "        return None\n"),
    ('"--side"', 'b"--side"'),
])
def test_code_counts(old, new):
    assert MODULE.count(old) == 1
    assert text(MODULE.replace(old, new)) != text(MODULE)


@pytest.mark.parametrize("source, expected", [
    # Without Python 3.12's `type_params` and what 3.13 leaves out of `ast.dump`.
    ("def f(x, *, y=None): return {**x, 'é': y}",
     "Module(body=[FunctionDef(name='f', args=arguments(args=[arg(arg='x')], kwonlyargs=[arg(arg='y')], "
     "kw_defaults=[None]), body=[Return(value=Dict(keys=[None, '\\xe9'], values=[Name(id='x'), Name(id='y')]))])])"),
    ("class A(B): x = u'1'",
     "Module(body=[ClassDef(name='A', bases=[Name(id='B')], body=[Assign(targets=[Name(id='x')], value='1')])])"),
    # Pieces of f-strings, an empty format, and a nested one.
    ("x = 'a' f'b{y:}' f'' f'c{z:{w}.2f}'",
     "Module(body=[Assign(targets=[Name(id='x')], value=JoinedStr(values=['ab', FormattedValue(value=Name(id='y'), "
     "conversion=-1), 'c', FormattedValue(value=Name(id='z'), conversion=-1, format_spec=JoinedStr(values=["
     "FormattedValue(value=Name(id='w'), conversion=-1), '.2f']))]))])"),
    ("x = f'{y=}'",
     "Module(body=[Assign(targets=[Name(id='x')], value=JoinedStr(values=['y=', FormattedValue(value=Name(id='y'), "
     "conversion=114)]))])"),
])
def test_the_text_is_the_same_under_each_python(source, expected):
    assert text(source) == expected
