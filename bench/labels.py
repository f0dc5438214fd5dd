"""What do incomplete annotation and a start from another network cost? On the hippocampus.

Variants: `full`, full labels; `labels`, in which half of the cases (drawn with `--seed`) have only the anterior part
annotated and the others only the posterior part; `slices`, in which 20 % of the slices of each case are annotated and
the rest is ignored; `start`, which has full labels and trains for half of the steps, from a network of variant
`source`. `source` is trained on half of the fold's training cases with the anterior part as its only label. Each
variant is checked, planned and preprocessed like any dataset, and trained by recipe `quick` on the same folds. All
networks but the source are evaluated on the test cases with full labels. A network that is there already is not trained
again.

    make bench-labels
    PYTHONPATH=python .venv/bin/python bench/labels.py -o OUT --cases 20 --folds 0 --epochs 1 --steps-per-epoch 5

Prints one JSON object: the mean Dice by variant and label, the shares of the full labels' mean, their bounds, and
whether these hold (`ok`).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

REPOSITORY = Path(__file__).parents[1]
ROOT = Path(os.environ.get("POCKET_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
LABELS = {"Anterior": 1, "Posterior": 2}
IGNORED = 3
EVERY = 5
"""One slice in so many is annotated."""
FOLDS = 5
FULL, SOURCE, START = "full", "source", "start"
BOUNDS = {"labels": 0.98, "slices": 0.97}
"""Minimum share of the Dice with full labels, by variant. `start` has none: its share is reported."""


def run(name: str, *arguments: object) -> None:
    """Run `pocket-<name>`."""
    subprocess.run([REPOSITORY / "bin" / f"pocket-{name}", "--quiet", *map(str, arguments)], check=True,
                   stdout=subprocess.DEVNULL)


def write_dataset(source: Path, folder: Path, variant: str, cases: list[str], seed: int) -> None:
    """Write a variant of the dataset: links to the images, changed label maps, and what says how to read them."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    only = dict(zip(rng.permutation(cases).tolist(), list(LABELS) * len(cases), strict=False))
    for case in cases:
        (folder / f"imagesTr/{case}.nii.gz").symlink_to((source / f"imagesTr/{case}.nii.gz").resolve())
        label = nib.load(source / f"labelsTr/{case}.nii.gz")
        voxels = np.asarray(label.dataobj).astype(np.uint8)
        if variant == "labels":
            voxels[voxels != LABELS[only[case]]] = 0
        elif variant == SOURCE:
            voxels[voxels != LABELS["Anterior"]] = 0
        elif variant == "slices":
            voxels[..., np.arange(voxels.shape[2]) % EVERY != rng.integers(EVERY)] = IGNORED
        nib.save(nib.Nifti1Image(voxels, label.affine), folder / f"labelsTr/{case}.nii.gz")
    labels = {"Anterior": 1} if variant == SOURCE else LABELS
    values = {"0": "background", **{str(value): name for name, value in labels.items()}}
    index = {"modality": {"0": "MRI"}, "labels": values | ({str(IGNORED): "ignore"} if variant == "slices" else {}),
             "numTraining": len(cases), "training": [
                 {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} for case in cases]}
    (folder / "dataset.json").write_text(json.dumps(index))
    if variant == "labels":
        lines = [f"{case},{only[case]}" for case in cases]
        (folder / "annotated.csv").write_text("\n".join(["case,annotated", *lines, ""]))


