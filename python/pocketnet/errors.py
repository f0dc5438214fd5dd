"""Errors that a user or a scheduler acts on, each with its documented exit code.

| exit code | meaning                                              | class          |
|-----------|------------------------------------------------------|----------------|
| 0         | done                                                 |                |
| 1         | a fault of ours (a traceback is shown)               | any other      |
| 2         | wrong usage: an option, a file that is not there     | `UsageError`   |
| 3         | bad data: every offending file is named in one go    | `DataError`    |
| 4         | does not fit in device memory; more host memory won't help | `DeviceMemoryError` |
| 75        | stopped with a checkpoint; run again as is to go on  | `Stopped`      |

A message has three parts: what is wrong, where (unless it is the command as a whole), and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class PocketError(Exception):
    """Base of every error that is reported without a traceback.

    Args:
        what: What is wrong, in one sentence.
        where: The file, case or option that it was found in.
        todo: What the user can do about it.

    Attributes:
        usual: What to do where a command ends by an error that does not say it.
    """

    exit_code = 1
    usual = "Run the command again; its --help says what it takes."

    def __init__(self, what: str, *, where: str | None = None, todo: str | None = None):
        self.what, self.where, self.todo = what, where, todo
        super().__init__(self.render())

    def render(self) -> str:
        """The message as shown on a terminal, one part a line."""
        parts = [self.what]
        if self.where:
            parts.append(f"  where: {self.where}")
        if self.todo:
            parts.append(f"  what to do: {self.todo}")
        return "\n".join(parts)


class UsageError(PocketError):
    """The command was called wrongly (exit code 2)."""

    exit_code = 2
    usual = "Name another one; the command's --help says what it takes."


class DataError(PocketError):
    """The data cannot be used as it is (exit code 3).

    Args:
        what: What is wrong, in one sentence.
        problems: One line for each offending file, all of them.
    """

    exit_code = 3
    usual = "Mend or replace what is named here, then run again."

    def __init__(self, what: str, *, problems: Sequence[str] = (), where: str | None = None,
                 todo: str | None = None):
        self.problems = list(problems)
        super().__init__(what, where=where, todo=todo)

    def render(self) -> str:
        """The message with every problem on a line of its own."""
        lines = super().render().split("\n")
        return "\n".join(lines[:1] + [f"  - {problem}" for problem in self.problems] + lines[1:])


class DeviceMemoryError(PocketError):
    """The configuration does not fit in the device's memory (exit code 4)."""

    exit_code = 4


class Stopped(PocketError):
    """Stopped before the end, with a checkpoint to go on from (exit code 75, EX_TEMPFAIL)."""

    exit_code = 75
