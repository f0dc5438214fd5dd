"""A real training, a real MLflow server: live logging and collecting give the same runs, and the model is served."""

import base64
import json
import urllib.request
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tiny
from pocketnet import Predictor
from pocketnet.errors import UsageError
from pocketnet.preprocessing import store as case_store
from pocketnet.tracking import model as mlflow_model
from pocketnet.tracking.collect import collect
from pocketnet.tracking.live import Live
from pocketnet.tracking.records import read_run
from pocketnet.tracking.store import Store
from pocketnet.training.run import Choice, Observer, train
from tracking import serving


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    for index in range(6):
        image, label = tiny.volume(index)
        prepared = tiny.prepared(image)
        case_store.write_store(folder, f"case_{index}", ["t1", "t2"], prepared, label, {"ball": 1, "core": 2})
    return folder


def trained(root, stores, follow):
    return train(tiny.plan(), tiny.splits(), [stores], Choice("unet", "pocket", 0), root / "models" / "fold0",
                 root / "checkpoints", observer=Observer(follow=follow))


def server(root: Path, port: int):
    """An MLflow server with its store in `root`."""
    return serving.mlflow(root / "server.log", "server", "--backend-store-uri", f"sqlite:///{root}/server.db",
                          "--artifacts-destination", str(root / "artifacts"), "--workers", "1", port=port,
                          ready="/health")


@pytest.fixture(scope="module")
def lived(tmp_path_factory, stores):
    """A training that was logged live, and the server that still runs."""
    root = tmp_path_factory.mktemp("live")
    port = serving.free_port()
    warnings = []
    with server(root, port):
        uri = f"http://127.0.0.1:{port}"
        trained(root, stores, Live(uri, warnings.append))
        yield root, uri, warnings


def the_fold(uri):
    client = Store(uri).client
    experiment = client.get_experiment_by_name("balls").experiment_id
    (run,) = client.search_runs([experiment], "tags.`pocketnet.kind` = 'fold'")
    return client, run


def content(uri):
    """What defines the fold's run: all but ids, times and what the server adds."""
    client, run = the_fold(uri)
    steps = {name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
             for name in run.data.metrics}
    tags = {name: value for name, value in run.data.tags.items() if name != "mlflow.parentRunId"
            and not name.startswith(("pocketnet.artifacts", "mlflow.user"))}
    return run.info.run_name, run.info.status, run.data.params, tags, steps


def test_the_run_is_there_before_anything_is_collected(lived):
    root, uri, warnings = lived
    assert warnings == []
    _, status, parameters, tags, steps = content(uri)
    assert status == "FINISHED" and parameters["patch"] == "16×16×16" and tags["fold"] == "0"
    assert [step for step, _ in steps["validation_dice"]] == [4, 8, 12]
    assert [step for step, _ in steps["system/cpu_utilization_percentage"]] == [4, 8, 12]


def test_live_and_collected_are_the_same_run(lived, tmp_path):
    root, uri, _ = lived
    records = read_run([root / "models"])
    assert collect(records, Store(uri)).known == 1  # the fold; its parent is new
    store = Store(f"sqlite:///{tmp_path}/mlflow.db")
    assert collect(records, store).new == 2
    assert content(uri) == content(store.uri)
    again = collect(records, Store(uri))
    assert (again.new, again.known) == (0, 2)
    _, run = the_fold(uri)
    assert "mlflow.parentRunId" in run.data.tags and len(run.outputs.model_outputs) == 1


def test_a_server_that_dies_costs_a_warning_and_its_records_come_later(tmp_path, stores):
    port, warnings, epochs = serving.free_port(), [], []
    uri = f"http://127.0.0.1:{port}"

    class Dying(Live):
        def epoch(self, history, system):
            super().epoch(history, system)
            epochs.append(history["epoch"])
            if len(epochs) == 1:
                serving.end(process)

    with server(tmp_path, port) as process:
        provenance = trained(tmp_path, stores, Dying(uri, warnings.append))
    assert provenance.steps == 12 and epochs == [1, 2, 3]
    assert len(warnings) == 1 and uri in warnings[0] and "pocket-collect" in warnings[0]
    with server(tmp_path, port):
        assert collect(read_run([tmp_path / "models"]), Store(uri)).known == 1
        _, status, _, _, steps = content(uri)
    assert status == "FINISHED" and [step for step, _ in steps["loss"]] == [4, 8, 12]


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_an_address_where_nobody_is_costs_a_warning(uri):
    warnings = []
    live = Live(uri, warnings.append)
    live.begin({"dataset": "balls", "run_key": "k"}, {})
    live.epoch({"seconds": 1}, {})
    live.end("FINISHED")
    assert len(warnings) == 1 and uri in warnings[0]


def test_an_address_with_a_password_is_refused():
    with pytest.raises(UsageError, match="must not contain") as caught:
        Live("https://me:s3cret@127.0.0.1", print)
    assert "s3cret" not in str(caught.value)


def test_mlflow_serves_the_model(lived, tmp_path):
    root, _, _ = lived
    (model,) = read_run([root / "models"]).models
    mlflow_model.write_model(model, tmp_path / "model")
    assert str(Path(mlflow_model.__file__).parent) not in (tmp_path / "model" / "MLmodel").read_text()
    image, _ = tiny.volume(9)
    affine = np.diag([-1.0, 1, 1, 1])
    scans = [nib.Nifti1Image(image[..., channel], affine) for channel in (0, 1)]
    for index, scan in enumerate(scans):
        nib.save(scan, tmp_path / f"{index}.nii.gz")
    port = serving.free_port()
    with serving.mlflow(tmp_path / "serve.log", "models", "serve", "-m", str(tmp_path / "model"), "--env-manager",
                        "local", port=port, ready="/ping"):
        row = [base64.b64encode((tmp_path / f"{index}.nii.gz").read_bytes()).decode() for index in (0, 1)]
        answer = ask(port, json.dumps({"dataframe_split": {"columns": ["t1", "t2"], "data": [row]}}))
        example = ask(port, (tmp_path / "model" / "serving_input_example.json").read_text())
    (tmp_path / "answer.nii.gz").write_bytes(base64.b64decode(answer[0]["segmentation"]))
    found = nib.load(tmp_path / "answer.nii.gz")
    Predictor.load(root / "models" / "fold0").segment_files([tmp_path / "0.nii.gz", tmp_path / "1.nii.gz"],
                                                            tmp_path / "expected.nii.gz")
    expected = nib.load(tmp_path / "expected.nii.gz")
    np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
    np.testing.assert_array_equal(found.affine, affine)
    assert len(example) == 1 and base64.b64decode(example[0]["segmentation"])[:2] == b"\x1f\x8b"


def ask(port: int, request: str) -> list[dict]:
    """The predictions that a served model answers with."""
    with urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", request.encode(), {"Content-Type": "application/json"}),
            timeout=240) as answer:
        return json.loads(answer.read())["predictions"]
