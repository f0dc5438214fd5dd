"""Errors as one line, in lists of what is wrong with several cases."""

import errno

import pytest
from click.testing import CliRunner
from pocketnet.cli.common import command
from pocketnet.errors import DataError, UsageError, first_line


def test_an_error_on_one_line_has_all_its_parts():
    error = DataError("The image cannot be used.", problems=["a: empty", "b: NaN"], where="in/x", todo="Replace it.")
    assert error.line() == "The image cannot be used (a: empty; b: NaN); where: in/x; what to do: Replace it."
    assert UsageError("There is no such file.").line() == "There is no such file"


@pytest.mark.parametrize(("error", "line"), [(ValueError("one\ntwo"), "one"), (EOFError(), "EOFError"),
                                             (ValueError("\n"), "ValueError"), (OSError("x" * 200), "x" * 160)])
def test_an_error_of_a_library_is_one_line(error, line):
    assert first_line(error) == line


@pytest.mark.parametrize("number, named, todo", [(errno.ENOSPC, "out/model", "Make room there"),
                                                 (errno.EDQUOT, "out/model", "Make room there"),
                                                 (errno.EACCES, "in/model", "See that it is there")])
def test_a_failed_copy_names_the_full_disk_or_what_cannot_be_read(number, named, todo):
    @command("example", examples="")
    def example():
        raise OSError(number, "it failed", "in/model", None, "out/model")

    done = CliRunner().invoke(example, [])
    assert done.exit_code == 1 and f"where: {named}\n" in done.stderr and todo in done.stderr
