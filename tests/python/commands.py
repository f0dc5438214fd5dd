"""Runs a command in this process."""

from importlib import import_module

from click.testing import CliRunner


def succeed(name: str, *arguments: object) -> str:
    """Run `pocket-<name>`, which must succeed; what it prints."""
    ran = CliRunner().invoke(import_module(f"pocketnet.cli.{name}").main, [*map(str, arguments)])
    if ran.exception and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    assert ran.exit_code == 0, (name, ran.output)
    return ran.output
