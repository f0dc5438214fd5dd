"""What does a change of a recipe do to accuracy? Trials on an inner split, paired case by case with the base.

Fold 0's training and validation cases are split again by the same rule (`planning.splits.make_folds`); of that, fold 0
is trained on, validated on and, whole volumes, scored on. No fold's test cases take part. A variant is a JSON patch
onto `base`, and that one onto the recipe; `null` takes a value away. Each trial is a process of its own and appends a
line to `OUT/trials.jsonl`: what was changed, seed, split, code, cost and every case's Dice, without and with mirrored
images. A trial that is there already, of the same code, is not repeated.

    PYTHONPATH=python .venv/bin/python bench/recipe.py --input DIR --base best --variants bench/recipe-32.json -o OUT
    PYTHONPATH=python .venv/bin/python bench/recipe.py -o OUT --table
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from pocketnet import files
from pocketnet.code import code_hash
from pocketnet.config import Plan
from pocketnet.evaluation.statistics import compare_paired
from pocketnet.planning.plan import make_plan
from pocketnet.planning.recipes import load
from pocketnet.planning.splits import intensity_constants, make_folds

BASE = "base"
WAYS = {"plain": False, "mirrored": True}
"""Whether the mean over mirrored images is taken; of a network that was trained with them only."""


def patched(value: dict, patch: dict) -> dict:
    """A JSON object with another laid over it, object by object; `None` removes (RFC 7396)."""
    out = dict(value)
    for key, change in patch.items():
        if change is None:
            out.pop(key, None)
        else:
            out[key] = patched(out.get(key, {}), change) if isinstance(change, dict) else change
    return out


def inner_split(manifest: dict, fingerprint: dict, seed: int) -> dict:
    """Fold 0's training and validation cases, split once more by the rule of the folds."""
    names = [case["case"] for case in manifest["cases"] if case["label"]]
    outer = make_folds(names, 5, seed)[0]
    inner = make_folds(outer["train"] + outer["validation"], 5, seed)[0]
    constants = intensity_constants(fingerprint, inner["train"], manifest["modalities"])
    return {"folds": [inner | {"intensity": constants}]}


def trial(args: argparse.Namespace, name: str, variant: dict) -> dict:
    """Train one variant and score it.

    Returns:
        The line of `trials.jsonl`.
    """
    from pocketnet.training.run import train

    manifest = files.read_json(args.data / "manifest.json", "manifest")
    fingerprint = files.read_json(args.data / "fingerprint.json", "fingerprint")
    plan = plan_of(args, manifest, fingerprint, variant)
    splits = inner_split(manifest, fingerprint, args.split_seed)
    with tempfile.TemporaryDirectory(dir=args.output) as folder:
        model = Path(folder) / "model"
        provenance = train(plan, splits, [args.data / "stores"], variant.get("arch", "unet"),
                           variant.get("width", "pocket"), 0, model, args.output / "checkpoints", say=print)
        used = resource.getrusage(resource.RUSAGE_SELF)
        scores = scored(model, manifest, splits["folds"][0]["test"], args.input,
                        plan.training.augmentation.flip > 0)
    return {"variant": name, "patch": variant, "base": args.base, "seed": args.seed, "steps": provenance["steps"],
            "split": files.digest(splits), "code": provenance["code"], "precision": provenance["precision"],
            "parameters": provenance["parameters"], "wall_seconds": provenance["wall_seconds"],
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1) if len(provenance["attempts"]) == 1 else None,
            "peak_host_memory_mib": provenance["peak_host_memory_mib"], "dice": scores}


