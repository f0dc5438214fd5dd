"""Write label maps as a BIDS derivative: a dataset with a description, label maps and the names of their values.

Source: https://bids-specification.readthedocs.io, Derivatives, Imaging data types, Segmentations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from .. import __version__, files, outputs
from ..contracts.labels import Label
from ..datasets.bids import DESCRIPTION, images_of, is_dataset, parse
from .cases import Found
from .colours import colour

VERSION = "1.10.0"
SUFFIX = "dseg"
README = """# Segmentations

pocket-infer of PocketNet Suite made these label maps with a trained network. Each `_dseg.nii.gz` lies on the grid of
the image with the same entities, and the `_dseg.tsv` beside it names its values. They are predictions: no person has
checked them.
"""
DATATYPES = ("anat", "func", "dwi", "fmap", "perf", "pet", "micr")
"""Folders that hold images in BIDS."""
IGNORED = ("volumes.csv", "labels.txt", "labels.ctbl", "*_dseg.png", "*_dseg_*", outputs.MARKER)
"""Files without a BIDS name: tables, pictures, probability and uncertainty maps."""


def images(inputs: Sequence[Path], modalities: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the images to segment, and a line that names the suffixes left out.

    Args:
        inputs: Images, or datasets, whose subject folders are searched but not their derivatives.
        modalities: The model's modalities. If some images have them as suffixes, the others are left out.
    """
    files = [file for path in inputs for file in (
        [path / name for name in images_of(path)] if is_dataset(path) else [path])]
    suffixes = {name.suffix for name in map(parse, map(str, files)) if name}
    if not suffixes & set(modalities):
        return files, []
    others = sorted(suffixes - set(modalities))
    return ([file for file in files if (name := parse(str(file))) is None or name.suffix not in others],
            [f"left out: images with other suffixes than {', '.join(modalities)}: {', '.join(others)}"] * bool(others))


def as_derivative(found: Found) -> Found:
    """Name cases like the label maps of a derivative: `sub-1/anat/sub-1_T1w.nii.gz` becomes `sub-1/anat/sub-1_dseg`.

    The folder is that of the image below its subject and session; `anat` if that is unknown.
    """
    out = Found({}, list(found.problems), list(found.left_out))
    for paths in found.cases.values():
        name = parse(str(paths[0]))
        if name is None:
            out.problems.append(f"{paths[0]}: this is not a BIDS name, such as sub-1_T1w.nii.gz")
            continue
        own = paths[0].absolute().parent.name
        folder = [f"{key}-{name.entities[key]}" for key in ("sub", "ses") if key in name.entities]
        case = "/".join([*folder, own if own in DATATYPES else "anat", f"{name.case}_{SUFFIX}"])
        if case in out.cases:
            out.problems.append(f"{paths[0]}: {out.cases[case][0]} has the same entities")
        else:
            out.cases[case] = paths
    return out


def outputs_of(output: Path, cases: Sequence[str], labels: Sequence[Label]) -> dict[Path, str]:
    """Return the content of the files beside the label maps, by path.

    Args:
        output: The derivative's folder.
        cases: Cases of `as_derivative`.
        labels: Labels of the model.
    """
    description = {"Name": "Segmentations of PocketNet Suite", "BIDSVersion": VERSION, "DatasetType": "derivative",
                   "GeneratedBy": [{"Name": "PocketNet Suite", "Version": __version__,
                                    "Description": "Label maps that pocket-infer made with a trained network"}]}
    rows = [("index", "name", "color"), ("0", "background", "#000000"), *(
        (str(label.value), label.name, "#" + bytes(colour(label.value)).hex()) for label in labels)]
    meaning = "".join("\t".join(row) + "\n" for row in rows)
    return {output / DESCRIPTION: json.dumps(description, indent=1) + "\n",
            output / "README.md": README, output / ".bidsignore": "\n".join(IGNORED) + "\n",
            **{output / f"{case}.tsv": meaning for case in cases}}


def write(output: Path, cases: Sequence[str], labels: Sequence[Label]) -> None:
    """Write the files beside the label maps of finished cases; see `outputs_of`."""
    for path, text in outputs_of(output, cases, labels).items():
        files.write_text(path, text)
