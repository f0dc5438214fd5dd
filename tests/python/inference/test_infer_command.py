"""`pocket-infer` on real images: what goes in, what comes out, what is skipped."""

import csv
import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tiny
from click.testing import CliRunner
from PIL import Image
from pocketnet import Predictor
from pocketnet.cli.infer import main
from pocketnet.contracts import costs
from pocketnet.contracts.energy import Energy
from pocketnet.outputs import MARKER
from pocketnet.preprocessing import geometry


def infer(*arguments, code=0, stdin=None):
    ran = CliRunner().invoke(main, [*map(str, arguments), "--json"], input=stdin)
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout) if ran.stdout else ran.stderr


@pytest.fixture
def two(hippocampus_data, tmp_path):
    """A folder of two real cases, one of them unzipped."""
    folder = tmp_path / "scans"
    folder.mkdir()
    shutil.copy(hippocampus_data / "imagesTr" / "hippocampus_190.nii.gz", folder / "first.nii.gz")
    nib.save(nib.load(hippocampus_data / "imagesTr" / "hippocampus_378.nii.gz"), folder / "second.nii")
    return folder


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")
                  if path.is_file() and path.name != MARKER)


def test_costs_are_of_a_folder(hippocampus_model, two, tmp_path):
    said = infer("--model", hippocampus_model, two / "first.nii.gz", "-o", tmp_path / "one.nii.gz", "--costs", code=2)
    assert "--costs needs a folder" in said and not (tmp_path / "one.nii.gz").exists()


def test_a_folder_in_a_folder_out(hippocampus_model, two, tmp_path):
    out = tmp_path / "out"
    ran = infer("--model", hippocampus_model, two, "-o", out, "--costs", "--watts-per-core", "5")
    costs_of_cases = costs.read(out / "costs.csv")
    for case in ran["cases"]:
        cost = costs_of_cases.pop(case["case"])
        assert cost.energy.kwh == pytest.approx(Energy.from_json(case["energy"]).kwh, rel=1e-4) and cost.energy.kwh > 0
        assert cost.seconds == pytest.approx(case["seconds"], rel=1e-4) and cost.energy.watts_per_core in (5, None)
    assert not costs_of_cases
    assert names(out) == ["costs.csv", "first.nii.gz", "first.png", "labels.ctbl", "labels.txt", "second.nii",
                          "second.png", "volumes.csv"]
    rows = list(csv.DictReader((out / "volumes.csv").open()))
    assert [(row["case"], row["label"]) for row in rows] == [
        (case, label) for case in ("first", "second") for label in ("Anterior", "Posterior part")]
    for row in rows:
        image = nib.load(next(out.glob(f"{row['case']}.nii*")))
        voxels = int((np.asarray(image.dataobj) == int(row["value"])).sum())
        assert int(row["voxels"]) == voxels > 0
        assert float(row["volume_ml"]) == pytest.approx(voxels * np.prod(image.header.get_zooms()) / 1000, rel=1e-5)
        described = next(case for case in ran["cases"] if case["case"] == row["case"])
        assert described["volumes"][row["label"]]["volume_ml"] == float(row["volume_ml"])
    assert '"Posterior part"' in (out / "labels.txt").read_text()
    assert "2 Posterior_part 86 180 233 255" in (out / "labels.ctbl").read_text()
    with Image.open(out / "first.png") as picture:
        colours = {pixel[1] for pixel in picture.convert("RGB").getcolors(10**6)}
        assert picture.width >= 360 and {(230, 159, 0), (86, 180, 233)} <= colours


@pytest.mark.parametrize("way", ["file", "files", "list", "4D", "named"])
def test_every_way_in_gives_the_same(hippocampus_model, two, tmp_path, way):
    out, first = tmp_path / "out", two / "first.nii.gz"
    expected = np.asarray(nib.load(reference(hippocampus_model, first, tmp_path)).dataobj)
    if way == "file":
        infer("--model", hippocampus_model / "model.keras", first, "-o", out / "first.nii.gz")
        assert names(out) == ["first.nii.gz"]
    elif way == "files":
        infer("--model", hippocampus_model, first, two / "second.nii", "-o", out, "--no-extras")
        assert names(out) == ["first.nii.gz", "second.nii"]
    elif way == "list":
        infer("--model", hippocampus_model, "-", "-o", out, stdin=f"{first}\n{two / 'second.nii'}\n\n")
    elif way == "4D":
        image = nib.load(first)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[..., None], image.affine, image.header), first)
        infer("--model", hippocampus_model, first, "-o", out)
    else:
        infer("--model", hippocampus_model, f"MRI={first}", "-o", out)
    found = np.asarray(nib.load(out / "first.nii.gz").dataobj)
    np.testing.assert_array_equal(found, expected[..., None] if way == "4D" else expected)


