"""Windows, engines and geometry of predictions, with a network trained for a moment."""

import json
import warnings
from dataclasses import replace

import forms
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import tiny
from click.testing import CliRunner
from pocketnet import Predictor
from pocketnet.cli.evaluate import main as evaluate
from pocketnet.contracts.decisions import PAPER
from pocketnet.contracts.labels import Label
from pocketnet.datasets import check, presets
from pocketnet.errors import DataError, UsageError
from pocketnet.evaluation.metrics import dice
from pocketnet.inference.options import Options
from pocketnet.inference.postprocessing import postprocess
from pocketnet.inference.windows import gaussian_weight, starts
from pocketnet.preprocessing.scan import read_scan, scan_of
from pocketnet.training.model_folder import ModelFolder

PAIR = [Label("a", 1, (1,)), Label("b", 2, (2,))]
LARGEST = {"a": PAPER, "b": PAPER}
OBLIQUE = np.array([[0.9, -0.3, 0.2, -11.0], [0.31, -1.4, 0.1, 5.0], [-0.2, 0.1, 2.4, 9.0], [0, 0, 0, 1]])


@pytest.mark.parametrize("size, patch, overlap, expected", [
    (16, 16, 0.5, [0]), (17, 16, 0.5, [0, 1]), (32, 16, 0.5, [0, 8, 16]), (30, 16, 0.0, [0, 14]),
    (40, 16, 0.25, [0, 12, 24])])
def test_windows_cover_an_axis(size, patch, overlap, expected):
    assert starts(size, patch, overlap) == expected


def test_gaussian_weight_is_the_papers():
    weight = gaussian_weight((16, 8), 0.125)
    assert weight.max() == 1 and weight.min() > 0
    assert weight[7, 3] == weight[8, 4] == 1
    # One standard deviation, an eighth of the side, away from the middle.
    weight = gaussian_weight((17,), 2 / 17)
    np.testing.assert_allclose(weight[10] / weight[8], np.exp(-0.5), rtol=1e-5)


def test_largest_component_per_class():
    classes = np.zeros((9, 9, 9), np.uint8)
    classes[0:3, 0:3, 0:3], classes[5:7, 5:7, 5:7], classes[8, 8, 8] = 1, 1, 2
    classes[3, 3, 3] = 1  # touches the first by a corner only
    out = postprocess(classes, PAIR, LARGEST, None)
    assert (out == 1).sum() == 27 and (out == 2).sum() == 1
    assert not postprocess(np.zeros((3, 3, 3), np.uint8), PAIR, LARGEST, None).any()


def test_model_finds_the_balls_and_engines_agree(work):
    image, label = tiny.volume(0)
    found = {engine: Predictor.load(work / "model", engine=engine) for engine in ("openvino", "tensorflow")}
    classes = {engine: predictor(image, (1, 1, 1)) for engine, predictor in found.items()}
    predicted, true = classes["openvino"] > 0, label > 0
    assert 2 * (predicted & true).sum() / (predicted.sum() + true.sum()) > 0.8
    assert (classes["openvino"] == classes["tensorflow"]).mean() >= 0.9999
    patch = np.random.default_rng(1).normal(size=(2, 16, 16, 16, 2)).astype(np.float32)
    outputs = [predictor.engine(patch) for predictor in found.values()]
    assert np.abs(outputs[0] - outputs[1]).max() <= 1e-3


