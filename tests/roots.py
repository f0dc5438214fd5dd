"""Root folders made by debootstrap, and commands in them: for the tests in containers and on a fresh machine.

All of it needs root. A root folder reaches the package registries as this machine does: by its hosts, name servers,
certificates and settings of pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ENTER = Path(__file__).with_name("enter")
USER = "pocket"
CERTIFICATES = Path("/etc/ssl/certs")
# By these, programs that know nothing of pip's settings find certificates and a proxy.
REGISTRY_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
                      *(name for one in ("http_proxy", "https_proxy", "no_proxy") for name in (one, one.upper())))
LIMIT_SECONDS = 3600  # of one command, on a slow and busy machine


def said(command: list[str | Path], **options) -> str:
    """Run a command and give its output; what it said is in the error when it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=options.pop("timeout", LIMIT_SECONDS), **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def install(packages: dict[str, str]) -> None:
    """Install the Debian packages (values) whose commands (keys) are not here."""
    missing = [package for command, package in packages.items() if not shutil.which(command)]
    if missing:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        said(["apt-get", "update", "-q"], env=environment)
        said(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing], env=environment)


def make_root(root: Path, suite: str, packages: str) -> None:
    """Make a root folder of Debian's required packages and these, with an ordinary user; one that is there stays."""
    if not (root / "complete").exists():
        shutil.rmtree(root, ignore_errors=True)
        said(["debootstrap", "--variant=minbase", f"--include={packages}", suite, root])
        said(["chroot", root, "/usr/sbin/useradd", "--create-home", "--shell", "/bin/bash", USER])
        (root / "complete").touch()
    for name in ("hosts", "resolv.conf"):
        shutil.copy(f"/etc/{name}", root / "etc")


def enter(root: Path, user: str, *command: str | Path, folders: tuple[Path, ...] = (), offline: bool = False,
          env: dict[str, str] | None = None, **options) -> subprocess.CompletedProcess[str]:
    """Run a command in a root folder; these `folders` are there too, and of the environment only PATH and `env`."""
    environment = {"PATH": os.environ["PATH"], "OFFLINE": "yes" if offline else "no"} | (env or {})
    words = [ENTER, root, user, *folders, "--", *command]
    return subprocess.run([str(word) for word in words], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **{"timeout": LIMIT_SECONDS} | options)


def pip_settings() -> dict[str, str]:
    """This machine's settings of pip by variable; what names a folder or file of packages here is left out."""
    return {name: value for name, value in os.environ.items()
            if name.startswith("PIP_") and name not in ("PIP_FIND_LINKS", "PIP_CONFIG_FILE", "PIP_CACHE_DIR")}


def registry_environment() -> dict[str, str]:
    """The variables by which this machine reaches the package registries; `CERTIFICATES` must be in the root, too."""
    return pip_settings() | {name: os.environ[name] for name in REGISTRY_VARIABLES if name in os.environ}


def remove(folder: Path) -> None:
    """Remove a folder with roots; mounts of an interrupted build too."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)
    shutil.rmtree(folder)