def reference(model, image, tmp_path):
    Predictor.load(model).segment_files([image], tmp_path / "reference.nii.gz")
    return tmp_path / "reference.nii.gz"


def test_modalities_by_name_pattern_and_one_by_one(work, tmp_path):
    tiny.dataset(tmp_path / "data", 1)
    files = {m: tmp_path / "data" / f"case_0_{m}.nii.gz" for m in ("t1", "t2")}
    (tmp_path / "patients" / "p1").mkdir(parents=True)
    for modality, path in files.items():
        shutil.copy(path, tmp_path / "patients" / "p1" / f"{modality}.nii.gz")
    infer("--model", work / "model", files["t1"], files["t2"], "-o", tmp_path / "a")
    infer("--model", work / "model", "--modality", f"t2={files['t2']}", f"t1={files['t1']}", "-o", tmp_path / "b")
    infer("--model", work / "model", tmp_path / "patients", "--pattern", "{case}/{modality}.nii.gz", "-o",
          tmp_path / "c")
    a, b, c = (np.asarray(nib.load(path).dataobj) for path in (
        tmp_path / "a" / "case_0.nii.gz", tmp_path / "b" / "case_0.nii.gz", tmp_path / "c" / "p1.nii.gz"))
    assert (a == b).all() and (a == c).all() and a.any()


def test_probabilities_and_uncertainty_of_an_ensemble(work, tmp_path):
    tiny.dataset(tmp_path / "data", 1)
    inputs = [tmp_path / "data" / f"case_0_{m}.nii.gz" for m in ("t1", "t2")]
    out = tmp_path / "out"
    ran = infer("--model", work / "model", "--model", work / "model1", "--tta", *inputs, "-o", out, "--probabilities")
    assert ran["models"] == [str(work / "model"), str(work / "model1")]
    assert names(out) == ["case_0.nii.gz", "case_0.png", "case_0_probability_1.nii.gz",
                          "case_0_probability_2.nii.gz", "case_0_uncertainty.nii.gz", "labels.ctbl", "labels.txt",
                          "volumes.csv"]
    classes = nib.load(out / "case_0.nii.gz")
    maps = [nib.load(out / f"case_0_{name}.nii.gz") for name in ("probability_1", "probability_2", "uncertainty")]
    for one in maps:
        assert np.array_equal(one.affine, classes.affine) and one.get_data_dtype() == np.uint8
    ball, core, uncertainty = (one.get_fdata() for one in maps)
    assert min(ball.min(), core.min(), uncertainty.min()) >= 0 and (ball + core).max() <= 1.01
    most = np.stack([1 - ball - core, ball, core]).argmax(axis=0)
    labels = np.asarray(classes.dataobj)
    assert (most == labels)[labels > 0].mean() > 0.97  # the largest component and 8 bits make the rest
    border = (ball > 0.2) & (ball < 0.8)
    assert 0 < uncertainty.max() <= 1 and uncertainty[border].mean() > uncertainty[~border].mean()


def test_what_is_finished_is_skipped_until_something_changes(hippocampus_model, two, tmp_path):
    out = tmp_path / "out"
    run = lambda *more: {c["case"]: c["skipped"] for c in infer(  # noqa: E731
        "--model", hippocampus_model, two, "-o", out, *more)["cases"]}
    assert run() == {"first": False, "second": False}
    table = (out / "volumes.csv").read_text()
    (out / "second.png").unlink()
    assert run() == {"first": True, "second": False}
    assert run() == {"first": True, "second": True} and (out / "volumes.csv").read_text() == table
    assert run("--windows", "plan") == {"first": False, "second": False}
    shutil.copy(two / "second.nii", tmp_path / "kept.nii")
    image = nib.load(tmp_path / "kept.nii")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 1, image.affine), two / "second.nii")
    assert run("--windows", "plan") == {"first": True, "second": False}
    assert run("--windows", "plan", "--again") == {"first": False, "second": False}


def test_a_bad_case_does_not_stop_the_others(hippocampus_model, two, tmp_path):
    (two / "broken.nii.gz").write_bytes((two / "first.nii.gz").read_bytes()[:500])
    out = tmp_path / "out"
    ran = CliRunner().invoke(main, ["--model", str(hippocampus_model), str(two), "-o", str(out), "--json"])
    assert ran.exit_code == 3 and "1 of 3 cases could not be segmented" in ran.stderr
    assert "broken: The gzip stream ends too early" in ran.stderr and str(two / "broken.nii.gz") in ran.stderr
    summary = json.loads(ran.stdout)
    assert [case["case"] for case in summary["cases"]] == ["first", "second"] and len(summary["failed"]) == 1
    assert not [name for name in names(out) if "broken" in name or ".part" in name]


