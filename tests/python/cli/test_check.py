"""`pocket-check` on real files made bad: every kind, all in one go, nothing written but the table."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner
from fake_run import written
from pocketnet.cli.check import main
from spoilt import affine, not_gzip, not_nifti, put, singular, truncate, truncate_inside, voxels, wrong_checksum


def run(*arguments) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def run_process(*arguments, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "pocketnet.cli.check", *map(str, arguments)],
                          capture_output=True, text=True, **options)


def table(out: Path) -> list[tuple[str, str, str]]:
    """The rows of `problems.csv`, which must be all that is in the folder."""
    assert written(out) == ["problems.csv"]
    with open(out / "problems.csv", newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == ["case", "file", "problem"]
    return [tuple(row) for row in rows[1:]]


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder with its checksum: to see that nothing was changed."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


IMAGE, LABEL = "imagesTr/{}.nii.gz", "labelsTr/{}.nii.gz"
SPOILT = [  # what, which file, how, what the table says
    ("truncated gzip", IMAGE, truncate, "truncated"),
    ("truncated gzip label", LABEL, truncate, "truncated"),
    ("truncated nifti", IMAGE, truncate_inside, "truncated: its header announces"),
    ("damaged gzip", IMAGE, wrong_checksum, "CRC check failed"),
    ("not gzip", IMAGE, not_gzip, "Not a sound gzip file"),
    ("not nifti", IMAGE, not_nifti, "Not a readable NIfTI file"),
    ("missing image", IMAGE, Path.unlink, "missing"),
    ("missing label", LABEL, Path.unlink, "missing"),
    ("other shape", LABEL, voxels(lambda d: d[:, :-1]),
     "shape {short} differs from {shape} of imagesTr/{case}"),
    ("shifted", LABEL, affine(put((0, 3), 5.0)),
     "affine [1 0 0 5; 0 1 0 1; 0 0 1 1] differs from [1 0 0 1; 0 1 0 1;"),
    ("turned", LABEL, affine(put((0, 0), -1.0)), "affine [-1 0 0 1;"),
    ("nan", IMAGE, voxels(put((3, 4, 5), np.nan)), "(1 NaN)"),
    ("infinite", IMAGE, voxels(put((3, slice(0, 2), 5), -np.inf)), "(2 infinite)"),
    ("nan label", LABEL, voxels(put((3, 4, 5), np.nan)), "(1 NaN)"),
    ("too large for float32", IMAGE, voxels(put((3, 4, 5), 1e300), np.float64), "(1 infinite)"),
    ("fractions", LABEL, voxels(put((3, 4, slice(0, 2)), 0.5)), "2 label voxels are not whole numbers: 0.5"),
    ("unknown label", LABEL, voxels(put((3, 4, slice(0, 3)), 7)),
     "unknown label 7 in 3 voxels; known: 0, 1, 2"),
    ("negative label", LABEL, voxels(put((3, 4, 5), -1)), "unknown label -1 in 1 voxels"),
    ("empty", IMAGE, voxels(np.zeros_like), "empty image: every voxel is 0"),
    ("constant", IMAGE, voxels(np.ones_like), "empty image: every voxel is 1"),
    ("4D", IMAGE, voxels(lambda d: np.stack([d, d], axis=-1)), "Expected a 3D volume, found shape"),
    ("complex", IMAGE, voxels(lambda d: d, np.complex64), "Expected numbers as voxels, found complex64"),
    ("singular", IMAGE, singular, "affine is singular"),
]


@pytest.mark.parametrize(("what", "file", "spoil", "said"), SPOILT, ids=[row[0] for row in SPOILT])
def test_a_bad_file_is_named(hippocampus, tmp_path, what, file, spoil, said):
    case = "hippocampus_004"
    shape = nib.load(hippocampus / LABEL.format(case)).shape
    spoil(hippocampus / file.format(case))
    before = contents(hippocampus)
    code, stdout, stderr = run("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / "out")
    assert code == 3
    said = said.format(case=case, shape="×".join(map(str, shape)),
                       short="×".join(map(str, (shape[0], shape[1] - 1, shape[2]))))
    ((named, path, problem),) = table(tmp_path / "out")
    assert (named, path) == (case, file.format(case))
    assert said in problem
    assert said in stderr and "1 problem, in 1 of 14 cases" in stderr
    assert stdout == ""
    assert contents(hippocampus) == before


def test_all_problems_come_in_one_go(hippocampus, tmp_path):
    """One spoilt case of each of many kinds, and problems of the index: all in one table, in one run."""
    cases = [f"hippocampus_{number:03d}" for number in (1, 3, 4, 6, 7, 8, 11, 15, 17, 19, 25, 33)]
    kinds = ["truncated gzip", "not nifti", "missing label", "other shape", "shifted", "nan", "infinite",
             "fractions", "unknown label", "empty", "missing image", "not gzip"]
    spoilt = {row[0]: row for row in SPOILT}
    expected = []
    for case, kind in zip(cases, kinds, strict=True):
        _, file, spoil, _ = spoilt[kind]
        spoil(hippocampus / file.format(case))
        expected.append((case, file.format(case)))
    shutil.copyfile(hippocampus / IMAGE.format("hippocampus_034"), hippocampus / IMAGE.format("someone_else"))
    expected.append(("", IMAGE.format("someone_else")))
    index = json.loads((hippocampus / "dataset.json").read_text())
    index["training"].append(index["training"][-1])
    assert "hippocampus_036" in index["training"][-1]["image"]
    (hippocampus / "dataset.json").write_text(json.dumps(index))
    expected.append(("hippocampus_036", IMAGE.format("hippocampus_036")))
    expected.append(("", ""))  # fewer cases than folds

    done = run_process("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / "out",
                       "--folds", 20)
    assert done.returncode == 3
    rows = table(tmp_path / "out")
    assert sorted((case, file) for case, file, _ in rows) == sorted(expected)
    assert rows == sorted(rows)
    for case, file, problem in rows:  # a log gets the same table as plain columns
        assert any(problem in line and file in line and line.startswith(case or "-")
                   for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr


def test_a_case_with_two_bad_files_names_both(brats, tmp_path):
    case = "brats_2013_pat0005_1"
    voxels(put((0, 0, 0), np.nan))(brats / case / f"{case}_flair.nii.gz")
    voxels(lambda d: d[1:])(brats / case / f"{case}_t1ce.nii.gz")
    affine(put((2, 3), 100.0))(brats / case / f"{case}_seg.nii.gz")
    code, _, _ = run("--dataset", "brats", "--modalities", "flair,t1ce", "--input", brats,
                     "-o", tmp_path / "out")
    assert code == 3
    rows = table(tmp_path / "out")
    assert [Path(file).name[len(case) + 1:-7] for _, file, _ in rows] == ["flair", "seg", "t1ce"]
    said = ("NaN", "affine", "shape 47×40×32 differs from 48×40×32")
    assert all(text in problem for text, (_, _, problem) in zip(said, rows, strict=True))


def index_change(change):
    def spoil(folder: Path) -> None:
        path = folder / "dataset.json"
        index = json.loads(path.read_text())
        change(index)
        path.write_text(json.dumps(index))
    return spoil


def rename_case(folder: Path, old: str, new: str) -> None:
    for inner in ("imagesTr", "labelsTr"):
        (folder / inner / f"{old}.nii.gz").rename(folder / inner / f"{new}.nii.gz")
    index_change(lambda index: index["training"].__setitem__(
        next(n for n, e in enumerate(index["training"]) if old in e["image"]),
        {"image": f"./imagesTr/{new}.nii.gz", "label": f"./labelsTr/{new}.nii.gz"}))(folder)


FOLDER_PROBLEMS = [  # what, how the folder is spoilt, (case, file, text) of each problem
    ("extra image", lambda f: shutil.copy(f / "imagesTr/hippocampus_001.nii.gz", f / "imagesTr/x.nii.gz"),
     [("", "imagesTr/x.nii.gz", "extra: not listed")]),
    ("not listed", index_change(lambda i: i["training"].pop(0)),
     [("", "imagesTr/hippocampus_001.nii.gz", "extra"), ("", "labelsTr/hippocampus_001.nii.gz", "extra")]),
    ("listed twice", index_change(lambda i: i["training"].append(i["training"][0])),
     [("hippocampus_001", "imagesTr/hippocampus_001.nii.gz", "duplicate name")]),
    ("one label for two", index_change(lambda i: i["training"][1].update(label=i["training"][0]["label"])),
     [("", "labelsTr/hippocampus_003.nii.gz", "extra"),
      ("hippocampus_003", "labelsTr/hippocampus_001.nii.gz", "shape"),
      ("hippocampus_003", "labelsTr/hippocampus_001.nii.gz", "another entry's")]),
    ("names alike", lambda f: rename_case(f, "hippocampus_003", "Hippocampus_001"),
     [("Hippocampus_001", "", "duplicate name: differs only in upper and lower case"),
      ("hippocampus_001", "", "duplicate name: differs only in upper and lower case")]),
    ("bad name", lambda f: rename_case(f, "hippocampus_003", "hippo campus"),
     [("hippo campus", "", "starts with a letter or digit")]),
    ("path outside", index_change(lambda i: i["training"][0].update(image="../other/hippocampus_001.nii.gz")),
     [("", "dataset.json", "not a path in this folder"), ("", "imagesTr/hippocampus_001.nii.gz", "extra"),
      ("", "labelsTr/hippocampus_001.nii.gz", "extra")]),
    ("no index", lambda f: (f / "dataset.json").unlink(), [("", "dataset.json", "missing")]),
    ("index is not JSON", lambda f: truncate(f / "dataset.json"), [("", "dataset.json", "not JSON")]),
    ("index lacks", index_change(lambda i: (i.pop("labels"), i.pop("modality"))),
     [("", "dataset.json", "modality and labels missing")]),
    ("no cases", lambda f: [index_change(lambda i: i.update(training=[]))(f),
                            *(p.unlink() for p in f.glob("*Tr/*"))],
     [("", "", "no cases")]),
]


@pytest.mark.parametrize(("what", "spoil", "expected"), FOLDER_PROBLEMS, ids=[r[0] for r in FOLDER_PROBLEMS])
def test_a_bad_folder_is_described(hippocampus, tmp_path, what, spoil, expected):
    spoil(hippocampus)
    code, _, _ = run("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / "out")
    assert code == 3
    rows = table(tmp_path / "out")
    assert [row[:2] for row in rows] == [row[:2] for row in expected]
    assert all(text in problem for (_, _, problem), (_, _, text) in zip(rows, expected, strict=True))


@pytest.mark.parametrize(("cases", "folds", "code"), [(14, 14, 0), (14, 15, 3), (14, 2, 0)])
def test_enough_cases_for_the_folds(hippocampus, tmp_path, cases, folds, code):
    arguments = ("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / "out")
    assert run(*arguments, "--folds", folds)[0] == code
    if code:
        assert table(tmp_path / "out")[0][2].startswith(f"fewer cases than folds need: {cases} for {folds}")


@pytest.mark.parametrize("choice, code, cases", [("refuse", 3, 0), ("skip", 0, 12), ("keep", 0, 14)])
def test_cases_without_a_label(hippocampus, tmp_path, choice, code, cases):
    gone = ["hippocampus_003", "hippocampus_006"]
    for case in gone:
        (hippocampus / LABEL.format(case)).unlink()
    found, _, stderr = run("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / "out",
                           "--unlabelled", choice)
    assert found == code
    if choice == "refuse":
        assert [row[0] for row in table(tmp_path / "out")] == gone
        assert "Cases without a label may be left out: --unlabelled skip." in stderr
        return
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert len(manifest["cases"]) == cases
    unlabelled = [entry["case"] for entry in manifest["cases"] if entry["label"] is None]
    assert unlabelled == (gone if choice == "keep" else [])
    assert ("left out, they have no label: hippocampus_003, hippocampus_006" in stderr) == (choice == "skip")


def test_enough_labelled_cases_for_the_folds(hippocampus, tmp_path):
    (hippocampus / LABEL.format("hippocampus_003")).unlink()
    for choice in ("skip", "keep"):
        code, _, _ = run("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / choice,
                         "--unlabelled", choice, "--folds", 14)
        assert code == 3 and table(tmp_path / choice)[0][2].startswith("fewer cases than folds need: 13 for 14")


def test_a_dataset_that_names_no_labels(brats, tmp_path):
    arguments = ("--dataset", "folders", "--modalities", "flair", "--input", brats, "-o", tmp_path / "out")
    code, _, stderr = run(*arguments)
    assert code == 2 and not (tmp_path / "out").exists()
    assert '--labels "label1=1,label2=2,label3=3,label4=4", say.' in stderr
    assert run(*arguments, "--labels", "core=1+3+4,edema=2")[0] == 0


def test_labels_outside_those_of_the_preset_name_the_cases(brats, tmp_path):
    code, _, stderr = run("--dataset", "folders", "--modalities", "flair", "--input", brats, "-o", tmp_path / "out",
                          "--labels", "core=1+4")
    assert code == 3
    rows = table(tmp_path / "out")
    assert len(rows) == 3 and all("unknown label 2, 3 in" in problem or "unknown label 2 in" in problem
                                  for _, _, problem in rows)


def test_a_file_that_may_not_be_read(hippocampus, tmp_path):
    """As root, who may read everything, the check runs with another user's rights meanwhile."""
    arguments = ("--dataset", "hippocampus", "--input")
    assert run(*arguments, hippocampus, "-o", tmp_path / "out")[0] == 0  # and all modules are loaded
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as public:
        os.chmod(public, 0o777)
        folder = Path(shutil.copytree(hippocampus, Path(public) / "hippocampus"))
        (folder / "imagesTr/hippocampus_004.nii.gz").chmod(0)
        (folder / "labelsTr").chmod(0)
        try:
            if root:
                os.seteuid(65534)
            code, _, _ = run(*arguments, folder, "-o", Path(public) / "out")
        finally:
            if root:
                os.seteuid(0)
            (folder / "labelsTr").chmod(0o755)
        assert code == 3
        rows = table(Path(public) / "out")
    assert ("hippocampus_004", "imagesTr/hippocampus_004.nii.gz", "cannot be read: Permission denied") in rows
    assert ("", "labelsTr", "cannot be read: Permission denied") in rows


