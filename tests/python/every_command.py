"""Runs every command once on a tiny dataset, in one process, for `test_telemetry.py`, which watches it.

    python every_command.py FOLDER

FOLDER gets the outputs, and `tries.txt`: what Python tried to connect to, look up or send to.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module
from pathlib import Path

PLAN = "--recipe quick --folds 3 --epochs 1 --steps-per-epoch 1 --patch 16 --batch 1 --depth 1 --feature-maps 4"
TRAIN = "train --plan {plan}/plan.json --splits plan/splits.json --stores stores --fold 0 --quiet"
COMMANDS = f"""
demo -o data --cases 4 --quiet
check --dataset demo --input data -o dataset --quiet
check --dataset demo --input data --batches auto -o cases --quiet
read --cases cases/batch-0.json --input data -o read.json --quiet
plan --manifest dataset/manifest.json --fingerprint dataset/fingerprint.json {PLAN} -o plan --quiet
plan --manifest dataset/manifest.json --fingerprint dataset/fingerprint.json {PLAN} --seed 1 -o other --quiet
preprocess --manifest dataset/manifest.json --plan plan/plan.json --input data -o stores --quiet
picture --manifest dataset/manifest.json --fingerprint dataset/fingerprint.json --input data -o p.png --quiet
picture --plan plan/plan.json --splits plan/splits.json --stores stores --patches 1 -o patches.png --quiet
profile --plan plan/plan.json --width pocket --steps 1 --warm-up 0 -o profile.json --quiet
{TRAIN.format(plan="plan")} --width full -o models/unet-full/fold0
{TRAIN.format(plan="plan")} --width pocket -o models/unet-pocket/fold0
{TRAIN.format(plan="other")} --width pocket -o member
verify models/unet-pocket/fold0 --splits plan/splits.json --stores stores --quiet
ensemble --model models/unet-pocket/fold0 --model member -o ensemble --quiet
prune --model models/unet-full/fold0 -o pruned --quiet
decide --model ensemble --splits plan/splits.json --stores stores -o decided --quiet
export --model models/unet-pocket/fold0 -o deploy --quiet
infer --model models/unet-full/fold0 data/imagesTr -o predictions/full --quiet
infer --model deploy data/imagesTr -o predictions/pocket --no-extras --features --quiet
infer --model models/unet-pocket/fold0 --engine tensorflow data/imagesTr/demo_001.nii.gz -o one.nii.gz --quiet
evaluate --manifest dataset/manifest.json --input data --predictions predictions/full --model models/unet-full/fold0 \
 -o evaluation/unet-full/fold0 --quiet
evaluate --manifest dataset/manifest.json --input data --predictions predictions/pocket \
 --model models/unet-pocket/fold0 -o evaluation/unet-pocket/fold0 --quiet
calibrate --models models/unet-pocket --evaluations evaluation/unet-pocket -o calibrated --quiet
infer --model calibrated/fold0 data/imagesTr -o said --quiet
compare evaluation/unet-full/fold0/metrics.csv evaluation/unet-pocket/fold0/metrics.csv -o comparison --quiet
activations --model models/unet-pocket/fold0 --splits plan/splits.json --stores stores -o activations.json --quiet
experiment accuracy --manifest dataset/manifest.json --plan plan/plan.json --splits plan/splits.json \
 --comparison comparison --models models --evaluations evaluation -o experiment --quiet
report --comparison comparison --models models --evaluations evaluation --figures figures -o report.html --quiet
card models --metrics comparison/metrics.csv --splits plan/splits.json --input data -o cards --quiet
collect --models models --evaluations evaluation --comparison comparison --report report.html --quiet
models --arch unet --width pocket --json
code --versions
"""


def main(folder: Path) -> None:
    """Run them; the first that fails ends it."""
    os.chdir(folder)
    Path("tries.txt").touch()

    def watch(event: str, arguments: tuple) -> None:
        local = event == "socket.connect" and arguments[0].family == socket.AF_UNIX
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") and not local:
            with open("tries.txt", "a") as tries:
                print(event, arguments, file=tries)

    sys.addaudithook(watch)
    sys.dont_write_bytecode = True
    for line in COMMANDS.strip().splitlines():
        name, *arguments = line.split()
        try:
            import_module(f"pocketnet.cli.{name}").main(arguments, prog_name=f"pocket-{name}", standalone_mode=False)
        except BaseException as error:
            raise SystemExit(f"pocket-{line}: {error!r}") from error


if __name__ == "__main__":
    main(Path(sys.argv[1]))
