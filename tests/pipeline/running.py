"""Running the real Nextflow on a copy of the clone, so that a test may edit the copy's code."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HOSTILE = "O'Brien's \"scans\" $(touch PWNED) `touch PWNED` ü 扫描 [x] {a,b}; #1"
"""A folder's name with what shells, Nextflow and addresses read as their own."""
LIMIT_SECONDS = 2400  # of one pipeline run, on a slow and busy machine


@dataclass(frozen=True)
class Pipeline:
    """The pipeline of a copy of the clone, run in a folder of its own.

    Attributes:
        clone: The copy.
        folder: Where it is run: work/ and results/ appear here.
        options: What every run is given.
        text: The command line's parameters stay text, as Nextflow from 26.04 leaves them.
        before: Words before the command, for example offline.command(…).
    """

    clone: Path
    folder: Path
    options: tuple[str, ...] = ()
    text: bool = False
    before: tuple[str, ...] = ()

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        return clean_environment(({"NXF_DISABLE_PARAMS_TYPE_DETECTION": "1"} if self.text else {}) | more)

    def command(self, *options: str) -> list[str]:
        return [*self.before, str(self.clone / "bin/nextflow"), "run", str(self.clone / "main.nf"), "-ansi-log",
                "false", *self.options, *options]

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; output and errors are in `stdout`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return subprocess.run(self.command(*options), cwd=self.folder, env=self.environment(environment), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LIMIT_SECONDS)

    def start(self, log: str, *options: str, **environment: str) -> subprocess.Popen:
        """Start it; output and errors go to the file `log` in its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / log, "w") as handle:
            return subprocess.Popen(self.command(*options), cwd=self.folder, env=self.environment(environment),
                                    stdout=handle, stderr=handle)

    def finish(self, *options: str) -> dict[str, str]:
        """Run it, check that it succeeds, and give the status of each task by name."""
        done = self.run(*options)
        assert done.returncode == 0, done.stdout
        return self.statuses()

    def statuses(self, outdir: str = "results") -> dict[str, str]:
        """By task, without the workflow's name: COMPLETED or CACHED in the newest run to an output folder."""
        newest = max(self.folder.glob(f"{outdir}/*/pipeline_info/trace_*.txt"), key=lambda path: path.name)
        with open(newest, newline="") as handle:
            rows = csv.DictReader(handle, delimiter="\t")
            return {row["name"].split(":")[-1]: row["status"] for row in rows}


    def metrics(self, dataset: str = "demo") -> list[dict[str, str]]:
        """The rows of the comparison's metrics.csv."""
        with open(self.folder / f"results/{dataset}/comparison/metrics.csv", newline="") as handle:
            return list(csv.DictReader(handle))

    def provenance(self, fold: int = 0, dataset: str = "demo") -> dict:
        """provenance.json of the pocket U-Net of a fold."""
        folder = self.folder / f"results/{dataset}/models/unet-pocket/fold{fold}"
        return json.loads((folder / "provenance.json").read_text())


def clean_environment(more: dict[str, str]) -> dict[str, str]:
    """This process's environment without the project's and Nextflow's variables, and with `more`."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("POCKET_", "NXF_"))} | more


def copy_clone(target: Path) -> Path:
    """Clone into an empty folder, with the files that git knows or would add as they are now; share the tools."""
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", REPOSITORY, target], check=True)
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, target / name, follow_symlinks=False)
    for name in (".venv", ".tools"):
        if (REPOSITORY / name).exists():
            (target / name).symlink_to(REPOSITORY / name)
    subprocess.run(["git", "reset", "--quiet"], cwd=target, check=True)  # the index, which a clone without files lacks
    return target
