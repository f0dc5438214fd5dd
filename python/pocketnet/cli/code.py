"""`pocket-code`: the checksum of each step's code, by which `-resume` sees that code changed."""

from __future__ import annotations

import click

from .common import command, json_option, result


@command("code", examples="pocket-code\npocket-code train report")
@click.argument("names", nargs=-1, metavar="[STEP]...")
@json_option
def main(names: tuple[str, ...], as_json: bool) -> None:
    """Print the checksum of the code of each STEP (of all, when none is named) as a JSON object.

    A checksum covers the modules that the step imports, the data files beside them and the lock file.
    """
    import json

    from ..code import code_hash, steps

    hashes = {name: code_hash(name) for name in names or steps()}
    result(hashes, as_json, json.dumps(hashes, indent=1))


if __name__ == "__main__":
    main()
