"""Errors for users and schedulers to act on, each with its exit code.

| exit code | meaning                                                   | class               |
|-----------|-----------------------------------------------------------|---------------------|
| 0         | success                                                   |                     |
| 1         | bug in this software (a traceback is shown)               | any other           |
| 2         | wrong usage: an invalid option, a missing file            | `UsageError`        |
| 3         | bad data; the message names every affected file           | `DataError`         |
| 4         | does not fit in device memory; host memory does not help  | `DeviceMemoryError` |
| 5         | the training diverged; its last good checkpoint is kept   | `Diverged`          |
| 75        | stopped with a checkpoint; rerun the command to resume    | `Stopped`           |
| 104       | another node's worker of the training ended; rerun all    | `WorkerLost`        |

A message has three parts: what is wrong, where (unless it concerns the whole command), and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class PocketError(Exception):
    """Base class of all errors that are reported without a traceback.

    Args:
        what: What is wrong, in one sentence.
        where: The file, case or option with the problem.
        todo: What the user can do about it.

    Attributes:
        usual: Default for `todo` when a command ends with this error.
    """

    exit_code = 1
    usual = "Run the command again; its --help says what it takes."

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None):
        self.what, self.where, self.todo = what, where, todo
        super().__init__(self.render())

    def render(self) -> str:
        """Return the message for a terminal, one part per line."""
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.todo:
            parts.append(f"  what to do: {self.todo}")
        return "\n".join(parts)

    def line(self) -> str:
        """Return the message as one line, for a list of what is wrong with several cases."""
        first, *rest = self.render().split("\n")
        problems = [part.removeprefix("  - ") for part in rest if part.startswith("  - ")]
        listed = f" ({'; '.join(problems)})" if problems else ""
        others = [part.strip() for part in rest if not part.startswith("  - ")]
        return "; ".join([first.removesuffix(".") + listed, *others])


class UsageError(PocketError):
    """The command was called wrongly (exit code 2)."""

    exit_code = 2
    usual = "Name another one; the command's --help says what it takes."


class DataError(PocketError):
    """The data cannot be used (exit code 3).

    Args:
        what: What is wrong, in one sentence.
        problems: One line for every affected file.
        where: As for `PocketError`.
        todo: As for `PocketError`.
    """

    exit_code = 3
    usual = "Fix or replace what is named here, then run the command again."

    def __init__(self, what: str, *, problems: Sequence[str] = (), where: str | None = None,
                 todo: str | None = None):
        self.problems = list(problems)
        super().__init__(what, where=where, todo=todo)

    def render(self) -> str:
        """Return the message with each problem on its own line."""
        lines = super().render().split("\n")
        return "\n".join(lines[:1] + [f"  - {problem}" for problem in self.problems] + lines[1:])


class AlteredError(DataError):
    """A file is not as it was recorded: its checksum differs, or a list of checksums does not name it (exit code 3)."""


class DeviceMemoryError(PocketError):
    """The configuration does not fit in the device's memory (exit code 4)."""

    exit_code = 4


class Diverged(PocketError):
    """A training has a loss or weights that are NaN or infinite (exit code 5)."""

    exit_code = 5


class Stopped(PocketError):
    """Stopped before the end, with a checkpoint to resume from (exit code 75, EX_TEMPFAIL)."""

    exit_code = 75


class WorkerLost(PocketError):
    """Another worker of a training on several nodes ended, or did not start (exit code 104, ECONNRESET)."""

    exit_code = 104


EXTRAS = {"highdicom": "dicom", "pydicom": "dicom", "SimpleITK": "formats"}
"""The extra of the package that brings a library; of the others, `train` does."""


def missing_library(error: BaseException) -> UsageError | None:
    """Return what to say of a library that is not installed; None for any other error."""
    library = (error.name or "").split(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if library in ("", __name__.split(".")[0]):
        return None
    return UsageError(f"This needs the library {library}, which is not installed.",
                      todo=f"Install it with: pip install 'pocketnet-suite[{EXTRAS.get(library, 'train')}]'")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, at most 160 characters; the error's type if it has no message."""
    return next(iter(str(error).splitlines()), "")[:160] or type(error).__name__
