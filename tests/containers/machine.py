"""What `make test-containers` makes: an image on a base made here, its SIF, and a root folder that has Apptainer."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from running import LIMIT_SECONDS

ENTER = Path(__file__).with_name("enter")
PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}  # command: Debian's package of it
BASE_SUITE = "bookworm"  # its Python is 3.11
BASE_PACKAGES = "ca-certificates,python3-venv"  # what cannot be installed in a build with this machine's certificates
APPTAINER_SUITE = "sid"  # the only one with Apptainer
APPTAINER_PACKAGES = "ca-certificates,procps,apptainer,squashfuse"  # without squashfuse each start unpacks the SIF
USER = "pocket"
BUILD_SECONDS = 3600


def said(command: list[str | Path], **options) -> str:
    """Run a command and give its output; what it said is in the error when it fails."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=options.pop("timeout", BUILD_SECONDS), **options)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


def install() -> None:
    """Install what is not here."""
    missing = [package for command, package in PACKAGES.items() if not shutil.which(command)]
    if missing:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        said(["apt-get", "update", "-q"], env=environment)
        said(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing], env=environment)


def remove(folder: Path) -> None:
    """Remove a machine's folder; mounts of an interrupted build too."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)
    shutil.rmtree(folder)


class Machine:
    """A folder with an image store and a root folder with Apptainer and an ordinary user; parts that are there stay.

    Args:
        folder: Where everything goes; readable by everybody.
        clone: The clone that image and SIF are made of; the SIF goes to its containers/.
    """

    def __init__(self, folder: Path, clone: Path):
        self.folder, self.clone, self.root = folder, clone, folder / "apptainer-root"
        self.folder.chmod(0o755)
        with ThreadPoolExecutor() as pool:
            for part in [pool.submit(self._make_root), pool.submit(self._make_image)]:
                part.result()
        self.sif = self._make_sif()

    def enter(self, user: str, *command: str | Path, offline: bool = False, folders: tuple[Path, ...] = (),
              **options) -> subprocess.CompletedProcess[str]:
        """Run a command in the root folder; this machine's folder is there too, and the clone and `folders`."""
        environment = {"PATH": os.environ["PATH"], "OFFLINE": "yes" if offline else "no"} | options.pop("env", {})
        words = [ENTER, self.root, user, self.folder, self.clone, *folders, "--", *command]
        return subprocess.run([str(word) for word in words], env=environment, timeout=LIMIT_SECONDS, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)

    def inspect(self) -> str:
        """What buildah says of the image, JSON."""
        return said([*self._buildah().split(), "inspect", "--type", "image", self._image()])

    def _version(self) -> str:
        return (self.clone / "nextflow.config").read_text().split("version         = '")[1].split("'")[0]

    def _image(self) -> str:
        return f"localhost/pocketnet-suite:{self._version()}"

    def _make_root(self) -> None:
        if not (self.root / "complete").exists():
            shutil.rmtree(self.root, ignore_errors=True)
            said(["debootstrap", "--variant=minbase", f"--include={APPTAINER_PACKAGES}", APPTAINER_SUITE, self.root])
            said(["chroot", self.root, "/usr/sbin/useradd", "--create-home", "--shell", "/bin/bash", USER])
            for name in ("hosts", "resolv.conf"):  # Apptainer copies them
                shutil.copy(f"/etc/{name}", self.root / "etc")
            (self.root / "complete").touch()

    def _buildah(self) -> str:
        """Its call with a store of this folder; overlay file systems where the kernel lets them be mounted."""
        overlay = not subprocess.run(
            ["unshare", "--mount", "bash", "-c", 'mkdir -p "$0"/{lower,upper,work,merged} && mount -t overlay overlay '
             '-o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" "$0/merged"', self.folder / "probe"],
            stderr=subprocess.DEVNULL, check=False).returncode
        return (f"buildah --root {self.folder}/store --runroot {self.folder}/store-run "
                f"--storage-driver={'overlay' if overlay else 'vfs'}")

    def _make_image(self) -> None:
        buildah = self._buildah()
        here = [f"-v {path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/hosts", "/etc/resolv.conf")]
        options = ["--isolation chroot --network host --layers", *here, f"--secret id=pip.conf,src={self._pip_conf()}"]
        if subprocess.run([*buildah.split(), "inspect", "--type", "image", "localhost/pocketnet-base"],
                          capture_output=True, check=False).returncode:
            base = self.folder / "base"
            said(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", BASE_SUITE, base / "root"])
            said(["tar", "-C", base / "root", "-cf", base / "root.tar", "."])
            shutil.rmtree(base / "root")
            (base / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
            said([*buildah.split(), "build", "--isolation", "chroot", "-t", "pocketnet-base", base])
            shutil.rmtree(base)
        said(["make", "--no-print-directory", "image"], cwd=self.clone, env=os.environ | {
            "BUILDER": buildah, "BUILD_OPTIONS": " ".join(options), "BASE": "localhost/pocketnet-base"})

    def _pip_conf(self) -> Path:
        """This machine's own settings of pip, for the build only; what names a folder here is left out."""
        path = self.folder / "pip.conf"
        settings = {name[4:].lower().replace("_", "-"): value for name, value in os.environ.items()
                    if name.startswith("PIP_") and name not in ("PIP_FIND_LINKS", "PIP_CONFIG_FILE")}
        path.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in settings.items())]) + "\n")
        return path

    def _make_sif(self) -> Path:
        apptainer = f"{ENTER} {self.root} root {self.folder} {self.clone} -- apptainer"
        said(["make", "--no-print-directory", "sif"], cwd=self.clone, env=os.environ | {
            "BUILDER": self._buildah(), "APPTAINER": apptainer, "TMPDIR": str(self.folder)})
        return self.clone / f"containers/pocketnet-suite-{self._version()}.sif"
