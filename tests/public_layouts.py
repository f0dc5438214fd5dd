"""Small datasets in the layouts of the public downloads: real images, cut and renamed.

Each maker writes a folder and returns what `pocket-check` and the pipeline are called with beside it. The labels of
`lits` and `nfbs` are real anatomy, but not these datasets': a liver with a made tumour, a brain from a template.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

BLOCK = (48, 40, 32)
CASES = 6


def real(root: Path, name: str) -> Path:
    """One of the folders of real images; skips where it is absent."""
    if not (root / name).is_dir():
        pytest.skip(f"no {name} at {root} (set POCKET_TEST_DATA)")
    return root / name


def hippocampus(root: Path, folder: Path) -> list[str]:
    """The decathlon's layout, as Task04 has it."""
    source = real(root, "Task04_Hippocampus")
    index = json.loads((source / "dataset.json").read_text())
    index["training"], index["numTraining"] = index["training"][:CASES], CASES
    for entry in index["training"]:
        for path in entry.values():
            _copy(source / path, folder / path)
    (folder / "dataset.json").write_text(json.dumps(index))
    return ["--dataset", "hippocampus"]


def nnunet(root: Path, folder: Path) -> list[str]:
    """nnU-Net 2's layout: channels by number, cases by their files."""
    source = real(root, "Task04_Hippocampus")
    cases = sorted(path.name.removesuffix(".nii.gz") for path in (source / "labelsTr").glob("h*.nii.gz"))[:CASES]
    for case in cases:
        _copy(source / f"imagesTr/{case}.nii.gz", folder / f"imagesTr/{case}_0000.nii.gz")
        _copy(source / f"labelsTr/{case}.nii.gz", folder / f"labelsTr/{case}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps({
        "channel_names": {"0": "MRI"}, "labels": {"background": 0, "Anterior": 1, "Posterior": 2},
        "numTraining": len(cases), "file_ending": ".nii.gz"}))
    return ["--dataset", "nnunet"]


def nnunet_regions(root: Path, folder: Path) -> list[str]:
    """nnU-Net 2's examples of regions and of an ignore label in one: a region in another, slices without annotation."""
    options = nnunet(root, folder)
    for path in sorted((folder / "labelsTr").iterdir()):
        label = nib.load(path)
        voxels = np.asarray(label.dataobj).astype(np.uint8)
        voxels[..., ::4] = 3
        _save(nib.Nifti1Image(voxels, label.affine), path)
    index = json.loads((folder / "dataset.json").read_text())
    index |= {"labels": {"background": 0, "Hippocampus": [1, 2], "Posterior": 2, "ignore": 3},
              "regions_class_order": [1, 2]}
    (folder / "dataset.json").write_text(json.dumps(index))
    return options


def decathlon(root: Path, folder: Path) -> list[str]:
    """The decathlon's layout with both modalities in one 4D file, as Task01."""
    training = []
    for number, images in enumerate(_tumours(root), 1):
        name = f"BRATS_{number:03d}.nii.gz"
        first = images["flair"]
        both = np.stack([np.asarray(images[m].dataobj, np.float32) for m in ("flair", "t1ce")], axis=-1)
        _save(nib.Nifti1Image(both, first.affine), folder / "imagesTr" / name)
        _save(images["seg"], folder / "labelsTr" / name)
        training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    (folder / "dataset.json").write_text(json.dumps({
        "modality": {"0": "FLAIR", "1": "T1gd"}, "numTraining": len(training), "training": training,
        "labels": {"0": "background", "1": "necrosis", "2": "edema", "3": "non-enhancing", "4": "enhancing"}}))
    return ["--dataset", "decathlon", "--labels", "tumor=1+2+3+4"]


def brats(root: Path, folder: Path, names: list[str], endings: dict[str, str]) -> list[str]:
    """BraTS: `endings` has what a year's names have between the case and `.nii.gz`, by modality."""
    for name, images in zip(names, _tumours(root), strict=True):
        for kind, ending in endings.items():
            _save(images[kind], folder / name / f"{name}{ending}.nii.gz")
    return ["--dataset", "brats", "--modalities", "flair,t1ce"]


def brats_2020(root: Path, folder: Path) -> list[str]:
    """With the label map of case 355 called as in the download."""
    names = [f"BraTS20_Training_{number}" for number in ("001", "002", "355")]
    options = brats(root, folder, names, {"flair": "_flair", "t1ce": "_t1ce", "seg": "_seg"})
    case = folder / names[-1]
    nib.save(nib.load(case / f"{names[-1]}_seg.nii.gz"), case / "W39_1998.09.19_Segm.nii")
    (case / f"{names[-1]}_seg.nii.gz").unlink()
    (folder / "name_mapping.csv").write_text("Grade\n")
    return options


def brats_2021(root: Path, folder: Path) -> list[str]:
    """The names of 2021."""
    return brats(root, folder, [f"BraTS2021_{number:05d}" for number in (0, 2, 3)],
                 {"flair": "_flair", "t1ce": "_t1ce", "seg": "_seg"})


def brats_2023(root: Path, folder: Path) -> list[str]:
    """The names since 2023."""
    return brats(root, folder, [f"BraTS-GLI-{number:05d}-000" for number in (0, 2, 3)],
                 {"flair": "-t2f", "t1ce": "-t1c", "seg": "-seg"})


