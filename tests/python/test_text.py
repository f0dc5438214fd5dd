"""Words in messages."""

import pytest
from pocketnet.text import counted, some


@pytest.mark.parametrize(("number", "text"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1000, "1,000 steps")])
def test_a_noun_agrees_with_its_number(number, text):
    assert counted(number, "step") == text
    assert counted(number, "step is", "steps are").endswith("step is" if number == 1 else "steps are")


def test_a_long_list_is_cut():
    assert some(list("abcde")) == "a, b, c, d, e" and some(list("abcdef")) == "a, b, c, d, e …"
    assert some(list("abc"), 2) == "a, b …" and some([]) == ""
