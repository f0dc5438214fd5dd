"""What does a change of a recipe do to accuracy? Trials on an inner split, paired case by case with the base.

Fold 0's training and validation cases (of the folds of `--splits`, if given) are split again by the rule of the folds
(`planning.folds.make_folds`), by patient where `--group` says how to tell them apart; of that, fold 0 is trained on,
validated on and, whole volumes, scored on. Fold 0's test cases take no part. A variant is a JSON patch onto `base`, and
its `recipe` one onto the recipe, where `null` takes a value away; its `patch` is in voxels (the recipe only bounds what
suits the images); with `members` so many networks, of seeds one after the other, are trained and averaged. Each trial
is a process of its own and appends a line to `OUT/trials.jsonl`: what was changed, seed, split, code, cost and every
case's Dice, predicted in each way of `WAYS`. A trial that is there already, of the same code, is not repeated.

    PYTHONPATH=python .venv/bin/python bench/recipe.py --input DIR --base best --variants bench/recipe-parts.json -o OUT
    PYTHONPATH=python .venv/bin/python bench/recipe.py -o OUT --table
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pocketnet import backend, files
from pocketnet.code import code_hash
from pocketnet.contracts.fingerprint import Fingerprint
from pocketnet.contracts.groups import together
from pocketnet.contracts.manifest import Manifest
from pocketnet.contracts.plan import Plan
from pocketnet.contracts.splits import Fold, Splits
from pocketnet.evaluation.statistics import compare_paired
from pocketnet.planning.folds import labelled, make_folds
from pocketnet.planning.given import given_splits
from pocketnet.planning.plan import PlanOverrides, make_plan
from pocketnet.planning.recipes import load, patched
from pocketnet.planning.splits import intensity_constants
from pocketnet.training.model_folder import ModelFolder, write_checksums

BASE = "base"
PLAIN, OTHER, ALONE = "plain", "other checkpoint", "each member alone"
WAYS = {PLAIN: {}, "mirrored": {"mirrored": True}, "all components": {"largest_component": False}, OTHER: {}, ALONE: {}}
"""How to predict: patches onto the plan's inference. Mirrored only where training mirrored, too; `OTHER` by the network
after the last step instead of the one with the best validation loss, or the other way round; `ALONE` the mean of the
members' Dice, instead of the Dice of their mean."""


def inner_split(manifest: Manifest, fingerprint: Fingerprint, seed: int, given: Path | None = None) -> Splits:
    """Fold 0's training and validation cases, split once more by the rule of the folds; `given` is a file of folds."""
    cases = labelled(manifest)
    groups = together(cases)
    if given:
        outer = given_splits(given, manifest, seed)[1][0]
    else:
        outer = make_folds([case.case for case in cases], 5, seed, groups=groups)[0]
    inner = make_folds([*outer.train, *outer.validation], 5, seed, groups=groups)[0]
    constants = intensity_constants(fingerprint, inner.train, manifest.modalities)
    fold = Fold(0, tuple(inner.train), tuple(inner.validation), tuple(inner.test), constants)
    return Splits(manifest.dataset, "inner split of fold 0", seed, (fold,))


def trial(args: argparse.Namespace, name: str, variant: dict) -> dict:
    """Train one variant and score it.

    Returns:
        The line of `trials.jsonl`.
    """
    from pocketnet.training.run import Choice, train

    manifest = Manifest.read(args.data / "manifest.json")
    fingerprint = Fingerprint.read(args.data / "fingerprint.json")
    plan = plan_of(args, manifest, fingerprint, variant)
    splits = inner_split(manifest, fingerprint, args.split_seed, args.splits)
    with tempfile.TemporaryDirectory(dir=args.output) as folder:
        models, made = [], []
        for member in range(variant.get("members", 1)):
            models.append(Path(folder) / f"model-{member}")
            made.append(train(replace(plan, seed=args.seed + member), splits, [args.data / "stores"],
                              Choice(variant.get("arch", "unet"), variant.get("width", "pocket"), 0), models[-1],
                              args.output / "checkpoints"))
        used = resource.getrusage(resource.RUSAGE_SELF)
        scores = scored(models, manifest, splits.folds[0].test, args.input)
    whole = all(len(provenance.attempts) == 1 for provenance in made)
    return {"variant": name, "patch": variant, "base": args.base, "seed": args.seed, "asked_steps": args.steps,
            "steps": sum(provenance.steps for provenance in made),
            "split": files.digest({"folds": splits.to_json()["folds"]}),
            "code": made[0].code, "precision": made[0].precision, "backend": made[0].hardware.backend,
            "parameters": sum(provenance.parameters for provenance in made),
            "wall_seconds": round(sum(provenance.wall_seconds for provenance in made), 2),
            "cpu_seconds": round(used.ru_utime + used.ru_stime, 1) if whole else None,
            "peak_host_memory_mib": max(provenance.peak_host_memory_mib for provenance in made), "dice": scores}


