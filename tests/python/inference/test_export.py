"""Exports give what the trained network gives, carry how images are prepared, and are model folders themselves."""

import json
import shutil

import nibabel as nib
import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from pocketnet import Predictor, backend
from pocketnet.cli.export import main
from pocketnet.contracts.deployment import Deployment
from pocketnet.contracts.splits import Intensity
from pocketnet.errors import DataError
from pocketnet.inference import export
from pocketnet.preprocessing.intensity import Normaliser
from pocketnet.preprocessing.scan import PreparedScan, read_scan
from pocketnet.training.model_folder import ModelFolder, write_checksums


def run(*arguments, code=0):
    ran = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout) if ran.stdout else ran.stderr


@pytest.fixture(scope="module")
def deployed(hippocampus_model, tmp_path_factory):
    out = tmp_path_factory.mktemp("deploy") / "folder"
    return out, run("--model", hippocampus_model, "-o", out)


def test_a_folder_to_deploy_is_verified_and_described(deployed, hippocampus_model):
    out, printed = deployed
    description = Deployment.read(out / "deployment.json")
    assert description.to_json() == printed
    assert set(description.networks) == {"onnx", "openvino", "savedmodel"}
    for found in description.networks.values():
        assert found.largest_difference <= 1e-3 and found.labels_equal >= 0.9999
        assert (out / found.file).exists()
    assert [one.name for one in description.classes] == ["background", "Anterior", "Posterior part"]
    assert description.preprocessing.intensity == ModelFolder.open(hippocampus_model).provenance.intensity
    assert not list(out.parent.glob(".part*"))


def test_the_folder_is_a_model_folder_for_every_engine(deployed, hippocampus_model, image, tmp_path):
    expected = Predictor.load(hippocampus_model, windows="plan").segment_files([image], tmp_path / "a.nii.gz")
    for engine in ("openvino", "tensorflow"):
        predictor = Predictor.load(deployed[0], engine=engine, windows="plan")
        found = predictor.segment_files([image], tmp_path / "b.nii.gz")
        assert (found == expected).mean() >= 0.9999


def test_a_nested_file_that_was_altered_is_refused(deployed, tmp_path):
    copy = shutil.copytree(deployed[0], tmp_path / "copy")
    (copy / "saved_model" / "saved_model.pb").write_bytes(b"altered")
    with pytest.raises(DataError, match="saved_model/saved_model.pb was altered"):
        ModelFolder.open(copy)


def test_a_real_image_by_onnxruntime_alone(hippocampus_model, image, tmp_path):
    """What the file's metadata says is enough to do what the predictor does, here for one window."""
    run("--model", hippocampus_model, "-o", tmp_path / "model.onnx")
    said = {p.key: p.value for p in onnx.load(tmp_path / "model.onnx").metadata_props}
    description = json.loads(said["pocketnet"])
    model = ModelFolder.open(hippocampus_model)
    prepared = PreparedScan(read_scan([image]), model.plan.preprocessing)
    patch = description["input"]["patch"]
    how = description["preprocessing"]
    part = prepared.planes(0, min(patch[2], prepared.shape[2]))[: patch[0], : patch[1]]
    normalise = Normaliser(how["normalisation"], [Intensity(**one) for one in how["intensity"]])
    window = normalise(part, prepared.statistics)
    window = np.pad(window, [(0, side - n) for side, n in zip((*patch, 1), window.shape, strict=True)])
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    found = session.run(None, {description["input"]["name"]: window[None]})[0]
    expected = Predictor.load(hippocampus_model, engine="tensorflow").engine(window[None])
    assert np.ptp(expected) > 0.1 and np.abs(found - expected).max() <= 1e-3
    larger = np.zeros((1, *(2 * n for n in patch), 1), np.float32)
    assert session.run(None, {"image": larger})[0].shape == (*larger.shape[:4], 3)


def test_what_is_refused_leaves_nothing(hippocampus_model, model, tmp_path, monkeypatch):
    assert "Unknown format 'tflite'" in run("--model", model, "-o", tmp_path / "o", "--format", "tflite", code=2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes").write_text("")
    assert "notes (not written by a pocket command)" in run("--model", model, "-o", tmp_path / "mine", code=2)
    (model / "model.keras").write_bytes(b"no network")
    write_checksums(model)
    assert "cannot be loaded safely" in run("--model", model, "-o", tmp_path / "o", code=3)
    monkeypatch.setattr(export, "MOST_DIFFERENCE", -1.0)
    assert "gives other results than the trained one" in run(
        "--model", hippocampus_model, "-o", tmp_path / "o", "--format", "openvino", code=3)
    assert not (tmp_path / "o").exists() and not list(tmp_path.glob(".part*"))


def test_it_is_refused_on_another_backend(hippocampus_model, tmp_path, monkeypatch):
    monkeypatch.setattr(backend, "name", lambda: "jax")
    assert "needs the TensorFlow backend" in run("--model", hippocampus_model, "-o", tmp_path / "o", code=2)


def test_the_results_geometry_survives_the_export(deployed, image, tmp_path):
    Predictor.load(deployed[0]).segment_files([image], tmp_path / "o.nii.gz")
    np.testing.assert_array_equal(nib.load(tmp_path / "o.nii.gz").affine, nib.load(image).affine)


def test_the_input_of_an_onnx_file_has_the_name_that_is_documented():
    """Whatever the network calls its input layer: an ensemble's had another name, and its export failed."""
    names = onnx.helper.make_tensor_value_info("layer", onnx.TensorProto.FLOAT, [2])
    out = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["layer"], ["minus"]),
                                    onnx.helper.make_node("Add", ["minus", "layer"], ["out"])], "g", [names], [out])
    export.name_input(graph, "image")
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, {"image": np.float32([1, 2])})[0].tolist() == [0, 0]