def test_large_label_values_survive_from_the_check_to_the_evaluation(work, tmp_path):
    """The check reads them, the network was trained with them, and its predictions are measured against them."""
    (tmp_path / "balls.json").write_text(json.dumps({
        "title": "Balls", "layout": "ours", "modalities": None, "default_labels": "both",
        "files": {"images": {"t1": "{case}_t1", "t2": "{case}_t2"}, "label": "{case}_seg"},
        "label_sets": {"both": {"ball": [65537], "core": [614454277]}}, "source": {"where": "here", "licence": "none"},
        "preprocessing": {"crop": "nonzero", "normalisation": "zscore", "spacing_mm": None}}))
    found = check.check(work / "data", presets.load(tmp_path / "balls.json"))
    assert not found.problems and [label.source_values for label in found.manifest.labels] == [(65537,), (614454277,)]
    assert json.loads((work / "model/labels.json").read_text())["labels"] == tiny.LABELS
    manifest = json.loads((work / "manifest.json").read_text())
    manifest["cases"] = manifest["cases"][:1]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    Predictor.load(work / "model").segment_files([work / f"data/case_0_{name}.nii.gz" for name in ("t1", "t2")],
                                                 tmp_path / "predictions/case_0.nii.gz")
    ran = CliRunner().invoke(evaluate, [
        "--manifest", str(tmp_path / "manifest.json"), "--input", str(work / "data"), "--predictions",
        str(tmp_path / "predictions"), "--model", str(work / "model"), "-o", str(tmp_path / "out"), "--json"])
    assert ran.exit_code == 0, ran.output
    classes = np.asarray(nib.load(tmp_path / "predictions/case_0.nii.gz").dataobj)
    reference = np.asarray(nib.load(work / "data/case_0_seg.nii.gz").dataobj)
    assert sorted(np.unique(reference)) == [0, 65537, 614454277]
    for label in tiny.LABELS:
        assert json.loads(ran.stdout)["mean"][label["name"]]["dice"] == pytest.approx(
            dice(reference == label["source_values"][0], classes == label["value"]))
    assert dice(reference > 0, classes > 0) > 0.8


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-1.0, -1.0, 1.0, 1.0]), OBLIQUE], ids=["RAS", "LPS", "oblique"])
def test_prediction_lies_in_the_images_own_geometry(work, tmp_path, affine):
    tiny.dataset(tmp_path, 1, affine)
    inputs = [tmp_path / "case_0_t1.nii.gz", tmp_path / "case_0_t2.nii.gz"]
    Predictor.load(work / "model").segment_files(inputs, tmp_path / "out.nii.gz")
    image, out, reference = (nib.load(p) for p in (inputs[0], tmp_path / "out.nii.gz", tmp_path / "case_0_seg.nii.gz"))
    assert out.shape == image.shape and np.array_equal(out.affine, image.affine)
    assert nib.aff2axcodes(out.affine) == nib.aff2axcodes(image.affine) and out.get_data_dtype() == np.uint8
    predicted, true = np.asarray(out.dataobj) > 0, np.asarray(reference.dataobj) > 0
    assert 2 * (predicted & true).sum() / (predicted.sum() + true.sum()) > 0.8


def ball(dtype="int16", shape=forms.SHAPE):
    """A bright ball with a brighter core, from 1 to 100, without any symmetry."""
    away = [np.arange(n) - n / 2 + 0.7 for n in shape[:3]]
    radius = np.sqrt(sum(np.square(one) for one in np.meshgrid(*away, indexing="ij")))
    noise = np.random.default_rng(5).normal(0, 2, radius.shape)
    return np.clip(20 + 20 * (radius < 3) + 25 * (radius < 1.6) + noise, 1, 100).astype(dtype).reshape(shape)


