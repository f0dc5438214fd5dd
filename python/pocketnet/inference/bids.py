"""Write label maps as a BIDS derivative: one dataset with its description, its label maps and what their values mean.

Source: https://bids-specification.readthedocs.io, Derivatives, Imaging data types, Segmentations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from .. import __version__, files, outputs
from ..contracts.labels import Label
from ..datasets.bids import DERIVATIVES, DESCRIPTION, parse
from .cases import Found
from .colours import colour

VERSION = "1.10.0"
SUFFIX = "dseg"
README = """# Segmentations

pocket-infer of PocketNet Suite made these label maps with a trained network. Each `_dseg.nii.gz` lies on the grid of
the image with the same entities, and the `_dseg.tsv` beside it names its values. They are predictions: no person has
checked them.
"""
IGNORED = ("volumes.csv", "labels.txt", "labels.ctbl", "*_dseg.png", "*_dseg_*", outputs.MARKER)
"""Files beside the label maps that have no name in BIDS: tables and pictures, probabilities and uncertainties."""


def as_derivative(found: Found, modalities: Sequence[str]) -> Found:
    """Name cases like the label maps of a derivative: `sub-1/anat/sub-1_T1w` becomes `sub-1/anat/sub-1_dseg`.

    Of the images of a dataset, those whose suffix is a modality of the model are taken, if there are any. Images in
    `derivatives/` are left out.

    Args:
        found: The cases of `cases.group`.
        modalities: The model's modalities.
    """
    out = Found(problems=list(found.problems), left_out=list(found.left_out))
    named = {}
    for case, paths in found.cases.items():
        name = parse(str(paths[0]))
        if name is None:
            out.problems.append(f"{paths[0]}: this is no name of BIDS, such as sub-1_T1w.nii.gz")
        elif DERIVATIVES not in PurePosixPath(case).parts:
            named[case] = name
    suffixes = {name.suffix for name in named.values()}
    fitting = suffixes & set(modalities) if len(modalities) == 1 else set()
    others = sorted(suffixes - fitting) if fitting else []
    for case, name in named.items():
        if not fitting or name.suffix in fitting:
            out.cases[f"{_folder(case, name.entities)}/{name.case}_{SUFFIX}"] = found.cases[case]
    if others:
        out.left_out.append(f"left out: images that are no {', '.join(sorted(fitting))}: {', '.join(others)}")
    return out


def _folder(case: str, entities: dict[str, str]) -> str:
    """Return the folder of a label map: subject, session and the folder of its image, `anat` if that is unknown."""
    own = PurePosixPath(case).parent.name
    folder = own if own.isalpha() and own.islower() else "anat"
    return "/".join([f"{key}-{entities[key]}" for key in ("sub", "ses") if key in entities] + [folder])


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
