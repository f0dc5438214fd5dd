"""What `make test-containers` makes: an image on a base made here, its SIF, and a root folder that has Apptainer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from roots import ENTER, enter, make_root, pip_settings, said
from running import LIMIT_SECONDS

PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}  # command: Debian's package of it
BASE_SUITE = "bookworm"  # its Python is 3.11
BASE_PACKAGES = "ca-certificates,python3-venv"  # what cannot be installed in a build with this machine's certificates
APPTAINER_SUITE = "sid"  # the only one with Apptainer
UNCOMPRESSED = "-noI -noD -noF -noX"  # minutes less to make, and less to read at each start of a task
APPTAINER_PACKAGES = "ca-certificates,procps,apptainer,squashfuse"  # without squashfuse each start unpacks the SIF


def parsed(size: str) -> float:
    """Bytes of a size as buildah prints it: 548 MB."""
    number, unit = size.split()
    return float(number) * {"KB": 1e3, "MB": 1e6, "GB": 1e9}[unit]


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
            for part in [pool.submit(make_root, self.root, APPTAINER_SUITE, APPTAINER_PACKAGES),
                         pool.submit(self._make_image)]:
                part.result()
        self.sif = self._make_sif()

    def enter(self, user: str, *command: str | Path, offline: bool = False, folders: tuple[Path, ...] = (),
              **options) -> subprocess.CompletedProcess[str]:
        """Run a command in the root folder; this machine's folder is there too, and the clone and `folders`."""
        return enter(self.root, user, *command, folders=(self.folder, self.clone, *folders), offline=offline,
                     timeout=LIMIT_SECONDS, **options)

    def inspect(self) -> str:
        """What buildah says of the image, JSON."""
        return said([*self._buildah().split(), "inspect", "--type", "image", self._image()])

    def call_inference_image(self, folder: Path, *command: str) -> tuple[int, str]:
        """Build the image for inference, run a command in it with a folder at /data; its bytes, and what it says."""
        self._make_image("infer")
        buildah = [*self._buildah().split()]
        name = f"{self._image()}-infer"
        (found,) = json.loads(said([*buildah, "images", "--json", name]))
        container = said([*buildah, "from", "--pull-never", name]).strip()
        try:
            return parsed(found["size"]), said([*buildah, "run", "--isolation", "chroot", "-v", f"{folder}:/data",
                                                container, "--", *command])
        finally:
            said([*buildah, "rm", container])

    def _version(self) -> str:
        return (self.clone / "nextflow.config").read_text().split("version         = '")[1].split("'")[0]

    def _image(self) -> str:
        return f"localhost/pocketnet-suite:{self._version()}"

    def _buildah(self) -> str:
        """Its call with a store of this folder; overlay file systems where the kernel lets them be mounted."""
        overlay = not subprocess.run(
            ["unshare", "--mount", "bash", "-c", 'mkdir -p "$0"/{lower,upper,work,merged} && mount -t overlay overlay '
             '-o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" "$0/merged"', self.folder / "probe"],
            stderr=subprocess.DEVNULL, check=False).returncode
        return (f"buildah --root {self.folder}/store --runroot {self.folder}/store-run "
                f"--storage-driver={'overlay' if overlay else 'vfs'}")

    def _make_image(self, device: str = "cpu") -> None:
        buildah = self._buildah()
        here = [f"-v {path}:{path}:ro" for path in ("/etc/ssl/certs", "/etc/hosts", "/etc/resolv.conf")]
        options = ["--isolation chroot --network host --layers", *here, f"--secret id=pip.conf,src={self._pip_conf()}"]
        if subprocess.run([*buildah.split(), "inspect", "--type", "image", "localhost/pocketnet-base"],
                          capture_output=True, check=False).returncode:
            base = self.folder / "base"
            said(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", BASE_SUITE, base / "root"])
            for cache in ("var/cache/apt", "var/lib/apt/lists"):  # no image of a distribution has them
                shutil.rmtree(base / "root" / cache)
            said(["tar", "-C", base / "root", "-cf", base / "root.tar", "."])
            shutil.rmtree(base / "root")
            (base / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
            said([*buildah.split(), "build", "--isolation", "chroot", "-t", "pocketnet-base", base])
            shutil.rmtree(base)
        said(["make", "--no-print-directory", "image"], cwd=self.clone, env=os.environ | {
            "BUILDER": buildah, "BUILD_OPTIONS": " ".join(options), "BASE": "localhost/pocketnet-base",
            "DEVICE": device})

    def _pip_conf(self) -> Path:
        """This machine's own settings of pip, for the build only."""
        path = self.folder / "pip.conf"
        settings = {name[4:].lower().replace("_", "-"): value for name, value in pip_settings().items()}
        path.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in settings.items())]) + "\n")
        return path

    def _make_sif(self) -> Path:
        apptainer = f"{ENTER} {self.root} root {self.folder} {self.clone} -- apptainer"
        said(["make", "--no-print-directory", "sif"], cwd=self.clone, env=os.environ | {
            "BUILDER": self._buildah(), "APPTAINER": apptainer, "TMPDIR": str(self.folder),
            "APPTAINER_MKSQUASHFS_ARGS": UNCOMPRESSED})
        return self.clone / f"containers/pocketnet-suite-{self._version()}.sif"