def test_the_last_check_stands_alone(hippocampus, tmp_path):
    """A manifest never remains beside a newer table of problems, nor the other way round."""
    out = tmp_path / "out"
    arguments = ("--dataset", "hippocampus", "--input", hippocampus, "-o", out)
    assert run(*arguments)[0] == 0
    assert written(out) == ["fingerprint.json", "manifest.json"]
    kept = (hippocampus / "imagesTr/hippocampus_001.nii.gz").read_bytes()
    truncate(hippocampus / "imagesTr/hippocampus_001.nii.gz")
    assert run(*arguments)[0] == 3
    assert len(table(out)) == 1
    (hippocampus / "imagesTr/hippocampus_001.nii.gz").write_bytes(kept)
    assert run(*arguments)[0] == 0
    assert written(out) == ["fingerprint.json", "manifest.json"]


def test_a_label_map_without_foreground_is_a_warning(hippocampus, tmp_path):
    voxels(np.zeros_like, np.uint8)(hippocampus / "labelsTr/hippocampus_004.nii.gz")
    code, _, stderr = run("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / "out")
    assert code == 0
    assert "Warning: labelsTr/hippocampus_004.nii.gz: the label map has no voxel of any class" in stderr


def test_a_class_that_no_case_has_is_a_warning(brats, tmp_path):
    for path in brats.glob("*/*_seg.nii.gz"):
        voxels(lambda data: np.where(data == 4, 3, data), np.uint8)(path)
    code, _, stderr = run("--dataset", "brats", "--modalities", "flair", "--labels", "multiclass",
                          "--input", brats, "-o", tmp_path / "out")
    assert code == 0
    assert "Warning: no case has a voxel of class 'enhancing'" in stderr


def test_the_same_image_twice_is_a_warning(hippocampus, tmp_path):
    for inner in ("imagesTr", "labelsTr"):
        folder = hippocampus / inner
        shutil.copy(folder / "hippocampus_001.nii.gz", folder / "hippocampus_003.nii.gz")
    code, _, stderr = run("--dataset", "hippocampus", "--input", hippocampus, "-o", tmp_path / "out")
    assert code == 0
    assert "the same image: imagesTr/hippocampus_001.nii.gz, imagesTr/hippocampus_003.nii.gz" in stderr


USAGE = [  # arguments, what the message says
    (("--dataset", "hipocampus"), "Did you mean hippocampus? Known: demo, hippocampus, brats, lits"),
    (("--dataset", "brats"), "has the decathlon layout, but dataset 'brats' has brats"),
    (("--dataset", "hippocampus", "--modalities", "mri"), "Did you mean MRI? Known: MRI."),
    (("--dataset", "hippocampus", "--modalities", "MRI,MRI"), "named twice"),
    (("--dataset", "hippocampus", "--labels", "a=1+2,b=3"), "has no label value 3"),
    (("--dataset", "hippocampus", "--labels", "a=1+2,b=2"),
     "the regions 'a' and 'b' overlap in the value 2, and no order says"),
    (("--dataset", "hippocampus", "--labels", "a=one"), "Expected classes as name=1+2"),
    (("--dataset", "hippocampus", "--labels", "whole"), "no label set 'whole'"),
    (("--dataset", "no/such.json"), "no such preset file"),
]


@pytest.mark.parametrize(("arguments", "said"), USAGE)
def test_wrong_usage(hippocampus, tmp_path, arguments, said):
    code, _, stderr = run(*arguments, "--input", hippocampus, "-o", tmp_path / "out")
    assert code == 2
    assert said in stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_too_far_up(hippocampus, tmp_path):
    code, _, stderr = run("--dataset", "hippocampus", "--input", hippocampus.parent, "-o", tmp_path / "out")
    assert code == 2
    assert f"Use --input {hippocampus}." in stderr


def test_json_is_one_object(brats, tmp_path):
    done = run_process("--dataset", "brats", "--modalities", "flair,t1ce", "--labels", "multiclass",
                       "--input", brats, "-o", tmp_path / "out", "--json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(done.stdout)
    assert summary["cases"] == 3 and summary["modalities"] == ["flair", "t1ce"]
    names = [label["name"] for label in summary["labels"]]
    assert names == ["necrosis", "edema", "non-enhancing", "enhancing"]
    assert summary["shape"]["median"] == [48, 40, 32]
    assert Path(summary["manifest"]).is_file()

    (brats / "brats_2013_pat0003_1/brats_2013_pat0003_1_seg.nii.gz").unlink()
    code, stdout, _ = run("--dataset", "brats", "--modalities", "flair,t1ce", "--input", brats,
                          "-o", tmp_path / "out", "--json")
    assert code == 3
    assert json.loads(stdout)["problems"][0]["file"].endswith("_seg.nii.gz")


def test_the_brats_sample_as_it_is(brats_data, tmp_path):
    """The real folder: two of four modalities, headers in LPS, a mask beside the images."""
    code, stdout, _ = run("--dataset", "brats", "--input", brats_data, "-o", tmp_path / "out",
                          "--modalities", "flair,t1ce", "--folds", 3)
    assert code == 0
    assert "orientation LPS" in stdout and "whole tumor" in stdout
    code, _, stderr = run("--dataset", "brats", "--input", brats_data, "-o", tmp_path / "all")
    assert code == 3
    assert len(table(tmp_path / "all")) == 6
    assert "use the others with --modalities t1ce,flair" in stderr
