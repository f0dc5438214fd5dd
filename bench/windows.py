"""Does it cost Dice to have fewer windows than the paper's?

Segments the test cases of a model's fold with every way of laying windows and holds them against the references; of
the cases where the paper's windows reach a mean Dice of 0.7, the mean of `auto` may be at most 0.002 lower. A model
whose patch is smaller than its images says most: there are many windows then. Run it with
`bench/windows.py --model MODEL --manifest M --splits S --input DIR`; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from pocketnet import Predictor
from pocketnet.contracts.manifest import Manifest
from pocketnet.contracts.splits import Splits
from pocketnet.evaluation.metrics import dice
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.label_maps import map_labels
from pocketnet.preprocessing.scan import read_scan

WINDOWS = ("plan", "auto", "large", "padded")
LEAST_DICE, MOST_LOSS = 0.7, 0.002


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "manifest", "splits", "input"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    predictors = {windows: Predictor.load(args.model, windows=windows, threads=2) for windows in WINDOWS}
    model = predictors["plan"].model
    fold = Splits.read(args.splits).fold(model.provenance.fold)
    entries = {entry.case: entry for entry in Manifest.read(args.manifest).cases}
    scores: dict[str, list[list[float]]] = {windows: [] for windows in WINDOWS}
    seconds, count = dict.fromkeys(WINDOWS, 0.0), dict.fromkeys(WINDOWS, 0)
    for case in fold.test:
        scan = read_scan([args.input / name for name in entries[case].images])
        reference = map_labels(geometry.read(args.input / entries[case].label, label=True).data, model.plan.labels)
        for windows, predictor in predictors.items():
            begin = time.perf_counter()
            found = predictor.segment(scan)
            seconds[windows] += time.perf_counter() - begin
            count[windows] += found.windows[0] - found.windows[1]
            scores[windows].append([dice(reference == label.value, found.classes == label.value)
                                    for label in model.plan.labels])
    means = {windows: np.nanmean(rows, axis=1) for windows, rows in scores.items()}
    good = means["plan"] >= LEAST_DICE
    rows = [{"windows": windows, "cases": int(good.sum()), "dice": round(float(means[windows][good].mean()), 4),
             "difference": round(float((means[windows] - means["plan"])[good].mean()), 4),
             "worst_case": round(float((means[windows] - means["plan"])[good].min()), 4),
             "windows_a_case": round(count[windows] / len(fold.test), 1),
             "seconds_a_case": round(seconds[windows] / len(fold.test), 3)} for windows in WINDOWS]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    auto = next(row for row in rows if row["windows"] == "auto")
    print(json.dumps({"figures": rows, "bound": {"difference": -MOST_LOSS}, "ok": auto["difference"] >= -MOST_LOSS}))


if __name__ == "__main__":
    main()
