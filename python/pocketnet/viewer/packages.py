"""The page's libraries: packages of the npm registry, pinned by version and SHA-512 in `packages.lock.json`.

`python -m pocketnet.viewer.packages` downloads the files that the page contains, if they are not there. It needs no
npm: a package is one archive, and all have ready-made files for browsers. The registry is the one that npm would use:
`npm_config_registry`, `registry` in an `.npmrc`, or registry.npmjs.org.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, PocketError, UsageError

HERE = Path(__file__).parent
FILES = HERE / "files"
"""Where the downloaded files are, compressed; a wheel contains them if they were there when it was built."""
PACKED = ".gz"
"""Ending of a compressed file."""
DEFAULT_REGISTRY = "https://registry.npmjs.org/"
TIMEOUT_S = 20
"""Longest silence of the registry."""


@dataclass(frozen=True)
class Package:
    """A pinned package.

    Attributes:
        name: Its name in the registry, with its scope.
        version: Its version.
        integrity: Its archive's SHA-512, as npm writes it: `sha512-` and base64.
        licence: SPDX identifier of its licence.
        copyright: Its owners.
        home: Address of its source.
        files: For each file to take from the archive, its name in `FILES`.
    """

    name: str
    version: str
    integrity: str
    licence: str
    copyright: str
    home: str
    files: dict[str, str]


def locked() -> list[Package]:
    """Return the pinned packages."""
    content = json.loads((HERE / "packages.lock.json").read_text(encoding="utf-8"))
    return [Package(name, **entry) for name, entry in content.items()]


def is_there() -> bool:
    """Return whether all files of the pinned versions have been downloaded."""
    return (FILES / "versions").is_file() and (FILES / "versions").read_text(encoding="utf-8") == _versions()


def check() -> None:
    """Raise UsageError if the files have not been downloaded."""
    if not is_there():
        raise UsageError("The libraries of the page are not here: onnxruntime-web, NiiVue and dcm2niix (npm registry).",
                         where=str(FILES),
                         todo="Download them once: make viewer, or python -m pocketnet.viewer.packages")


def content(name: str) -> bytes:
    """Return the content of a downloaded file.

    Raises:
        UsageError: The files have not been downloaded.
    """
    check()
    return gzip.decompress((FILES / f"{name}{PACKED}").read_bytes())


def fetch() -> None:
    """Download and verify the packages, and keep the files that the page needs. Nothing is written if one fails.

    Raises:
        DataError: A package cannot be downloaded or differs from the lock file.
    """
    with tempfile.TemporaryDirectory(prefix=".part-", dir=HERE) as temporary:
        for package in locked():
            archive = _downloaded(package)
            with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
                for inside, name in package.files.items():
                    packed = gzip.compress(_member(tar, package, inside), mtime=0)
                    (Path(temporary) / f"{name}{PACKED}").write_bytes(packed)
        (Path(temporary) / "versions").write_text(_versions(), encoding="utf-8")
        shutil.rmtree(FILES, ignore_errors=True)
        FILES.mkdir()
        for path in Path(temporary).iterdir():
            shutil.copyfile(path, FILES / path.name)


def registry(scope: str = "") -> str:
    """Return the registry's address as npm would choose it, with a slash at its end.

    Args:
        scope: The scope of a package, such as `@niivue`, which may have a registry of its own.
    """
    settings = {}
    for path in (Path("/etc/npmrc"), Path(os.environ.get("NPM_CONFIG_USERCONFIG") or Path.home() / ".npmrc")):
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                if match := re.fullmatch(r"\s*([@\w./-]+:)?registry\s*=\s*(\S+)\s*", line):
                    settings[(match[1] or "").removesuffix(":")] = match[2].strip("\"'")
    given = next((value for name, value in os.environ.items() if name.lower() == "npm_config_registry" and value), None)
    found = settings.get(scope) if scope else None
    address = found or given or settings.get("") or DEFAULT_REGISTRY
    return address.rstrip("/") + "/"


def _versions() -> str:
    return "".join(f"{one.name} {one.version} {one.integrity} {sorted(one.files.items())} {PACKED}\n"
                   for one in locked())


def _downloaded(package: Package) -> bytes:
    """Return a package's archive after its checksum was verified."""
    scope, _, bare = package.name.rpartition("/")
    address = f"{registry(scope)}{package.name}/-/{bare}-{package.version}.tgz"
    if not address.startswith(("https://", "http://")):
        raise DataError("The registry's address is not one of the web.", where=address)
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:
            archive: bytes = answer.read()
    except OSError as error:
        raise DataError(f"{package.name} cannot be downloaded: {error}.", where=address,
                        todo="Check the network, or name another registry: npm_config_registry=…") from None
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    if digest != package.integrity:
        raise DataError(f"{package.name} {package.version} differs from the lock file: {digest}, expected "
                        f"{package.integrity}.", where=address)
    return archive


def _member(tar: tarfile.TarFile, package: Package, inside: str) -> bytes:
    """Return the content of a file in a package's archive."""
    name = f"package/{inside}"
    member = tar.extractfile(name) if name in tar.getnames() else None
    if member is None:
        raise DataError(f"{package.name} {package.version} has no file {inside}.")
    return member.read()


def main() -> None:
    """Download what is missing. Without a registry, say so and end with exit code 0 if `--try` is given."""
    if is_there():
        return
    try:
        fetch()
    except (PocketError, OSError, tarfile.TarError) as error:
        text = error.line() if isinstance(error, PocketError) else str(error)
        if "--try" not in sys.argv[1:]:
            sys.exit(f"The page's libraries were not downloaded: {text}")
        print(f"No page that segments in a browser (pocket-export --html; make viewer tries again): {text}")


if __name__ == "__main__":
    main()
