"""How many sound images does the comparison with the training images warn of, and how many others does it miss?

For each fold of `splits.json`, the ranges of its training cases are compared with its test cases as they are, and with
what they are turned into: the spacing in the header times 0.7 and 1.4, every voxel minus 1024, intensities squared, and
intensities from 0 to 1. Images of other datasets are cut to the median size of the training images at 1 mm ("cut"), so
that only their intensities can tell, or taken whole. The last line is one JSON object.

    PYTHONPATH=python .venv/bin/python bench/ranges.py

With `--add MODEL -o FOLDER`, the model folder is written again with the ranges of its fold, its other files as they are
and new checksums. A model folder of pocket-train has them already.

    PYTHONPATH=python .venv/bin/python bench/ranges.py --add models/hippocampus/fold1 -o results/fold1
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from pocketnet import files
from pocketnet.contracts.fingerprint import Fingerprint
from pocketnet.contracts.ranges import TrainingRanges
from pocketnet.contracts.splits import Splits
from pocketnet.datasets.check import check
from pocketnet.datasets.presets import load
from pocketnet.planning.ranges import training_ranges
from pocketnet.preprocessing.ranges import measure_channel, unlike_in_geometry, unlike_in_intensity
from pocketnet.preprocessing.scan import Scan, read_scan, scan_of
from pocketnet.training.model_folder import ModelFolder, write_records

REPOSITORY = Path(__file__).resolve().parents[1]
ROOT = Path(os.environ.get("POCKET_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
SPLITS = REPOSITORY / "docs/results/hippocampus-best-members/splits.json"
MOST_OTHERS = 20


def findings(ranges: TrainingRanges, scan: Scan) -> list[str]:
    """The warnings that pocket-infer gives for a scan of one modality."""
    return [*unlike_in_intensity(ranges, [measure_channel(scan.channels[0])]),
            *unlike_in_geometry(ranges, scan.shape, scan.spacing)]


def spoilt(scan: Scan) -> Iterator[tuple[str, Scan]]:
    """The scan, and what it is turned into."""
    yield "as it is", scan
    for factor in (0.7, 1.4):
        yield f"spacing in the header × {factor}", replace(scan, spacing=tuple(factor * mm for mm in scan.spacing))
    image = scan.read(np.s_[:, :, :])
    yield "minus 1024", scan_of(image - 1024, scan.spacing)
    yield "squared", scan_of(image**2, scan.spacing)
    yield "0 to 1", scan_of(image / image.max(), scan.spacing)


def others(size: tuple[int, ...]) -> Iterator[tuple[str, Scan]]:
    """Images of other datasets, whole and cut around their middle."""
    for name, pattern in (("heart", "Task27_ACDC/imagesTr/*.nii.gz"), ("CT", "CT_abdomen_sample/ct.nii.gz"),
                          ("deep grey matter, T1", "MICCAI2012_subcortical/imagesTr/*.nii.gz"),
                          *((f"head, {kind}", f"BraTS-GLI_unlabelled/*/*{kind}.nii.gz")
                            for kind in ("t1n", "t1c", "t2w", "t2f"))):
        for path in sorted(ROOT.glob(pattern))[:MOST_OTHERS]:
            image = nib.as_closest_canonical(nib.load(path)).get_fdata(dtype=np.float32)
            yield f"{name}, whole", read_scan(path)
            middle = tuple(slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + side)
                           for n, side in zip(image.shape, size, strict=True))
            if image[middle].any():
                yield f"{name}, cut", scan_of(image[middle][..., None], (1, 1, 1))


def add(folder: Path, splits: Splits, fingerprint: Fingerprint, output: Path) -> None:
    """Write a model folder again, with the ranges of its fold."""
    model = ModelFolder.open(folder)
    fold = splits.fold(model.provenance.fold)
    if splits.dataset != model.plan.dataset or fold.intensity != model.provenance.intensity:
        raise SystemExit(f"{folder} was trained on another fold than that of these splits.")
    ranges = training_ranges(fingerprint, fold.train, model.plan.modalities)
    with files.atomic_folder(output) as temporary:
        model.copy(model.sha256, temporary)
        write_records(temporary, model.plan, replace(model.provenance, ranges=ranges),
                      (temporary / "history.csv").read_text(encoding="utf-8"))
    print(f"{output}: ranges of {ranges.cases} training cases")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", default="hippocampus")
    parser.add_argument("--input", type=Path, default=ROOT / "Task04_Hippocampus")
    parser.add_argument("--splits", type=Path, default=SPLITS)
    parser.add_argument("--add", type=Path, metavar="MODEL")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/with-ranges"))
    given = parser.parse_args()
    found, splits = check(given.input, load(given.dataset)), Splits.read(given.splits)
    if found.manifest is None or found.fingerprint is None:
        raise SystemExit(f"{given.input} has problems; pocket-check lists them.")
    if given.add:
        add(given.add, splits, found.fingerprint, given.output)
        return
    images = {case.case: given.input / case.images[0] for case in found.manifest.cases}
    warned, count = Counter(), Counter()
    for fold in splits.folds:
        ranges = training_ranges(found.fingerprint, fold.train, found.manifest.modalities)
        size = tuple(round(axis.median) for axis in ranges.extent_mm)
        foreign = others(size) if fold is splits.folds[0] else ()
        for name, scan in (*(one for case in fold.test for one in spoilt(read_scan(images[case]))), *foreign):
            count[name] += 1
            warned[name] += bool(findings(ranges, scan))
    print("| images | number | warned of |\n|---|---:|---:|")
    for name, of in count.items():
        print(f"| {name} | {of} | {warned[name]} ({warned[name] / of:.1%}) |")
    print(json.dumps({name: [warned[name], of] for name, of in count.items()}))


if __name__ == "__main__":
    main()
