"""`pocket-code`: the checksum of each step's code, by which `-resume` sees that code changed."""

from __future__ import annotations

import click

from .common import command, json_option, result


@command("code", examples="pocket-code\npocket-code train report\npocket-code --versions")
@click.argument("names", nargs=-1, metavar="[STEP]...")
@click.option("--versions", is_flag=True, help="Add the versions of Python and the main libraries.")
@click.option("--also", multiple=True, metavar="NAME=VERSION", help="Add this to the versions.")
@json_option
def main(names: tuple[str, ...], versions: bool, also: tuple[str, ...], as_json: bool) -> None:
    """Print the checksum of the code of each STEP (of all, when none is named) as a JSON object.

    A checksum covers the modules that the step imports, the data files beside them and the lock file.
    """
    import json

    from ..code import code_hash, library_versions, steps

    value = {name: code_hash(name) for name in names or steps()}
    if versions:
        value = {"code": value, "software": dict(item.split("=", 1) for item in also) | library_versions()}
    result(value, as_json, json.dumps(value, indent=1))


if __name__ == "__main__":
    main()