def plan_of(args: argparse.Namespace, manifest: Manifest, fingerprint: Fingerprint, variant: dict) -> Plan:
    """The plan that a variant of the recipe makes, of `--steps` steps in epochs of 100."""
    recipe = patched(load(args.base), variant.get("recipe", {}))
    plan = make_plan(manifest, fingerprint, args.base, recipe=recipe, seed=args.seed,
                     overrides=PlanOverrides(patch=variant.get("patch")))
    steps = round(args.steps * variant.get("steps_factor", 1) / 100) * 100
    return replace(plan, training=replace(plan.training, steps_per_epoch=100, epochs=steps // 100))


def scored(folders: list[Path], manifest: Manifest, cases: Sequence[str], images: Path) -> dict:
    """Dice of the mean of some networks, by way (`WAYS`), label and case, in the order of `cases`."""
    shipped = [ModelFolder.open(folder) for folder in folders]
    scores = {}
    for way, patch in WAYS.items():
        useless = {"mirrored": not shipped[0].plan.training.augmentation.flip, ALONE: len(folders) == 1}
        if useless.get(way):
            continue
        models = [ModelFolder.open(at_other_checkpoint(folder)) for folder in folders] if way == OTHER else shipped
        inference = replace(models[0].plan.inference, **patch)
        models = [replace(model, plan=replace(model.plan, inference=inference)) for model in models]
        groups = [[model] for model in models] if way == ALONE else [models]
        dice = np.mean([dice_of(group, manifest, cases, images) for group in groups], axis=0).round(5).tolist()
        scores[way] = dict(zip([label.name for label in manifest.labels], dice, strict=True))
    return scores


def dice_of(models: list[ModelFolder], manifest: Manifest, cases: Sequence[str], images: Path) -> list[list[float]]:
    """Dice of the mean of some networks: a row for each label, a column for each case."""
    from pocketnet.evaluation.metrics import dice
    from pocketnet.inference.predictor import Predictor
    from pocketnet.preprocessing.label_maps import map_labels
    from pocketnet.preprocessing.reference import read_label
    from pocketnet.preprocessing.scan import read_scan

    entries = {entry.case: entry for entry in manifest.cases}
    predictor = Predictor(models)
    rows = [[] for _ in manifest.labels]
    for case in cases:
        scan = read_scan([images / name for name in entries[case].images])
        found = predictor.segment(scan).classes
        reference = map_labels(read_label(images / entries[case].label, manifest.label_grid,
                                          scan.grid).data, manifest.labels)
        for row, label in zip(rows, manifest.labels, strict=True):
            row.append(dice(reference == label.value, found == label.value))
    return rows


def at_other_checkpoint(folder: Path) -> Path:
    """A copy of a model folder beside it, of the checkpoint that it doesn't ship."""
    copy = folder.with_name(f"{folder.name}-other")
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("model.*"))
    next(copy / name for name in ("last.keras", "best.keras") if (copy / name).is_file()).rename(copy / "model.keras")
    write_checksums(copy)
    return copy


def table(lines: list[dict]) -> str:
    """Mean Dice by label of every trial beside its base, then of every way beside the plain one and beside the base
    predicted alike, and of every way over all its trials; with the paired difference of the mean over labels."""
    rows = ["| variant | parameters | steps | seed | Dice by label | CPU min | − base | 95 % interval |",
            "|---|---:|---:|---:|---|---:|---:|---|"]
    ways = ["", ("| variant | seed | predicted | Dice by label | − plain | 95 % interval "
                 "| − base, alike | 95 % interval |"),
            "|---|---:|---|---|---:|---|---:|---|"]
    both: dict[tuple, list] = {}
    bases = {_alike(line): line for line in lines if line["variant"] == BASE}
    for line in lines:
        base = bases.get(_alike(line))
        with_base = base is not None and line is not base
        compared = difference(case_means(base), case_means(line)) if with_base else ("", "")
        cells = (line["variant"], f"{line['parameters']:,}", line["steps"], line["seed"], by_label(line),
                 f"{(line['cpu_seconds'] or np.nan) / 60:.1f}", *compared)
        rows.append(f"| {' | '.join(map(str, cells))} |")
        for way in line["dice"]:
            if way == PLAIN:
                continue
            sides = case_means(line), case_means(line, way)
            both.setdefault((way, line["split"]), []).append(sides)
            alike = difference(case_means(base, way), sides[1]) if with_base and way in base["dice"] else ("", "")
            cells = (line["variant"], line["seed"], way, by_label(line, way), *difference(*sides), *alike)
            ways.append(f"| {' | '.join(map(str, cells))} |")
    rows += _over_seeds(lines, bases)
    for (way, _), sides in both.items():
        cells = (f"mean over trials ({len(sides)})", "", way, "", *difference(*np.mean(sides, axis=0)), "", "")
        ways.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(rows + (ways if len(ways) > 3 else []))


def _over_seeds(lines: list[dict], bases: dict[tuple, dict]) -> list[str]:
    """A row for each variant that was tried with several seeds: the mean over those seeds beside the base's."""
    sides: dict[tuple, list] = {}
    for line in lines:
        base = bases.get(_alike(line))
        if base is not None and line is not base:
            sides.setdefault((line["variant"], *_alike(line)[1:]), []).append((base, line))
    rows = []
    for (variant, *_), pairs in sides.items():
        if len(pairs) > 1:
            means = np.mean([(case_means(base), case_means(line)) for base, line in pairs], axis=0)
            dice = np.nanmean([list(line["dice"][PLAIN].values()) for _, line in pairs], axis=(0, 2))
            cells = (variant, f"{pairs[0][1]['parameters']:,}", "", f"mean of {len(pairs)}",
                     " / ".join(f"{value:.4f}" for value in dice), "", *difference(*means))
            rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def _alike(line: dict) -> tuple:
    """What a trial and its base have in common: the seed, and what else makes two trials comparable."""
    return line["seed"], line["split"], line["code"], line.get("asked_steps"), line.get("backend", "tensorflow")


def by_label(line: dict, way: str = PLAIN) -> str:
    """Each label's mean over cases."""
    return " / ".join(f"{np.nanmean(values):.4f}" for values in line["dice"][way].values())


def difference(reference: np.ndarray, other: np.ndarray) -> tuple[str, str]:
    """The mean paired difference of two rows of cases, other − reference, and its bootstrap interval."""
    paired = compare_paired(reference, other)
    return f"{paired.difference:+.4f}", "[{:+.4f}, {:+.4f}]".format(*paired.interval)


def case_means(line: dict, way: str = PLAIN) -> np.ndarray:
    """The mean over labels of each case."""
    return np.nanmean(list(line["dice"][way].values()), axis=0)


def read_lines(folder: Path) -> list[dict]:
    """The trials so far."""
    path = folder / "trials.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def prepare(args: argparse.Namespace) -> None:
    """Check and preprocess the dataset once, as the pipeline does."""
    group = ["--group", args.group] if args.group else []
    commands = [["check", "--dataset", args.dataset, "--input", args.input, *group, "-o", args.data],
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
    parser.add_argument("--group", help="what keeps cases together, as in pocket-check")
    parser.add_argument("--splits", type=Path, help="folds, as in pocket-plan; else the suite's own")
    parser.add_argument("--base", default="best", help="the recipe that variants change")
    parser.add_argument("--variants", type=Path, help="JSON: by name {recipe, patch, arch, width, steps_factor, …}")
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
        known = [(line["variant"], line["patch"], line["seed"], line["code"], line.get("asked_steps"),
                  line.get("backend", "tensorflow")) for line in read_lines(args.output)]
        if (name, variants[name], args.seed, code_hash("train"), args.steps, backend.name()) not in known:
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--trial", name], check=True)
    print(table(read_lines(args.output)))


if __name__ == "__main__":
    main()