def folders(root: Path, folder: Path) -> list[str]:
    """A folder a case, with names of one's own."""
    brats(root, folder, ["ana", "ben", "cem"], {"flair": "_flair", "t1ce": "_post", "seg": "_seg"})
    return ["--dataset", "folders", "--labels", "tumor=1+2+3+4"]


def csv_table(root: Path, folder: Path) -> list[str]:
    """A table of 2023-named files, with a test set and a case without a label."""
    brats_2023(root, folder / "images")
    cases = sorted(path.name for path in (folder / "images").iterdir())
    rows = [[case, *(f"images/{case}/{case}-{kind}.nii.gz" for kind in ("t2f", "t1c", "seg")),
             "test" if number == 0 else "train"] for number, case in enumerate(cases)]
    rows.append(["later", *rows[0][1:3], "", ""])
    with open(folder / "dataset.csv", "w", newline="") as handle:
        csv.writer(handle).writerows([["case", "FLAIR", "T1ce", "label", "split"], *rows])
    return ["--dataset", "csv", "--labels", "core=1+3+4,edema=2"]


def lits(root: Path, folder: Path) -> list[str]:
    """LiTS from one CT: as it is, mirrored, and with every second slice only.

    Files run from left to right as in the download, and one label map's header says nothing, as case 53's.
    """
    source = real(root, "CT_abdomen_sample")
    ct, organs = nib.load(source / "ct.nii.gz"), nib.load(source / "seg_totalsegmentator.nii.gz")
    box = (slice(24, 122), slice(14, 100), slice(0, 30))
    hu = np.asarray(ct.slicer[box].dataobj)
    liver = (np.asarray(organs.slicer[box].dataobj) == 5).astype(np.uint8)
    middle = np.argwhere(liver).mean(axis=0).astype(int)
    ball = sum((axis - c) ** 2 for axis, c in zip(np.indices(liver.shape), middle, strict=True)) < 16
    liver[ball & (liver > 0)] = 2
    x, y, z = ct.header.get_zooms()
    plain, thick = np.diag([-x, y, z, 1.0]), np.diag([-x, y, 2 * z, 1.0])
    made = [(hu, liver, plain), (hu[::-1], liver[::-1], plain), (hu[..., ::2], liver[..., ::2], thick),
            (np.roll(hu, 5, 1), np.roll(liver, 5, 1), plain)]
    for number, (image, label, affine) in enumerate(made):
        batch = folder / f"Training Batch {1 + number % 2}"
        _save(nib.Nifti1Image(image, affine), batch / f"volume-{number}.nii")
        _save(nib.Nifti1Image(label, np.eye(4) if number == 3 else affine), batch / f"segmentation-{number}.nii")
    return ["--dataset", "lits"]


def nfbs(root: Path, folder: Path) -> list[str]:
    """NFBS from the demo's brains, in another orientation than RAS."""
    from pocketnet.datasets import demo

    demo.make(folder.parent / "made", cases=3)
    for number in (1, 2, 3):
        case = f"A0002818{number}"
        start = f"{case}/sub-{case}_ses-NFB3_T1w"
        brain, tissue = (nib.load(folder.parent / f"made/{inner}/demo_00{number}.nii.gz").slicer[::2, ::2, ::2]
                         for inner in ("imagesTr", "labelsTr"))
        mask = (np.asarray(tissue.dataobj) > 0).astype(np.uint8)
        head = np.asarray(brain.dataobj) + 20  # no voxel is zero
        for ending, data in (("", head), ("_brain", head * mask), ("_brainmask", mask)):
            image = nib.Nifti1Image(data, brain.affine)
            turned = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"),
                                                     nib.orientations.axcodes2ornt("PIR"))
            _save(image.as_reoriented(turned), folder / f"{start}{ending}.nii.gz")
    return ["--dataset", "nfbs"]


def covidx(root: Path, folder: Path) -> list[str]:
    """COVIDx's lists and folders, of X-rays of each class; every fourth is for the test."""
    source = real(root, "ChestXray_covid")
    with open(source / "labels.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    chosen = [row for name in ("positive", "negative") for row in [row for row in rows if row["class"] == name][:12]]
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for number, row in enumerate(chosen):
        part = "train" if number % 4 else "test"
        _copy(source / "images" / row["filename"], folder / part / row["filename"])
        lines[part].append(f"{number} {row['filename']} {row['class']} source")
    for part, text in lines.items():
        (folder / f"{part}.txt").write_text("\n".join(text) + "\n")
    return ["--dataset", "covidx"]


MAKERS = {maker.__name__: maker for maker in (hippocampus, nnunet, nnunet_regions, decathlon, brats_2020, brats_2021,
                                              brats_2023, folders, csv_table, lits, nfbs, covidx)}
"""Each maker's name begins with its preset's."""


def _tumours(root: Path) -> Iterator[dict[str, nib.Nifti1Image]]:
    """The BraTS 2015 cases, each cut to a block around its tumour."""
    for case in sorted(path for path in real(root, "BraTS2015_sample").iterdir() if path.is_dir()):
        images = {kind: nib.load(case / f"{case.name}_{kind}.nii.gz") for kind in ("flair", "t1ce", "seg")}
        middle = np.argwhere(np.asarray(images["seg"].dataobj) > 0).mean(axis=0)
        block = tuple(slice(int(c) - n // 2, int(c) - n // 2 + n) for c, n in zip(middle, BLOCK, strict=True))
        yield {kind: image.slicer[block] for kind, image in images.items()}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _save(image: nib.Nifti1Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