Q, R = np.linalg.qr(np.array([[0.936, -0.283, 0.211], [0.302, 0.951, -0.066], [-0.182, 0.125, 0.975]]))
ROTATION = Q * np.sign(np.diag(R))
GRIDS = {
    "flipped": (("L", "P", "S"), np.eye(3), 1.0), "axes in another order": (("S", "R", "A"), np.eye(3), 1.0),
    "oblique": (("R", "A", "S"), ROTATION, 1.0), "oblique and flipped": (("L", "A", "I"), ROTATION, 1.0),
    "anisotropic": (("R", "A", "S"), np.eye(3), np.array([0.7, 0.9, 3.0])),
    "4D, oblique and flipped": (("L", "A", "I"), ROTATION, 1.0),
}


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("windows", ["auto", "large"])
def test_results_lie_in_the_images_own_geometry(hippocampus_model, image, tmp_path, grid, windows):
    """The same voxels stored otherwise give the same labels at the same places, as SimpleITK reads them."""
    codes, rotation, spacing = GRIDS[grid]
    plain = nib.as_closest_canonical(nib.load(image))
    affine = plain.affine.copy()
    affine[:3, :3] = rotation * spacing
    moved = nib.Nifti1Image(np.asarray(plain.dataobj), affine)
    codes = nib.orientations.axcodes2ornt(codes)
    moved = moved.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(moved.affine), codes))
    nib.save(plain, tmp_path / "plain.nii.gz")
    nib.save(moved, tmp_path / "source.nii.gz")
    if grid.startswith("4D"):
        moved = nib.Nifti1Image(np.asarray(moved.dataobj)[..., None], moved.affine, moved.header)
    nib.save(moved, tmp_path / "moved.nii.gz")
    infer("--model", hippocampus_model, tmp_path / "plain.nii.gz", tmp_path / "moved.nii.gz", "-o", tmp_path / "out",
          "--windows", windows)
    result, source = (sitk.ReadImage(str(tmp_path / name)) for name in ("out/moved.nii.gz", "source.nii.gz"))
    for get in (sitk.Image.GetSize, sitk.Image.GetSpacing, sitk.Image.GetOrigin, sitk.Image.GetDirection):
        np.testing.assert_allclose(get(result), get(source), atol=1e-5)
    np.testing.assert_array_equal(nib.load(tmp_path / "out" / "moved.nii.gz").affine,
                                  nib.load(tmp_path / "moved.nii.gz").affine)
    expected = geometry.read(tmp_path / "out" / "plain.nii.gz", label=True).data
    found = geometry.read(tmp_path / "out" / "moved.nii.gz", label=True).data
    np.testing.assert_array_equal(found, expected)


def test_a_bids_dataset_in_a_derivative_out(hippocampus_model, two, tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "raw/derivatives/pocketnet"
    for source, target in (("first.nii.gz", "sub-1/ses-a/anat/sub-1_ses-a_T1w.nii.gz"),
                           ("second.nii", "sub-2/anat/sub-2_T1w.nii"),
                           ("second.nii", "derivatives/other/sub-2/anat/sub-2_desc-x_T1w.nii")):
        (raw / target).parent.mkdir(parents=True)
        shutil.copy(two / source, raw / target)
    ran = infer("--model", hippocampus_model, raw, "--bids", "-o", out)
    assert names(out) == [
        ".bidsignore", "README.md", "dataset_description.json", "sub-1/ses-a/anat/sub-1_ses-a_dseg.nii.gz",
        "sub-1/ses-a/anat/sub-1_ses-a_dseg.tsv", "sub-2/anat/sub-2_dseg.nii", "sub-2/anat/sub-2_dseg.tsv"]
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative" and described["GeneratedBy"][0]["Version"]
    assert (out / "sub-2/anat/sub-2_dseg.tsv").read_text().splitlines() == [
        "index\tname\tcolor", "0\tbackground\t#000000", "1\tAnterior\t#e69f00", "2\tPosterior part\t#56b4e9"]
    assert not any(case["skipped"] for case in ran["cases"])
    assert all(case["skipped"] for case in infer("--model", hippocampus_model, raw, "--bids", "-o", out)["cases"])
    said = infer("--model", hippocampus_model, two, "--bids", "-o", tmp_path / "no", code=3)
    assert "this is not a BIDS name" in str(said)
    assert "takes IMAGES" in infer("--model", hippocampus_model, raw, "--bids", "-o", tmp_path / "a.nii.gz", code=2)
