"""Errors as one line, in lists of what is wrong with several cases."""

from pocketnet.errors import DataError, UsageError


def test_an_error_on_one_line_has_all_its_parts():
    error = DataError("The image cannot be used.", problems=["a: empty", "b: NaN"], where="in/x", todo="Replace it.")
    assert error.line() == "The image cannot be used (a: empty; b: NaN); where: in/x; what to do: Replace it."
    assert UsageError("There is no such file.").line() == "There is no such file"