def keep_half(splits: Path, seed: int) -> None:
    """Leave each fold half of its training cases, drawn with a seed."""
    content = json.loads(splits.read_text())
    for number, fold in enumerate(content["folds"]):
        drawn = np.random.default_rng((seed, number)).permutation(sorted(fold["train"]))
        fold["train"] = sorted(drawn[:len(drawn) // 2].tolist())
    splits.write_text(json.dumps(content))


def prepare(args: argparse.Namespace, variant: str) -> Path:
    """Write, check, plan and preprocess a variant unless it is there; return its folder."""
    folder = args.output / variant
    if (folder / "stores").is_dir():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    source = ROOT / "Task04_Hippocampus"
    cases = sorted(path.name.removesuffix(".nii.gz") for path in (source / "labelsTr").glob("h*.nii.gz"))[:args.cases]
    write_dataset(source, folder / "data", variant, cases, args.seed)
    run("check", "--dataset", "hippocampus", "--input", folder / "data", "--folds", FOLDS, "-o", folder)
    sizes = [word for option in ("epochs", "steps_per_epoch") if (value := getattr(args, option))
             for word in (f"--{option.replace('_', '-')}", value)]
    run("plan", "--manifest", folder / "manifest.json", "--fingerprint", folder / "fingerprint.json", "--folds", FOLDS,
        "--recipe", "quick", *sizes, "-o", folder)
    run("preprocess", "--manifest", folder / "manifest.json", "--plan", folder / "plan.json", "--input",
        folder / "data", "-o", folder / "stores")
    if variant == SOURCE:
        keep_half(folder / "splits.json", args.seed)
    return folder


def train(args: argparse.Namespace, variant: str, fold: int) -> Path:
    """Train a variant on a fold unless that is done; return the model folder."""
    folder = prepare(args, FULL if variant == START else variant)
    model = args.output / variant / f"fold{fold}/model"
    if (model / "checksums.json").is_file():
        return model
    further: list[object] = []
    if variant == START:
        epochs = json.loads((folder / "plan.json").read_text())["training"]["epochs"]
        further = ["--start-from", train(args, SOURCE, fold), "--epochs", epochs // 2, "--variant", START]
    run("train", "--plan", folder / "plan.json", "--splits", folder / "splits.json", "--stores", folder / "stores",
        "--fold", fold, "--arch", "unet", "--width", "pocket", "--checkpoints", args.output / variant / "checkpoints",
        "-o", model, *further)
    return model


def dice_of(args: argparse.Namespace, variant: str, fold: int) -> dict[str, list[float]]:
    """Train a variant on a fold and evaluate it with full labels; return the Dice of the test cases by label."""
    full, out = prepare(args, FULL), args.output / variant / f"fold{fold}"
    if not (out / "evaluation/metrics.csv").is_file():
        model = train(args, variant, fold)
        test = json.loads((full / "splits.json").read_text())["folds"][fold]["test"]
        whole = json.loads((full / "manifest.json").read_text())
        tested = whole | {"cases": [entry for entry in whole["cases"] if entry["case"] in test]}
        (out / "test.json").write_text(json.dumps(tested))
        given = ("--manifest", out / "test.json", "--input", full / "data", "--model", model)
        run("infer", *given, "-o", out / "predictions", "--overwrite")
        run("evaluate", *given, "--predictions", out / "predictions", "-o", out / "evaluation")
    with open(out / "evaluation/metrics.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {name: [float(row["dice"] or 0) for row in rows if row["label"] == name] for name in LABELS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--cases", type=int, help="the first so many cases; all if it is left out")
    parser.add_argument("--folds", default=",".join(map(str, range(FOLDS))), help="numbers of folds, such as 0,1")
    parser.add_argument("--epochs", type=int, help="of each training; else the recipe's")
    parser.add_argument("--steps-per-epoch", type=int)
    parser.add_argument("--seed", type=int, default=12345, help="of the choice of labels and slices")
    args = parser.parse_args()
    if not (ROOT / "Task04_Hippocampus").is_dir():
        sys.exit(f"no data at {ROOT}; set POCKET_TEST_DATA")
    dice: dict[str, dict[str, list[float]]] = {}
    for fold in map(int, args.folds.split(",")):
        for variant in (FULL, *BOUNDS, START):
            for name, values in dice_of(args, variant, fold).items():
                dice.setdefault(variant, {}).setdefault(name, []).extend(values)
            print(f"fold {fold}, {variant}: done", file=sys.stderr, flush=True)
    means = {variant: {name: round(float(np.mean(values)), 4) for name, values in found.items()}
             for variant, found in dice.items()}
    mean = {variant: float(np.mean([np.mean(values) for values in found.values()])) for variant, found in dice.items()}
    shares = {variant: mean[variant] / mean[FULL] if mean[FULL] else 0.0 for variant in (*BOUNDS, START)}
    print(json.dumps({"dice": means, "cases": len(dice[FULL]["Anterior"]),
                      "shares": {variant: round(share, 4) for variant, share in shares.items()}, "bounds": BOUNDS,
                      "ok": all(shares[variant] >= bound for variant, bound in BOUNDS.items())}))


if __name__ == "__main__":
    main()
