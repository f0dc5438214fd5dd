"""A finished run made from code, for tests of the steps after training: small, real in form, no network needed."""

from __future__ import annotations

import json
from pathlib import Path

import checked
import numpy as np
import pandas as pd
from pocketnet import files
from pocketnet.contracts import costs
from pocketnet.contracts.provenance import Provenance
from pocketnet.evaluation import table
from pocketnet.models.widths import policy_of
from pocketnet.outputs import MARKER
from pocketnet.training.model_folder import write_checksums

PARAMETERS = {"full": 5_642_306, "pocket": 387_394, "capped128": 1_500_000, "capped64": 800_000,
              "pruned": 387_394, "pruned-tuned": 387_394, "pocket-continued": 387_394}
LABELS = [{"name": "Anterior", "value": 1, "source_values": [1]},
          {"name": "Posterior", "value": 2, "source_values": [2]}]
PLAN = {
    "dataset": "hippocampus", "recipe": "quick", "seed": 12345, "modalities": ["MRI"], "labels": LABELS,
    "preprocessing": {"crop": "nonzero", "spacing_mm": None, "normalisation": "zscore"},
    "network": {"dimensions": 3, "channels": 1, "classes": 3, "depth": 3, "feature_maps": 32,
                "pooling": [[2, 2, 2]] * 3, "norm": "batch", "skip": "concatenate"},
    "training": {"patch": [32, 48, 32], "batch": 2, "epochs": 6, "steps_per_epoch": 20, "loss": "l2_dice",
                 "optimizer": "adam", "learning_rate": 0.001, "plateau_factor": 0.9, "plateau_patience": 9,
                 "clip_norm": None, "foreground_fraction": 0.5,
                 "augmentation": {"flip": 0.5, "noise": 0.2, "blur": 0.2}},
    "inference": {"overlap": 0.5, "gaussian_sigma": 0.125, "largest_component": True},
}


def plan_in(name: str) -> dict:
    """The plan of a configuration, `2d` or `3d`, that has the other one beside it."""
    flat = {"kernel": [3, 3, 1], "pooling": [[2, 2, 1]] * 3} if name == "2d" else {}
    configuration = {"name": name, "reason": "few slices far apart", "beside": "3d" if name == "2d" else "2d"}
    training = PLAN["training"] | ({"patch": [32, 48, 1], "augmentation": PLAN["training"]["augmentation"] | {
        "flip_axes": [0, 1]}} if name == "2d" else {})
    return PLAN | {"network": PLAN["network"] | flat, "configuration": configuration, "training": training}


def validation(dice: float, fold: int, cases: int = 4) -> dict:
    """Decisions with so much validation Dice on average; the cases of two networks differ alike."""
    generator = np.random.default_rng(fold)
    return {"references": 0, "predictions": 0, "postprocessing": [], "validation": [
        {"case": f"validation_{fold}_{number}", "dice": dice + noise}
        for number, noise in enumerate(generator.uniform(-0.04, 0.04, cases))]}


def energy(kwh: float, how: str = "estimated") -> dict:
    """The energy of a training or a case."""
    return {"processor_kwh": kwh, "processor": how} | ({"watts_per_core": 10.0} if how == "estimated" else {})


def add_costs(root: Path, **kwh: float) -> None:
    """Give the evaluations of a run the energy of each case, by width."""
    for width, value in kwh.items():
        for folder in root.glob(f"evaluation/unet-{width}/*"):
            cases = sorted(set(table.read(folder / "metrics.csv")["case"]))
            costs.write(folder / "costs.csv", [costs.Cost.from_json(
                {"case": case, "seconds": 2.0, "energy": energy(value)}) for case in cases])


def provenance(width: str = "pocket", fold: int = 0, arch: str = "unet", **changes) -> Provenance:
    """The provenance of a network."""
    return Provenance.from_json({
        "dataset": "hippocampus", "arch": arch, "width": width, "fold": fold, "recipe": "quick", "seed": 12345,
        "parameters": PARAMETERS[policy_of(width)], "steps": 120, "run_key": f"{arch}-{width}-{fold}", "code": "c0de",
        "commit": "f00d", "version": "0.1.0", "versions": {"python": "3.11.7", "keras": "3.12.0"},
        "hardware": {"cpu": "a CPU", "cores": 2, "memory_mib": 24000, "devices": []},
        "attempts": [{"first_step": 0, "last_step": 120, "seconds": 66.0, "ended": "finished"}],
        "wall_seconds": 66.0 if policy_of(width) == "pocket" else 132.0, "peak_host_memory_mib": 1700.0,
        "peak_device_memory_mib": None, "validation_loss": 0.2, "intensity": [], **changes})


def write_model(folder: Path, plan: dict = PLAN, **changes) -> Path:
    """A model folder with a history of six epochs, without the network itself."""
    folder.mkdir(parents=True, exist_ok=True)
    record = provenance(**changes)
    checked.write_json(folder / "provenance.json", record, "provenance")
    checked.write_json(folder / "plan.json", plan, "plan")
    checked.write_json(folder / "labels.json", {"modalities": ["MRI"], "labels": LABELS}, "labels")
    lines = ["epoch,step,learning_rate,loss,validation_loss,validation_dice,seconds"]
    lines += [f"{epoch},{epoch * 20},0.001,{0.8 / epoch:.4f},{0.9 / epoch:.4f},{1 - 0.8 / epoch:.4f},{epoch * 11}"
              for epoch in range(1, 7)]
    files.write_text(folder / "history.csv", "\n".join(lines) + "\n")
    files.write_text(folder / "system.csv", "\n".join(
        ["epoch,step,seconds,cpu_percent,host_memory_mib,device_memory_mib",
         *(f"{epoch},{epoch * 20},{epoch * 11},150,{1000 + epoch},"
           for epoch in range(1, 7))]) + "\n")
    (folder / "model.keras").write_bytes(record.run_key.encode())
    write_checksums(folder)
    return folder


