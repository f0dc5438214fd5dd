"""How far the statements with each case hold: coverage, use of the bound, flags of spoilt scans; peers beside it.

    make bench-statement HIPPOCAMPUS=/data/Task04_Hippocampus ACDC=/data/Task27_ACDC

For each dataset: the results of a run of the pipeline (which this makes if they are not there), a calibration of all
folds but one for the cases of that fold (of a single fold: in five parts), and 400 of these scans spoilt in ten ways at
three strengths. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import spoil
from pocketnet.contracts.calibration import Calibration
from pocketnet.contracts.manifest import Manifest
from pocketnet.evaluation.statement import apply, fit
from pocketnet.inference import calibrate, results
from pocketnet.inference.predictor import Predictor
from pocketnet.preprocessing import geometry
from pocketnet.preprocessing.label_maps import map_labels
from pocketnet.preprocessing.reader import of_array
from pocketnet.preprocessing.scan import read_scan, scan_of_images
from pocketnet.training.model_folder import ModelFolder

CLONE = Path(__file__).parents[1]
SPOILT, FAILED, SEED = 400, 0.7, 12345
COVERAGE_POINTS, GAP, CORRELATION, CAUGHT, FALSE = 3.0, 0.06, 0.6, 0.95, 0.05


@dataclass(frozen=True)
class Judged:
    """A scan with its statement.

    Attributes:
        fold: Its fold.
        case, way, strength: What it is; way "" for a sound scan.
        dice: Mean over labels; NaN if nothing is there and nothing was found.
        expected: Expected Dice, mean over labels; 0 for a label that was not found.
        said: The statement.
        entropy: Largest of the labels' mean entropy; infinite if none was found.
        disagreement: 1 − mean Dice of the network's and another fold's label map; NaN without another fold.
    """

    fold: int
    case: str
    way: str
    strength: int
    dice: float
    expected: float
    said: apply.Statement
    entropy: float
    disagreement: float


class Run:
    """A finished cross-validation of the pipeline.

    Args:
        results_: Its folder, `<outdir>/<dataset>`.
        data: The dataset's folder.
    """

    def __init__(self, results_: Path, data: Path):
        self.data = data
        self.models = sorted((ModelFolder.open(path) for path in (results_ / "models/unet-pocket").glob("fold*")),
                             key=lambda model: model.provenance.fold)
        evaluations = [path.parent for path in sorted((results_ / "evaluation/unet-pocket").glob("fold*/metrics.csv"))]
        self.cases = [case for folder in evaluations
                      for own in calibrate.cases_of(folder, self.models).values() for case in own]
        self.known = calibrate.calibrate(self.models, self.cases, calibrate.Settings())
        self.manifest = Manifest.read(results_ / "dataset/manifest.json")
        self.listed = {case.case: case for case in self.manifest.cases}
        self.labels = self.models[0].labels
        self.predictors = {model.provenance.fold: Predictor([model]) for model in self.models}
        self.partial = {case.case: known for rest, part in fit.parts(self.cases) for known in [self._of(rest)]
                        for case in part}

    def _of(self, cases: Sequence[fit.Case]) -> Calibration:
        """Return the calibration of some of the cases."""
        image, labels = fit.fit(cases, [label.name for label in self.labels], self.known.coverage)
        return replace(self.known, image=image, labels=tuple(labels))

    def sample(self, name: str) -> spoil.Sample:
        """Read a case."""
        case = self.listed[name]
        scan = read_scan([self.data / path for path in case.images])
        reference = map_labels(geometry.read(self.data / str(case.label), label=True).data, self.manifest.labels)
        image = scan.read((slice(None),) * 3)
        return spoil.Sample(image, reference, scan.spacing, tuple((0, n) for n in image.shape[:3]))

    def judge(self, fold: int, case: str, sample: spoil.Sample, way: str = "", strength: int = 0) -> Judged:
        """Predict a scan with its fold's network, and make the statement of a calibration that left its case out."""
        inside = tuple(slice(*side) for side in sample.window)
        scan = scan_of_images(of_array(np.ascontiguousarray(sample.image[inside], np.float32), sample.spacing))
        found = self.predictors[fold].segment(scan, described=True)
        volumes = {name: row["volume_ml"] for name, row in
                   results.volumes(found.classes, scan.spacing, self.labels).items()}
        said = apply.statement(self.partial[case], found.features, volumes, self.predictors[fold].unlike(scan))
        whole = np.zeros(sample.reference.shape, np.uint8)
        whole[inside] = found.classes
        dice = [agreement(whole == label.value, sample.reference == label.value) for label in self.labels]
        expected = [said.labels[label.name].expected_dice or 0.0 for label in self.labels]
        entropies = [one["entropy"] for one in found.features.labels.values()]
        disagreement, others = float("nan"), [key for key in self.predictors if key != fold]
        if others:
            second = self.predictors[others[0]].segment(scan).classes
            both = [agreement(found.classes == label.value, second == label.value) for label in self.labels]
            disagreement = 1 - (float(np.nanmean(both)) if np.isfinite(both).any() else 0.0)
        return Judged(fold, case, way, strength, float(np.nanmean(dice)) if np.isfinite(dice).any() else float("nan"),
                      float(np.mean(expected)), said, max(entropies, default=float("inf")), disagreement)

    def sound(self, number: int) -> Iterator[Judged]:
        """Yield evenly spaced cases as they are."""
        for case in spaced(self.cases, number):
            yield self.judge(case.fold, case.case, self.sample(case.case))

    def spoilt(self, sources: Sequence[np.ndarray], number: int) -> Iterator[Judged]:
        """Yield so many spoilt scans."""
        ways = spoil.ways(sources)
        plans = list(itertools.product(range(-(-number // (3 * len(ways)))), ways, range(3)))[:number]
        chosen = spaced(self.cases, max(1, plans[-1][0] + 1))
        for source, way, strength in plans:
            case = chosen[source]
            random = np.random.default_rng([SEED, source, list(ways).index(way), strength])
            yield self.judge(case.fold, case.case, ways[way](self.sample(case.case), strength, random), way, strength)


def agreement(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice of two masks; NaN if both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else float("nan")


def spaced(items: Sequence, number: int) -> list:
    """Return so many evenly spaced items."""
    return [items[round(index)] for index in np.linspace(0, len(items) - 1, min(number, len(items)))]


def caught(name: str, sound: Sequence[Judged], failed: Sequence[Judged]) -> float | None:
    """Return the share of failed scans whose measure is above what 5 % of the sound ones exceed; None without it."""
    limit = np.quantile([getattr(one, name) for one in sound], 1 - FALSE)
    return None if np.isnan(limit) else round(float(np.mean([getattr(one, name) > limit for one in failed])), 4)


def noted(judged: Iterator[Judged], rows: list[dict]) -> list[Judged]:
    """Return all of them, and add a row of the table of scans for each."""
    out = []
    for one in judged:
        out.append(one)
        rows.append({"case": one.case, "fold": one.fold, "way": one.way, "strength": one.strength,
                     "dice": round(one.dice, 4), "expected": round(one.expected, 4), "flag": one.said.flag,
                     "entropy": round(one.entropy, 4), "disagreement": round(one.disagreement, 4),
                     "reasons": " | ".join(one.said.reasons)})
    return out


def measure(run: Run, sources: Sequence[np.ndarray], numbers: tuple[int, int], rows: list[dict]
            ) -> tuple[dict, list[str]]:
    """Return the figures of a dataset, and the rows of the table of ways.

    Args:
        run: The cross-validation.
        sources: Images of other organs, (x, y, z, channel).
        numbers: Number of sound scans and of spoilt ones.
        rows: Gets a row per scan.
    """
    held = [one.held_out for one in run.known.labels if one.held_out]
    sound, spoilt = noted(run.sound(numbers[0]), rows), noted(run.spoilt(sources, numbers[1]), rows)
    failed = [one for one in spoilt if not one.dice >= FAILED]
    bad = [one for one in failed if one.said.flag == "accept"]
    every = [one for one in (*sound, *spoilt) if np.isfinite(one.dice)]
    figures = {
        "cases": len(run.cases),
        "coverage": [one.coverage for one in held], "volume_coverage": [one.volume_coverage for one in held],
        "gap": [one.gap for one in held], "correlation": [one.correlation for one in held],
        "correlation_with_spoilt": round(float(np.corrcoef([one.dice for one in every],
                                                           [one.expected for one in every])[0, 1]), 3),
        "held_out_flags": run.known.flags and run.known.flags.to_json(), "sound": len(sound),
        "sound_flagged": round(float(np.mean([one.said.flag != "accept" for one in sound])), 4),
        "spoilt": len(spoilt), "failed": len(failed), "failed_flagged": round(1 - len(bad) / max(1, len(failed)), 4),
        "failed_rejected": round(float(np.mean([one.said.flag == "reject" for one in failed])), 4),
        "peer_entropy": caught("entropy", sound, failed), "peer_disagreement": caught("disagreement", sound, failed),
    }
    limits = {key: np.quantile([getattr(one, key) for one in sound], 1 - FALSE) for key in ("entropy", "disagreement")}
    lines = []
    for way in dict.fromkeys(one.way for one in spoilt):
        own = [one for one in spoilt if one.way == way]
        low = [one for one in own if one in failed]
        shares = [f"{sum(one.said.flag != 'accept' for one in some)} of {len(some)}" for some in (own, low)]
        peers = ["–" if np.isnan(limit) else f"{sum(getattr(one, key) > limit for one in low)} of {len(low)}"
                 for key, limit in limits.items()]
        lines.append(f"| {way} | {np.nanmean([one.dice for one in own]):.3f} | {shares[0]} | {shares[1]} | "
                     f"{peers[0]} | {peers[1]} |")
    lines += [f"accepted although it failed: {one.case} {one.way} {one.strength}: Dice {one.dice:.3f}" for one in bad]
    return figures, lines


def ok(figures: Mapping, coverage: float, hippocampus: bool) -> dict[str, bool]:
    """Return which bounds hold."""
    def close(values: Sequence[float]) -> bool:
        return all(abs(value - coverage) * 100 <= COVERAGE_POINTS for value in values)

    return {"coverage": close(figures["coverage"]), "volume_coverage": close(figures["volume_coverage"]),
            **({"gap": max(figures["gap"]) <= GAP} if hippocampus else {}),
            "correlation": min(figures["correlation"]) >= CORRELATION,
            "failed_flagged": figures["failed_flagged"] >= CAUGHT, "sound_flagged": figures["sound_flagged"] <= FALSE}


def volume(path: Path) -> np.ndarray:
    """Read an image of another organ, (x, y, z, 1)."""
    return nib.as_closest_canonical(nib.load(path)).get_fdata(dtype=np.float32)[..., None]


def main() -> None:
    """Measure the datasets that are given, and print tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hippocampus", type=Path, help="Task04_Hippocampus")
    parser.add_argument("--acdc", type=Path, help="Task27_ACDC")
    parser.add_argument("--results", type=Path, default=CLONE / "results/bench-statement", help="results of the runs")
    parser.add_argument("--steps", type=int, help="steps of a training of ACDC, instead of the recipe's 800")
    parser.add_argument("--sound", type=int, default=115, help="sound scans that are predicted again")
    parser.add_argument("--spoilt", type=int, default=SPOILT, help="spoilt scans, a multiple of 30")
    parser.add_argument("--fold", type=int, nargs="+", help="train these folds only, instead of all five")
    parser.add_argument("--finished", action="store_true", help="take the models and evaluations that are in --results")
    parser.add_argument("--only", choices=("hippocampus", "decathlon"), help="measure this dataset only")
    given = parser.parse_args()
    if not given.hippocampus or not given.acdc:
        parser.error("give --hippocampus and --acdc: each is a source of other organs for the other")
    figures, bounds = {}, {}
    for name, data, more in (
            ("hippocampus", given.hippocampus, ["--dataset", "hippocampus"]),
            ("decathlon", given.acdc, ["--dataset", "decathlon", "--configuration", "2d",
                                       "--splits", given.acdc / "splits_nnunet.json",
                                       *(["--epochs", "4", "--steps_per_epoch", given.steps // 4]
                                         if given.steps else [])])):
        if given.only not in (None, name):
            continue
        if not given.finished and not (given.results / name / "report.html").is_file():
            subprocess.run([str(word) for word in (
                CLONE / "bin/nextflow", "run", CLONE / "main.nf", "--input", data, *more, "--width", "pocket",
                "--skip_profile", *(["--fold", ",".join(map(str, given.fold))] if given.fold else []), "--outdir",
                given.results, "-resume")], check=True)
        other = given.acdc if name == "hippocampus" else given.hippocampus
        images = sorted((other / "imagesTr").glob("*.nii.gz"))
        run = Run(given.results / name, data)
        rows: list[dict] = []
        figures[name], lines = measure(run, [volume(images[at]) for at in (0, len(images) // 2, -1)],
                                       (given.sound, given.spoilt), rows)
        with open(given.results / name / "scans.csv", "w", newline="") as handle:
            table = csv.DictWriter(handle, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        bounds[name] = ok(figures[name], run.known.coverage, name == "hippocampus")
        print(f"\n{name}\n\n| way | mean Dice | flagged | flagged of Dice < {FAILED} | by entropy | "
              "by disagreement |\n|---|---:|---:|---:|---:|---:|", *lines, sep="\n")
        print(json.dumps(figures[name]), file=sys.stderr)
    print(json.dumps({"figures": figures, "bounds": bounds, "ok": all(all(one.values()) for one in bounds.values())}))


if __name__ == "__main__":
    main()
