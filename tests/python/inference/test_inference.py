"""Windows, engines and geometry of predictions, with a network trained for a moment."""

import dataclasses
import json

import nibabel as nib
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from pocketnet import Predictor, files
from pocketnet.cli.infer import main
from pocketnet.errors import DataError, UsageError
from pocketnet.inference.cases import group
from pocketnet.inference.postprocessing import largest_components
from pocketnet.inference.windows import gaussian_weight, positions, sliding_window, starts
from pocketnet.preprocessing import geometry, store
from pocketnet.preprocessing.case import map_labels, prepare, prepare_label, read_images
from pocketnet.training.run import train

OBLIQUE = np.array([[0.9, -0.3, 0.2, -11.0], [0.31, -1.4, 0.1, 5.0], [-0.2, 0.1, 2.4, 9.0], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A dataset, and a model of its fold 0 good enough to find the balls."""
    folder = tmp_path_factory.mktemp("inference")
    manifest = tiny.dataset(folder / "data")
    files.write_json(folder / "manifest.json", manifest, "manifest")
    plan = tiny.plan(epochs=6, steps_per_epoch=20, augmentation={"flip": 0.5, "noise": 0.0, "blur": 0.0})
    # Batch statistics need more steps than this to settle.
    plan = dataclasses.replace(plan, network=dataclasses.replace(plan.network, norm="instance"))
    for entry in manifest["cases"]:
        image, volume = read_images([folder / "data" / name for name in entry["images"]])
        prepared = prepare(image, volume.spacing, plan.preprocessing)
        label = map_labels(geometry.read(folder / "data" / entry["label"], label=True).data, plan.labels)
        store.write(folder / "stores", entry["case"], ["t1", "t2"], prepared, prepare_label(label, prepared),
                    {"ball": 1, "core": 2})
    train(plan, tiny.splits(), [folder / "stores"], "unet", "pocket", 0, folder / "model", folder / "checkpoints",
          say=lambda line: None)
    return folder


@pytest.mark.parametrize("size, patch, overlap, expected", [
    (16, 16, 0.5, [0]), (17, 16, 0.5, [0, 1]), (32, 16, 0.5, [0, 8, 16]), (30, 16, 0.0, [0, 14]),
    (40, 16, 0.25, [0, 12, 24])])
def test_windows_cover_an_axis(size, patch, overlap, expected):
    assert starts(size, patch, overlap) == expected
    assert len(positions((size, size), (patch, patch), overlap)) == len(expected) ** 2


def test_gaussian_weight_is_the_papers():
    weight = gaussian_weight((16, 8), 0.125)
    assert weight.max() == 1 and weight.min() > 0
    assert weight[7, 3] == weight[8, 4] == 1
    # One standard deviation, an eighth of the side, away from the middle.
    weight = gaussian_weight((17,), 2 / 17)
    np.testing.assert_allclose(weight[10] / weight[8], np.exp(-0.5), rtol=1e-5)


@pytest.mark.parametrize("shape", [(20, 12, 24), (16, 16, 16), (5, 40, 17)])
def test_sliding_window_of_a_voxelwise_function_is_exact(shape):
    image = np.random.default_rng(0).random((*shape, 1)).astype(np.float32)
    out = sliding_window(image, (16, 16, 16), 2, lambda x: np.concatenate([x, 1 - x], -1), 0.5, 0.125)
    np.testing.assert_allclose(out, np.concatenate([image, 1 - image], -1), atol=1e-6)


def test_largest_component_per_class():
    classes = np.zeros((9, 9, 9), np.uint8)
    classes[0:3, 0:3, 0:3], classes[5:7, 5:7, 5:7], classes[8, 8, 8] = 1, 1, 2
    classes[3, 3, 3] = 1  # touches the first by a corner only
    out = largest_components(classes)
    assert (out == 1).sum() == 27 and (out == 2).sum() == 1
    assert not largest_components(np.zeros((3, 3, 3), np.uint8)).any()


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


def test_command_goes_on_after_a_bad_case(work, tmp_path):
    data = tmp_path / "data"
    tiny.dataset(data, 3)
    (data / "case_1_t2.nii.gz").write_bytes((data / "case_1_t2.nii.gz").read_bytes()[:500])
    for path in data.glob("*_seg.nii.gz"):
        path.unlink()
    ran = CliRunner().invoke(main, ["--model", str(work / "model"), str(data), "-o", str(tmp_path / "out"), "--json",
                                    "--quiet"])
    assert ran.exit_code == 3 and "case_1" in ran.stderr and "case_1_t2.nii.gz" in ran.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["case_0.nii.gz", "case_2.nii.gz"]
    assert [case["case"] for case in json.loads(ran.stdout)["cases"]] == ["case_0", "case_2"]


def test_files_are_grouped_by_case(tmp_path):
    for name in ("a_t1.nii.gz", "a_t2.nii.gz", "b-t1.nii", "b-t2.nii", "c_0000.nii.gz", "c_0001.nii.gz"):
        (tmp_path / name).touch()
    found = group([tmp_path], ["t1", "t2"])
    assert {case: [p.name for p in paths] for case, paths in found.items()} == {
        "a": ["a_t1.nii.gz", "a_t2.nii.gz"], "b": ["b-t1.nii", "b-t2.nii"], "c": ["c_0000.nii.gz", "c_0001.nii.gz"]}
    assert list(group([tmp_path / "a_t1.nii.gz"], ["MRI"])) == ["a_t1"]
    (tmp_path / "c_0001.nii.gz").unlink()
    (tmp_path / "odd.nii.gz").touch()
    with pytest.raises(UsageError, match=r"odd.nii.gz: its name ends in no modality.*case c: t2 missing"):
        group([tmp_path], ["t1", "t2"])
    with pytest.raises(UsageError, match="no such file"):
        group([tmp_path / "none.nii.gz"], ["MRI"])


def test_a_4d_file_is_a_case_of_its_volumes(tmp_path):
    data = np.random.default_rng(0).normal(size=(5, 6, 7, 2)).astype(np.float32)
    nib.save(nib.Nifti1Image(data, np.diag([-1, -1, 2, 1])), tmp_path / "scan.nii.gz")
    found = group([tmp_path], ["t1", "t2"])
    assert found == {"scan": [tmp_path / "scan.nii.gz[0]", tmp_path / "scan.nii.gz[1]"]}
    image, volume = read_images(found["scan"])
    np.testing.assert_array_equal(image, data[::-1, ::-1])
    assert volume.grid.shape == (5, 6, 7) and volume.spacing == (1, 1, 2)
    with pytest.raises(UsageError, match="its name ends in no modality"):
        group([tmp_path], ["t1", "t2", "flair"])
    with pytest.raises(DataError, match="at least 3 volumes"):
        read_images([tmp_path / "scan.nii.gz[2]"])
