"""A fresh machine: a root folder of Debian with one Python, git and make; what pip is asked about another Python."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from roots import CERTIFICATES, USER, enter, registry_environment, said

SUITES = {"3.11": "bookworm", "3.13": "trixie"}  # Debian's own Python: suite
PACKAGES = "python3,python3-venv,git,make"


@dataclass(frozen=True)
class FreshMachine:
    """A root folder with an ordinary user and a clone in the user's home, which holds nothing else.

    Attributes:
        root: The root folder.
        given: A folder that is in it too, at the same path: the repository to clone, pip's downloads, an image.
    """

    root: Path
    given: Path

    @property
    def home(self) -> Path:
        return self.root / "home" / USER

    @property
    def clone(self) -> Path:
        return self.home / "pocketnet"

    def run(self, script: str, offline: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a script of bash in the home, as the user; output and errors are in `stdout`."""
        environment = {"NXF_ANSI_LOG": "false", "PIP_CACHE_DIR": str(self.given / "pip")}
        environment |= {} if offline else registry_environment()
        return enter(self.root, USER, "bash", "-c", f"cd && {script}", folders=(self.given, CERTIFICATES),
                     offline=offline, env=environment)

    def empty(self) -> None:
        """Make the home anew, with nothing but a clone."""
        owner = self.home.stat()
        for folder in (self.home, self.root / "tmp", self.root / "var/tmp"):
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        said(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", self.given])
        done = self.run(f"git clone -q {self.given}/repository pocketnet", offline=True)
        assert done.returncode == 0, done.stdout


def locked_for(lock: Path, python: str) -> str:
    """A lock's requirements that this Python takes, without their markers (pip asks the Python that runs it)."""
    lines = []
    for block in lock.read_text().replace(" \\\n", " ").splitlines():
        text, *hashes = block.split(" --hash=")
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(
                {"python_version": python, "python_full_version": f"{python}.0"}):
            requirement.marker = None
            lines.append(" --hash=".join([str(requirement), *map(str.strip, hashes)]))
    return "\n".join(lines) + "\n"
