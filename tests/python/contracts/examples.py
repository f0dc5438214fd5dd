"""A valid example of every kind of file, with every optional key."""

from __future__ import annotations

from copy import deepcopy

import tiny

INTENSITY = [{"modality": "MRI", "mean": 160.0, "std": 50, "p0_5": 60.0, "p99_5": 260.0}]
SPLITS = tiny.splits().to_json()
SPREAD = {"minimum": 1, "median": 1.5, "maximum": 2.0}
RANGES = {"cases": 3, "spacing_mm": [SPREAD] * 3, "extent_mm": [SPREAD] * 3, "intensities": [
    {"modality": "MRI", **dict.fromkeys(("p0_5", "median", "p99_5", "low", "middle", "high"), SPREAD)}]}
LABELS = [{"name": "Anterior", "value": 1, "source_values": [1]},
          {"name": "Posterior", "value": 2, "source_values": [2, 3]}]
CHECKSUM = "0123456789abcdef" * 4
HARDWARE = {"cpu": "a CPU", "cores": 2, "memory_mib": 24000, "backend": "tensorflow", "devices": ["cpu:0"]}
NETWORK = {"arch": "unet", "width": "pocket"}
OPERATIONS = {"largest_component": True, "smallest_mm3": 0.0, "fill_holes": False}
ENERGY = {"processor_kwh": 0.1, "processor": "estimated", "watts_per_core": 10.0, "gpu_kwh": 0.2, "gpu": "nvml"}
INTERVAL = [-0.01, 0.02]
SUMMARY = {"mean": 0.9, "sd": 0.1, "median": 0.91, "n": 4, "undefined": 0, "interval": [0.8, 0.95]}
PAIR = {**NETWORK, "reference": "full", "label": "Anterior", "metric": "dice", "n": 4, "difference": -0.004,
        "interval": INTERVAL, "p_value": 0.3, "undefined": 0, "p_holm": 0.6, "test": "Wilcoxon",
        "equivalence": {"margin": 0.01, "p_value": 0.02, "equivalent": True}}
ESTIMATE = {"value": 0.8, "interval": [0.7, 0.9], "n": 10}
RATES = {"convolutions": 0.01, "products": 0.02, "passed": 0.1, "weights": 0.2, "layers": 0.0001}
RUN = {"dataset": "hippocampus", **NETWORK, "fold": 0, "recipe": "quick", "parameters": 1000, "code": "c0de",
       "run_key": "key"}


def _case(number: int) -> dict:
    files = [f"images/{number}.nii.gz", f"labels/{number}.nii.gz"]
    return {"case": f"case_{number}", "images": files[:1], "label": files[1], "class": "Anterior",
            "group": f"p{number}", "annotated": ["Anterior"], "sha256": dict.fromkeys(files, CHECKSUM)}


def _fingerprint() -> dict:
    return {"shape": [35, 50, 36], "spacing_mm": [1, 1.0, 1.0], "orientation": "RAS", "cropped_shape": [30, 50, 36],
            "label_voxels": {"Anterior": 10, "Posterior": 20},
            "intensities": [{"modality": "MRI", "mean": 1.5, "std": 1.0, "minimum": 0.0, "maximum": 9, "p0_5": 0.1,
                             "median": 1.0, "p99_5": 8.0, "voxels": 5000, "sample": [1.0, 2, 3.5]}]}


STANDARD = {"features": ["soft_dice", "entropy"], "mean": [0.9, 0.5], "scale": [0.01, 0.1]}
RELIABILITY = {"ece": 0.02, "bins": [{"probability": 0.05, "observed": 0.02, "voxels": 900},
                                     {"probability": 0.93, "observed": 0.9, "voxels": 400}]}
RULES = {"task": "segmentation", "classes": {"Anterior": [1], "Posterior": [2, 3]}, "known": [0, 1, 2, 3],
         "label_grid": "own", "sample": 500}
