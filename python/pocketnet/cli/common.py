"""Code shared by all commands: error handling, progress display and common options.

Click is the only library imported at module level, so that `--help` is fast.
"""

from __future__ import annotations

import errno
import gc
import json as json_module
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from .. import backend, outputs
from ..errors import PocketError, missing_library
from ..text import printable

T = TypeVar("T")

EXIT_CODES = """\b
Exit codes: 0 done · 2 wrong usage · 3 bad data · 4 does not fit in device memory ·
5 training diverged · 75 stopped with a checkpoint, run again as is"""

FULL = "Make room there (df -h and your quota say how much there is), then run again; the pipeline with -resume."
REACH = "See that it is there and that you may read and write there, then run again."

input_option = click.option("--input", "input_", required=True, metavar="FOLDER",
                            type=click.Path(path_type=Path), help="The dataset's folder.")
quiet_option = click.option("--quiet", is_flag=True, help="Print errors only.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")


OVERWRITE = "overwrite"
GARBAGE = 50_000
"""New objects before Python looks for garbage, instead of 700. The import of the libraries and the tracing of a network
make millions of objects that stay, and looking through them takes a tenth of a short training's time."""


def output_option(help_: str, *, required: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds `-o/--output` and `--overwrite`; `Command` reads the latter.

    Args:
        help_: Help text of `--output`.
        required: Whether `--output` is required.
    """
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option("--overwrite", is_flag=True, expose_value=False, callback=_remember_overwrite,
                                help="Also replace output of other pocket commands and output that was changed "
                                     "since. Other files are never replaced.")(function)
        return click.option("-o", "--output", required=required, type=click.Path(path_type=Path), help=help_)(function)

    return decorate


def _remember_overwrite(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[OVERWRITE] = value


class Command(click.Command):
    """Click command that reports a `PocketError` as a message and exits with its code."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; report a `PocketError` or `OSError` as a message with an exit code."""
        backend.lean = True
        gc.set_threshold(GARBAGE, *gc.get_threshold()[1:])
        try:
            with outputs.writing(cast(str, self.name).removeprefix("pocket-"), context.meta.get(OVERWRITE, False)):
                return super().invoke(context)
        except PocketError as error:
            _say_error(error.render() if error.todo else f"{error.render()}\n  what to do: {error.usual}")
            context.exit(error.exit_code)
        except ModuleNotFoundError as error:
            missing = missing_library(error)
            if missing is None:
                raise
            _say_error(missing.render())
            context.exit(missing.exit_code)
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            place = full and error.filename2 or error.filename  # of a copy, the second is the one that is written
            where = f"\n  where: {place}" if place else ""
            todo = FULL if full else REACH
            _say_error(f"{error.strerror or error}{where}\n  what to do: {todo}")
            context.exit(1)


def _say_error(text: str) -> None:
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(printable(text), err=True)


def command(name: str, *, examples: str) -> Callable[..., Any]:
    """Decorate a function as a `pocket-<name>` command with examples and exit codes in its help."""
    epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines())
    return click.command(f"pocket-{name}", cls=Command, epilog=f"{epilog}\n\n{EXIT_CODES}",
                         context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})


def log(message: str, quiet: bool = False) -> None:
    """Print a line to standard error; standard output is reserved for results."""
    if not quiet:
        click.echo(printable(message), err=True)


def result(value: Any, as_json: bool, text: str = "", quiet: bool = False) -> None:
    """Print a command's result to standard output: `value` as JSON, or else `text`."""
    if as_json:
        click.echo(json_module.dumps(value))
    elif text and not quiet:
        click.echo(printable(text))


def progress(items: Iterable[T], description: str, total: int | None = None, quiet: bool = False,
             every_seconds: float = 10.0) -> Iterator[T]:
    """Yield `items` and show progress: a bar on a terminal, a line every `every_seconds` in a log."""
    if total is None and hasattr(items, "__len__"):
        total = len(cast(Sized, items))
    if quiet:
        yield from items
        return
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            yield from bar.track(items, total=total, description=description)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if total and (now - last >= every_seconds or done == total):
            left = (now - start) / done * (total - done)
            rest = f"{left:.0f} s left" if done < total else f"{now - start:.0f} s"
            log(f"{description}: {done}/{total}, {rest}")
            last = now


def split_list(text: str | None) -> list[str]:
    """Split a comma-separated list: `"a, b"` gives `["a", "b"]`; None gives an empty list."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]


def integers(text: str | None, name: str) -> list[int] | None:
    """Parse comma-separated whole numbers: `"32,48,32"` gives `[32, 48, 32]`; None gives None.

    Args:
        text: The option's value.
        name: The option, for the error message.

    Raises:
        click.BadParameter: If `text` is not a comma-separated list of whole numbers.
    """
    if text is None or text == "":
        return None
    try:
        return [int(word) for word in split_list(text)]
    except ValueError:
        raise click.BadParameter(f"expected whole numbers separated by commas. Received: {text}",
                                 param_hint=name) from None


def batch_size(text: str | None) -> int | None:
    """Parse the value of `--batches`: a number of cases; None for `auto`, or if there is none.

    Raises:
        click.BadParameter: If `text` is neither a whole number of at least 1 nor `auto`.
    """
    if text in (None, "auto"):
        return None
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"expected a whole number of at least 1, or auto. Received: {text}",
                                 param_hint="--batches")
    return int(text)


class StepProgress:
    """Show progress over numbered steps, starting at any step: a bar on a terminal, nothing in a log.

    In a log, training prints a line per epoch instead.
    """

    def __init__(self, description: str, total: int, quiet: bool = False):
        self._bar = None
        if sys.stderr.isatty() and not quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(description, total=total)

    def __enter__(self) -> StepProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    @property
    def shown(self) -> bool:
        """Whether a bar is shown."""
        return self._bar is not None

    def on_step(self, done: float) -> None:
        """Set the number of finished steps."""
        if self._bar:
            self._bar.update(self._task, completed=done)


class CasesProgress:
    """Show progress over cases and the steps of each case: a bar on a terminal, a line every `every_seconds` in a log.

    The remaining time is estimated from all finished steps, including those of the current case.
    """

    def __init__(self, description: str, cases: int, quiet: bool = False, every_seconds: float = 10.0):
        self._description, self._cases, self._quiet, self._every = description, cases, quiet, every_seconds
        self._started = 0
        self._begin = self._last = time.monotonic()
        self._bar = StepProgress(description, cases, quiet)

    def __enter__(self) -> CasesProgress:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.__exit__(*error)

    def follow(self, case: str) -> Callable[[list[T]], Iterator[T]]:
        """Start a case and return a function that yields its steps and shows progress.

        The call marks all previous cases as finished.
        """
        self._tick(self._started, case)
        self._started += 1

        def steps(items: list[T]) -> Iterator[T]:
            for number, item in enumerate(items, 1):
                yield item
                self._tick(self._started - 1 + number / len(items), f"{case}, window {number}/{len(items)}")

        return steps

    def _tick(self, done: float, what: str) -> None:
        self._bar.on_step(done)
        now = time.monotonic()
        if now - self._last >= self._every and not self._quiet and not self._bar.shown:
            left = f", {(now - self._begin) / done * (self._cases - done):.0f} s left" if done else ""
            log(f"{self._description}: {int(done)}/{self._cases}, {what}{left}")
            self._last = now