def test_every_form_of_a_header_gives_the_segmentation_of_the_plain_array(work, tmp_path, monkeypatch):
    """For 63 forms: the result, turned to RAS+, against that of the array, by Dice."""
    predictor, plain, labelled, low = Predictor.load(work / "model"), {}, 0, {}
    for name, make in forms.FORMS.items():
        for modality, voxels in (("t1", ball), ("t2", lambda *given, **more: 101 - ball(*given, **more))):
            monkeypatch.setattr(forms, "voxels", voxels)
            forms.save(make(), tmp_path / f"{modality}.nii.gz")
        paths = [tmp_path / "t1.nii.gz", tmp_path / "t2.nii.gz"]
        array = read_scan(paths).read(np.s_[:, :, :])
        if array.tobytes() not in plain:
            plain[array.tobytes()] = predictor(array)
        expected = plain[array.tobytes()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predictor.segment_files(paths, tmp_path / "labels.nii.gz")
        made = nib.load(tmp_path / "labels.nii.gz")
        found = np.asarray(nib.as_closest_canonical(made).dataobj).reshape(expected.shape)
        labelled += bool(expected.any())
        if expected.any() and (score := dice(found > 0, expected > 0)) < 0.99:
            low[name] = score
        assert (found > 0).sum() == (expected > 0).sum(), name
    assert len(forms.FORMS) >= 45 and labelled >= 45 and not low


def test_images_in_memory_give_what_files_give(hippocampus_model, image, tmp_path):
    """nibabel's and SimpleITK's images come back as their own kind, in their own geometry."""
    plain = nib.load(image)
    turned = nib.Nifti1Image(np.asarray(plain.dataobj), OBLIQUE, plain.header).as_reoriented(
        nib.orientations.axcodes2ornt("IRP"))
    nib.save(turned, tmp_path / "turned.nii.gz")
    predictor = Predictor.load(hippocampus_model)
    predictor.segment_files([tmp_path / "turned.nii.gz"], tmp_path / "out.nii.gz")
    expected = np.asarray(nib.load(tmp_path / "out.nii.gz").dataobj)
    assert expected.any()
    of_nibabel = predictor(turned)
    assert np.array_equal(of_nibabel.affine, turned.affine) and of_nibabel.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(of_nibabel.dataobj), expected)
    straight = sitk.ReadImage(str(image))  # the oblique affine shears, which ITK has no image for
    predictor.segment_files([image], tmp_path / "straight.nii.gz")
    of_itk, of_file = predictor([straight]), sitk.ReadImage(str(tmp_path / "straight.nii.gz"))
    assert of_itk.GetDirection() == straight.GetDirection() and of_itk.GetOrigin() == straight.GetOrigin()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(of_itk), sitk.GetArrayFromImage(of_file))


@pytest.mark.parametrize("shape", [(9, 7, 11), (3, 30, 16)])
def test_volume_smaller_than_the_patch(work, shape):
    image = np.random.default_rng(0).normal(100, 10, (*shape, 2)).astype(np.float32)
    assert Predictor.load(work / "model")(image, (1, 1, 1)).shape == shape


def test_wrong_input_is_refused(work):
    predictor = Predictor.load(work / "model")
    with pytest.raises(DataError, match="2 modalities"):
        predictor(np.ones((8, 8, 8), np.float32), (1, 1, 1))
    with pytest.raises(DataError, match="NaN"):
        predictor(np.full((8, 8, 8, 2), np.nan, np.float32), (1, 1, 1))
    with pytest.raises(UsageError, match="Unknown engine"):
        Predictor.load(work / "model", engine="torch")
    with pytest.raises(UsageError, match="no model folder"):
        Predictor.load(work / "nothing")


def test_a_missing_modality_is_zero_after_normalisation(work):
    """As a modality is that has the mean of the fold's intensities everywhere, which `window` moves to 0."""
    model = ModelFolder.open(work / "model")
    model = replace(model, plan=replace(
        model.plan, training=replace(model.plan.training, drop_modality=0.5),
        preprocessing=replace(model.plan.preprocessing, normalisation="window")))
    whole, without = (Predictor([model], Options(windows="plan", missing=missing)) for missing in ((), ("t1",)))
    image, _ = tiny.volume(0)

    def probabilities(predictor: Predictor, volume: np.ndarray) -> np.ndarray:
        out = np.zeros((*volume.shape[:3], 3), np.float32)
        predictor.segment(scan_of(volume, (1, 1, 1)), sink=lambda at, found: out.__setitem__(at, found))
        return out

    found = probabilities(without, image[..., 1:])
    mean = image.copy()
    mean[..., 0] = model.provenance.intensity[0].mean
    assert np.abs(found - probabilities(whole, mean)).max() < 1e-5 < np.abs(found - probabilities(whole, image)).max()
    with pytest.raises(DataError, match=r"takes 1 modality \(t2\), found 2"):
        without.segment(scan_of(image, (1, 1, 1)))
