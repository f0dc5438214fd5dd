"""`pocket-code`: print the checksum of each step's code. `-resume` uses it to detect changed code."""

from __future__ import annotations

from pathlib import Path

import click

from .common import command, json_option, result


@command("code", examples="pocket-code\npocket-code train report\npocket-code --versions --clone python")
@click.argument("names", nargs=-1, metavar="[STEP]...")
@click.option("--versions", is_flag=True, help="Add the versions of Python and the main libraries.")
@click.option("--also", multiple=True, metavar="NAME=VERSION", help="Add this entry to the versions; repeatable.")
@click.option("--clone", metavar="FOLDER", type=click.Path(path_type=Path),
              help="The python/ folder of a clone. Fail if its code differs from the running code.")
@json_option
def main(names: tuple[str, ...], versions: bool, also: tuple[str, ...], clone: Path | None, as_json: bool) -> None:
    """Print the checksum of each STEP's code as a JSON object. Default: all steps.

    A checksum covers the modules that the step imports (without docstrings, comments and formatting), the data files
    beside them, and the versions of the numerical libraries.
    """
    import json

    from ..code import PACKAGE, code_hash, differing, library_versions, steps
    from ..errors import UsageError

    if clone is not None and (others := differing(clone / "pocketnet")):
        raise UsageError(f"The code that runs here differs from the clone's in: {', '.join(others)}.",
                         where=f"here {PACKAGE}, the clone's {(clone / 'pocketnet').resolve()}",
                         todo="In a container: build it again from this clone (make image, then make sif), or check "
                              "out the commit that the image was built from (its label "
                              "org.opencontainers.image.revision). Otherwise: make setup.")
    value: dict[str, object] = {name: code_hash(name) for name in names or steps()}
    if versions:
        value = {"code": value, "software": dict(item.split("=", 1) for item in also) | library_versions()}
    result(value, as_json, json.dumps(value, indent=1))


if __name__ == "__main__":
    import gc

    gc.disable()  # looking through the syntax trees, which stay to the end, would take a quarter of the time
    main()