def plan_of(args: argparse.Namespace, manifest: dict, fingerprint: dict, variant: dict) -> Plan:
    """The plan that a variant of the recipe makes, of `--steps` steps in epochs of 100."""
    recipe = patched(load(args.base), variant.get("recipe", {}))
    plan = make_plan(manifest, fingerprint, args.base, recipe=recipe, seed=args.seed)
    steps = round(args.steps * variant.get("steps_factor", 1) / 100) * 100
    return replace(plan, training=replace(plan.training, steps_per_epoch=100, epochs=steps // 100))


def scored(model: Path, manifest: dict, cases: list[str], folder: Path, mirrors: bool) -> dict:
    """Dice by way (`WAYS`), label and case, in the order of `cases`."""
    from pocketnet.evaluation.cases import to_classes
    from pocketnet.evaluation.metrics import dice
    from pocketnet.inference.predictor import Predictor
    from pocketnet.preprocessing.reference import read_label
    from pocketnet.preprocessing.scan import read_scan

    entries = {entry["case"]: entry for entry in manifest["cases"]}
    ways = WAYS if mirrors else {"plain": False}
    scores = {way: {label["name"]: [] for label in manifest["labels"]} for way in ways}
    for way, mirrored in ways.items():
        predictor = Predictor.load(model, tta=mirrored)
        for case in cases:
            scan = read_scan([folder / name for name in entries[case]["images"]])
            found = predictor.segment(scan).classes
            reference = to_classes(read_label(folder / entries[case]["label"], manifest.get("label_grid"),
                                              scan.grid).data, manifest["labels"])
            for label in manifest["labels"]:
                scores[way][label["name"]].append(
                    round(dice(reference == label["value"], found == label["value"]), 5))
    return scores


def table(lines: list[dict]) -> str:
    """Every trial beside the base of its seed and steps: mean Dice by label, and the paired difference of the mean."""
    rows = ["| variant | parameters | steps | seed | Dice by label | mirrored | CPU min | − base | 95 % interval |",
            "|---|---:|---:|---:|---|---|---:|---:|---|"]
    bases = {(line["seed"], line["split"]): line for line in lines if line["variant"] == BASE}
    for line in lines:
        base = bases.get((line["seed"], line["split"]))
        by_way = {way: " / ".join(f"{np.nanmean(values):.4f}" for values in of.values())
                  for way, of in line["dice"].items()}
        difference = interval = ""
        if base is not None and line is not base:
            paired = compare_paired(case_means(base), case_means(line))
            difference = f"{paired.difference:+.4f}"
            interval = "[{:+.4f}, {:+.4f}]".format(*paired.interval)
        cells = (line["variant"], f"{line['parameters']:,}", line["steps"], line["seed"], by_way["plain"],
                 by_way.get("mirrored", ""), f"{(line['cpu_seconds'] or np.nan) / 60:.1f}", difference, interval)
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows)


def case_means(line: dict, way: str = "plain") -> np.ndarray:
    """The mean over labels of each case."""
    return np.nanmean(list(line["dice"][way].values()), axis=0)


def read_lines(folder: Path) -> list[dict]:
    """The trials so far."""
    path = folder / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def prepare(args: argparse.Namespace) -> None:
    """Check and preprocess the dataset once, as the pipeline does."""
    commands = [["check", "--dataset", args.dataset, "--input", args.input, "-o", args.data],
                ["plan", "--manifest", args.data / "manifest.json", "--fingerprint", args.data / "fingerprint.json",
                 "--recipe", args.base, "-o", args.data],
                ["preprocess", "--manifest", args.data / "manifest.json", "--plan", args.data / "plan.json", "--input",
                 args.input, "-o", args.data / "stores"]]
    for name, *rest in commands:
        subprocess.run([Path(__file__).parents[1] / "bin" / f"pocket-{name}", "--quiet", *rest], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="hippocampus")
    parser.add_argument("--input", type=Path, help="the dataset's folder")
    parser.add_argument("--base", default="best", help="the recipe that variants change")
    parser.add_argument("--variants", type=Path, help="JSON: by name {recipe, arch, width, steps_factor}")
    parser.add_argument("--only", action="append", default=[], help="these variants, in this order; else all")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=12345, help="of weights and patches")
    parser.add_argument("--split-seed", type=int, default=12345)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--table", action="store_true", help="print what there is, train nothing")
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.data = args.output / "data"
    if args.table:
        print(table(read_lines(args.output)))
        return
    variants = {BASE: {}} | json.loads(args.variants.read_text())
    variants = {name: patched(variants[BASE], variant) for name, variant in variants.items()}
    if args.trial:
        line = trial(args, args.trial, variants[args.trial])
        with open(args.output / "trials.jsonl", "a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        return
    if not (args.data / "stores").is_dir():
        prepare(args)
    for name in args.only or variants:
        known = [(line["variant"], line["patch"], line["seed"], line["code"]) for line in read_lines(args.output)]
        if (name, variants[name], args.seed, code_hash("train")) not in known:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--trial", name], check=True)
    print(table(read_lines(args.output)))


if __name__ == "__main__":
    main()