def metrics(width: str = "pocket", fold: int = 0, cases: int = 10, shift: float = 0.0, **changes) -> pd.DataFrame:
    """Rows of `metrics.csv`; the same case has similar values under every width, `shift` is added to its Dice."""
    record = provenance(width, fold, **changes)
    rows = []
    for index in range(cases):
        generator = np.random.default_rng([fold, index])
        own = np.random.default_rng([fold, index, len(width)])
        for label in LABELS:
            dice = 0.9 - 0.05 * generator.random() + shift + 0.002 * own.normal()
            rows.append({**table.of_run(record), "case": f"case_{fold}_{index:02d}",
                         "label": label["name"], "dice": dice, "hd95_mm": 20 * (1 - dice), "asd_mm": 5 * (1 - dice),
                         "reference_ml": 1.5, "predicted_ml": 1.6, "hd95_voxels_mm": 10 * (1 - dice),
                         "asd_voxels_mm": 1 - dice, "nsd_1mm": 0.5 + dice / 2})
    return pd.DataFrame(rows)


def write_evaluation(folder: Path, rows: pd.DataFrame) -> Path:
    """An evaluation's folder with small pictures."""
    from PIL import Image

    (folder / "overlays").mkdir(parents=True, exist_ok=True)
    table.write_metrics(folder / "metrics.csv", rows)
    mean = rows.groupby("case")["dice"].mean()
    entries = []
    for rank, case in (("best", mean.idxmax()), ("worst", mean.idxmin())):
        Image.new("L", (8, 8), 128).save(folder / "overlays" / f"{rank}_{case}.png")
        entries.append({"case": case, "file": f"overlays/{rank}_{case}.png", "dice": float(mean[case]), "rank": rank})
    (folder / "thumbnails").mkdir(exist_ok=True)
    small = [{"case": case, "file": f"thumbnails/{case}.webp"} for case in mean.sort_values().index]
    for entry in small:
        Image.new("RGB", (8, 8), "grey").save(folder / entry["file"])
    checked.write_json(folder / "overlays.json", {"overlays": entries, "thumbnails": small}, "overlays")
    return folder


def write_run(root: Path, widths=("full", "pocket"), folds=(0, 1), shift: float = -0.004) -> Path:
    """Models, evaluations and comparison of a run, laid out as published."""
    for width in widths:
        for fold in folds:
            write_model(root / "models" / f"unet-{width}" / f"fold{fold}", width=width, fold=fold,
                        energy=energy(0.25 if width == "pocket" else 0.5))
            write_evaluation(root / "evaluation" / f"unet-{width}" / f"fold{fold}",
                             metrics(width, fold, shift=shift if width == "pocket" else 0))
    add_costs(root, pocket=0.0001, full=0.0002)
    return _compared(root)


def write_both(root: Path, dice=(("pocket-2d", 0.8), ("pocket-3d", 0.75), ("full-2d", 0.78), ("full-3d", 0.79)),
               folds=(0, 1)) -> Path:
    """A run in 2D and in 3D, with so much validation Dice."""
    for width, mean in dice:
        for fold in folds:
            write_model(root / "models" / f"unet-{width}" / f"fold{fold}", plan_in(width[-2:]), width=width, fold=fold,
                        decisions=validation(mean, fold))
            write_evaluation(root / "evaluation" / f"unet-{width}" / f"fold{fold}", metrics(width, fold))
    return _compared(root, "--models", str(root / "models"))


def _compared(root: Path, *options: str) -> Path:
    from click.testing import CliRunner
    from pocketnet.cli.compare import main

    paths = sorted(map(str, root.glob("evaluation/*/*/metrics.csv")))
    outcome = CliRunner().invoke(main, [*paths, *options, "-o", str(root / "comparison"), "--quiet"])
    assert outcome.exit_code == 0, outcome.output
    return root


def write_profile(path: Path, width: str = "pocket") -> Path:
    """A `profile.json` of one configuration."""
    checked.write_json(path, {"hardware": {}, "configurations": [{
        "arch": "unet", "width": width, "dimensions": 3, "channels": 1, "classes": 3, "depth": 3, "feature_maps": 16,
        "patch": [32, 48, 32], "batch": 2, "mode": "train", "engine": None, "precision": "float32", "accumulate": 1,
        "rematerialise": False, "threads": 2, "steps": 5, "warm_up": 2, "parameters": PARAMETERS[width], "gflops": 90.0,
        "predicted": {"device": "cpu", "calibrated": False, "host_memory_mib": 1500, "device_memory_mib": 900,
                      "usable_memory_mib": 30000, "fits": True, "step_seconds": 0.6, "patches_per_second": 3.3,
                      "moment": "decoder0_norm2, backward", "sum_of_outputs_mib": 800},
        "measured": {"status": "ok", "reason": None, "host_memory_mib": 1650, "host_memory_growth_mib": 900,
                     "device_memory_mib": None, "step_seconds": 0.5, "step_seconds_sd": 0.02,
                     "patches_per_second": 4.0}}]}, "profile")
    return path


def written(folder: Path) -> list[str]:
    """What commands wrote into a folder, its marker aside."""
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER)


def edit_json(path: Path, **changes) -> None:
    """Change keys of a JSON file without validation, as another program would have written it."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    record_anew(path)


def record_anew(path: Path) -> None:
    """Make the records of a changed file's folder those of the file as it is: the checksums, or no marker."""
    (path.parent / MARKER).unlink(missing_ok=True)
    if (path.parent / "checksums.json").is_file():
        write_checksums(path.parent)