LISTED = {"case": "case_1", "images": {"MRI": "imagesTr/a.nii.gz[2]"}, "label": "labelsTr/a.nii.gz",
          "files": [{"path": "imagesTr/a.nii.gz", "bytes": 5000, "modified": 1_790_000_000_000_000}],
          "class": "Anterior", "annotated": ["Anterior"]}

BODIES: dict[str, dict] = {
    "batches": {
        "dataset": "hippocampus", "cases": 3, "preprocess": ["all-0.json", "all-1.json"],
        "folds": [{"fold": 0, "manifest": "fold0.json", "batches": [
            {"manifest": "fold0-0.json", "infer": ["fold0-0-0.json", "fold0-0-1.json"]},
            {"manifest": "fold0-1.json", "infer": ["fold0-1-0.json"]}]}]},
    "calibration": {
        "dataset": "hippocampus", **NETWORK, "folds": [0, 1], "run_keys": ["key", "other"], "predictions": 1,
        "cases": 40, "coverage": 0.9, "accept": 0.75, "reject": 0.5,
        "image": {"standard": {"features": ["spacing_x"], "mean": [0.0], "scale": [0.1]}, "precision": [[1.0]],
                  "limit": 2.5},
        "labels": [{"label": name, "cases": 38, "dice": {
            "standard": STANDARD, "weights": [0.01, -0.02], "intercept": 0.88, "margin": 0.04}, "volume": [None, 0.2],
            "novelty": {"standard": STANDARD, "precision": [[1.0, 0.1], [0.1, 1.0]], "limit": 2.5}, "absent": 2,
            "absent_rightly": 1, "held_out": {"cases": 38, "coverage": 0.9, "volume_coverage": 0.89, "gap": 0.04,
                                              "correlation": 0.3, "error": 0.03, "risk": [[0.5, 0.1], [1.0, 0.12]]}}
            for name in ("Anterior", "Posterior")],
        "flags": {"accept": 36, "look": 3, "reject": 1}},
    "cases": {"rules": RULES, "cases": [LISTED]},
    "checked": {"rules": RULES, "cases": [
        {"listed": LISTED, "problems": [{"file": "imagesTr/a.nii.gz", "problem": "truncated"}], "warnings": ["Odd."],
         "sha256": {"imagesTr/a.nii.gz": CHECKSUM}, "fingerprint": _fingerprint()}]},
    "manifest": {
        "dataset": "hippocampus", "layout": "decathlon", "task": "segmentation", "dimensions": 3,
        "modalities": ["MRI"], "labels": LABELS, "label_grid": "image", "caution": "Small.", "ignore": 9,
        "preprocessing": {"crop": "nonzero", "normalisation": "by_modality", "size": [64, 64],
                          "spacing_mm": {"percentile": 50, "through_plane_percentile": 90.0}},
        "split": {"rule": "listed", "test": ["case_0"]}, "cases": [_case(n) for n in range(6)]},
    "fingerprint": {
        "dataset": "hippocampus", "cases": {f"case_{n}": _fingerprint() for n in range(6)},
        "summary": {"shape": [35, 50.0, 36], "cropped_shape": [30, 50, 36], "spacing_mm": [1.0, 1.0, 1.0]}},
    "plan": {**tiny.plan().to_json(), "labels": LABELS, "annotation": "partial",
             "configuration": {"name": "3d", "reason": "given", "beside": "2d"}},
    "splits": SPLITS | {"folds": [fold | {"train_size": 3, "ranges": RANGES | {"intensities": [
        one | {"modality": name} for name in ("t1", "t2") for one in RANGES["intensities"]]}}
        for fold in SPLITS["folds"]]},
    "case": {
        "case": "case_1", "modalities": ["MRI"], "source_shape": [40, 50, 36], "crop": [[0, 35], [0, 50], [0, 36]],
        "shape": [35, 50, 36], "spacing_mm": [1.0, 1, 1.0], "statistics": [{"mean": 1.5, "std": 2}],
        "foreground": {"Anterior": [[1, 2, 3], [4, 5, 6]], "Posterior": []}, "sha256": {"image.b2nd": CHECKSUM},
        "checksum": CHECKSUM, "class": "Anterior", "annotated": ["Anterior"], "known": [[0, 0, 1]]},
    "labels": {"modalities": ["MRI"], "labels": LABELS},
    "checksums": {"files": {"model.keras": CHECKSUM}},
    "provenance": {
        **RUN, "seed": 12345, "precision": "float32", "steps": 120, "version": "0.1.0", "commit": "f00d",
        "versions": {"python": "3.11.7"}, "hardware": HARDWARE, "wall_seconds": 66.0, "peak_host_memory_mib": 1700.0,
        "attempts": [{"first_step": 1, "last_step": 120, "seconds": 66, "ended": "finished", "devices": 1,
                      "energy": ENERGY}], "energy": ENERGY,
        "peak_device_memory_mib": None, "validation_loss": 0.2, "intensity": INTENSITY,
        "start": {"run_key": "key", "width": "full", "steps": 100, "model": "fold0", "sha256": CHECKSUM,
                  "dataset": "other", "taken": 12, "left": ["logits"], "frozen": True}, "ranges": RANGES,
        "decisions": {"references": 20, "predictions": 4, "postprocessing": [{
            "label": "Anterior", "operations": OPERATIONS, "reason": "It raises the Dice.", "dice_before": 0.8,
            "dice_after": 0.81, "tried": [{"operation": "largest component", "harm": 0.0, "dice": 0.81},
                                          {"operation": "holes filled", "harm": 0.2, "dice": None}]}],
            "windows": {"chosen": "padded", "reason": "No loss.", "cases": 4, "tried": [
                {"way": "plan", "dice": 0.8, "worst": 0, "limit": 0, "cost": 1},
                {"way": "large", "dice": None, "worst": None, "limit": None, "cost": 0.95}]},
            "mirroring": {"chosen": True, "reason": "A gain.", "cases": 4, "tried": [
                {"way": "mirrored", "dice": 0.8, "worst": -0.1, "limit": -0.01, "cost": 8.0}]},
            "validation": [{"case": "case_1", "dice": 0.8}]}},
    "profile": {
        "hardware": HARDWARE, "limits": [{**NETWORK, "patch": [32, 32, 32], "largest_batch": 4, "batch": 2,
                                          "largest_patch": [64, 64, 64]}],
        "configurations": [{
            **NETWORK, "dimensions": 3, "channels": 1, "classes": 3, "depth": 3, "feature_maps": 16,
            "patch": [32, 48, 32], "batch": 2, "mode": "train", "engine": None, "precision": "float32",
            "accumulate": 1, "rematerialise": False, "threads": 2, "steps": 5, "warm_up": 2, "parameters": 1000,
            "gflops": 90.0,
            "predicted": {"device": "cpu", "calibrated": False, "host_memory_mib": 1500, "device_memory_mib": 900,
                          "usable_memory_mib": 30000, "fits": True, "step_seconds": 0.6, "patches_per_second": 3.3,
                          "moment": "decoder0_norm2, backward", "sum_of_outputs_mib": 800},
            "measured": {"status": "ok", "reason": None, "host_memory_mib": 1650, "host_memory_growth_mib": 900,
                         "device_memory_mib": None, "step_seconds": 0.5, "step_seconds_sd": 0.02,
                         "patches_per_second": 4.0}}]},
    "device": {"kind": "cpu", "memory_mib": 24000, "title": "a CPU", "reserved_mib": 500, "workspace": 1.5,
               "bandwidth_gb_s": 20, "tflops": {"float32": 1}, "rates": {"float32": RATES},
               "measured": [{"name": "one", "seconds": 0.5}], "hardware": HARDWARE},
    "comparison": {
        "dataset": "hippocampus", "recipe": "quick", "task": "segmentation", "code": ["c0de"],
        "networks": [{**NETWORK, "width": width, "parameters": 1000, "folds": [0, 1], "cases": 4, "label": label,
                      "metrics": dict.fromkeys(("dice", "hd95_mm", "asd_mm", "nsd_1mm"), SUMMARY)}
                     for width in ("full", "pocket") for label in ("Anterior", "mean")],
        "pairs": [PAIR], "notes": ["One."], "labels": ["Anterior"],
        "configurations": [{**NETWORK, "chosen": "2d", "reason": "Higher.", "folds": [0, 1], "cases": 8, "results": [
            {"name": "2d", "dice": 0.8}, {"name": "3d", "dice": 0.7}], "difference": 0.1, "interval": INTERVAL}],
        "verdicts": [{"arch": "unet", "width": "pocket", "kind": "open", "title": "No difference", "text": "p 0.5."}]},
    "baseline": {"dataset": "hippocampus", "recipe": "quick", "code": ["c0de"], "steps": [120], "pairs": [PAIR]},
    "classification": {
        "dataset": "xray", "arch": "classifier", "width": "pocket", "folds": [0], "cases": 10,
        "classes": ["no", "yes"], "confusion": [[4, 1], [2, 3]], "caution": "Small.",
        "positive": [{"class": "yes", "curve": [[0, 0], [0.5, 0.75], [1, 1]],
                      "metrics": dict.fromkeys(("auc", "accuracy", "sensitivity", "specificity"), ESTIMATE)}]},
    "overlays": {"overlays": [
        {"case": "case_0", "file": "overlays/best_case_0.png", "dice": 0.9, "rank": "best"},
        {"case": "case_1", "file": "overlays/wrong_case_1.png", "rank": "wrong", "probability": 0.2, "class": "yes",
         "predicted": "no"}],
        "thumbnails": [{"case": "case_0", "file": "thumbnails/case_0.webp"}]},
    "deployment": {
        "dataset": "hippocampus", "task": "segmentation", "model": CHECKSUM[:16], "version": "0.1.0",
        "modalities": ["MRI"], "classes": [{"name": "background", "value": 0}, {"name": "Anterior", "value": 1}],
        "input": {"name": "image", "type": "float32", "axes": ["batch", "x", "y", "z", "channel"],
                  "orientation": "RAS+", "patch": [32, 48, 32], "multiple_of": [8, 8, 8]},
        "output": {"type": "float32", "axes": ["batch", "x", "y", "z", "class"], "meaning": "probabilities"},
        "preprocessing": {"crop": "nonzero", "spacing_mm": None, "normalisation": "zscore", "size": None,
                          "intensity": INTENSITY},
        "inference": {"overlap": 0.5, "gaussian_sigma": 0.125, "postprocessing": {"Anterior": OPERATIONS}},
        "networks": {"onnx": {"file": "model.onnx", "largest_difference": 1e-6, "labels_equal": 1}}},
    "activations": {**RUN, "cases": 2, "patches": 8, "means": [0.1, 0, 2.5]},
    "experiment": {
        "experiment": "accuracy", "title": "Accuracy", "paper": "Table I", "dataset": "hippocampus", "recipe": "quick",
        "seed": 1, "settings": {"patches": [[32, 32, 32]], "deep": {"a": None}},
        "networks": [{**NETWORK, "parameters": 1000, "steps": 120, "folds": [0], "run_keys": ["key"]}],
        "splits": {"rule": "by hand", "folds": 2}, "table": [{"arch": "unet", "dice": 0.9, "p": None}],
        "notes": ["One."], "code": {"train": ["c0de"], "experiment": "c0de"}, "version": "0.1.0", "commit": None,
        "figure": "A figure."},
    "temperatures": {
        "run_keys": ["key", "other"], "predictions": 1, "cases": 20, "labels": [
            {"label": "Anterior", "temperature": 1.3, "bias": -0.2, "cases": 20, "before": RELIABILITY,
             "after": RELIABILITY},
            {"label": "Posterior", "temperature": None, "bias": None, "cases": 0, "before": None, "after": None}]},
}


def example(kind: str) -> dict:
    """The JSON value of a valid file, for the caller to change."""
    version = {"device": None, "profile": 3, "case": 2, "deployment": 2}.get(kind, 1)
    header = {} if version is None else {"schema_version": version, "kind": kind}
    return deepcopy(header | BODIES[kind])
