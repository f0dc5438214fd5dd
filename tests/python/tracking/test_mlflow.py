"""The MLflow store: what is in it, and that collecting twice adds nothing twice."""

import contextlib
import json
import re
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import unquote

import fake_run
import made
import pytest
from fake_run import edit_json, metrics, write_both, write_evaluation, write_run
from hostile import NAMES
from pocketnet.contracts.fields import text_fault
from pocketnet.errors import UsageError
from pocketnet.tracking.collect import Extras, aggregate, collect
from pocketnet.tracking.records import read_run
from pocketnet.tracking.store import Store, metric, safe, sqlite_file

MANIFEST = made.manifest([made.case(name, sha256={f"{name}.nii.gz": digit * 64}) for name, digit in ("a0", "b1")],
                         labels=fake_run.LABELS)


def read(root):
    return read_run([root / "models"], [root / "evaluation"], root / "comparison")


def rows(database):
    """Every row of the tables that collecting writes to."""
    with sqlite3.connect(database) as connection:
        return {table: sorted(map(repr, connection.execute(f"select * from {table}")))
                for table in ("experiments", "runs", "metrics", "params", "tags", "registered_models", "model_versions",
                              "registered_model_aliases")}


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A store's file without experiments: making one takes MLflow seconds, copying it none.

    It is made in a current folder whose name has quotes.
    """
    folder = tmp_path_factory.mktemp("empty") / "O'Brien's \"scans\" #1"
    folder.mkdir()
    with contextlib.chdir(folder):
        Store(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


def extras(root):
    """Report, figures and manifest as a run has them."""
    (root / "figures").mkdir(exist_ok=True)
    (root / "figures" / "learning-1.svg").write_text("<svg/>")
    return Extras(root / "report.html", root / "figures", MANIFEST)


def new_store(root, empty):
    (root / "mlflow").mkdir()
    shutil.copyfile(empty, root / "mlflow" / "mlflow.db")
    return Store(f"sqlite:///{root}/mlflow/mlflow.db")


@pytest.fixture(scope="module")
def collected(tmp_path_factory, empty):
    """A run collected into a new store."""
    root = write_run(tmp_path_factory.mktemp("run"))
    (root / "report.html").write_text("<p>page</p>")
    store = new_store(root, empty)
    outcome = collect(read(root), store, extras(root))
    return root, store, outcome


def by_kind(store, kind):
    experiment = store.client.get_experiment_by_name("hippocampus").experiment_id
    return store.client.search_runs([experiment], f"tags.`pocketnet.kind` = '{kind}'")


def test_parents_and_children(collected):
    _, store, outcome = collected
    assert (outcome.new, outcome.known, outcome.experiments) == (7, 0, ["hippocampus"])
    parents = {run.info.run_id: run for run in by_kind(store, "network")}
    children = by_kind(store, "fold")
    assert len(parents) == 2 and len(children) == 4 and len(by_kind(store, "comparison")) == 1
    for child in children:
        parent = parents[child.data.tags["mlflow.parentRunId"]]
        assert parent.data.tags["width"] == child.data.tags["width"] == child.data.params["width"]
        assert child.info.status == parent.info.status == "FINISHED"


def test_configurations_are_marked_and_their_choice_is_told(tmp_path, empty):
    root = write_both(tmp_path, folds=(0,))
    store = new_store(root, empty)
    collect(read(root), store)
    assert {run.data.tags["width"]: run.data.tags["configuration"] for run in by_kind(store, "network")} == {
        "pocket-2d": "2d, chosen", "pocket-3d": "3d, not chosen", "full-2d": "2d, not chosen", "full-3d": "3d, chosen"}
    [run] = by_kind(store, "comparison")
    assert run.data.tags["configuration.unet-pocket"].startswith("2d: Mean validation Dice 0.")
    assert run.data.metrics["validation_dice/unet-pocket-2d"] > run.data.metrics["validation_dice/unet-pocket-3d"]


def test_a_fold_has_parameters_metrics_history_and_files(collected):
    root, store, _ = collected
    child = next(run for run in by_kind(store, "fold") if run.data.tags["pocketnet.run_key"] == "unet-pocket-1")
    assert {"arch": "unet", "fold": "1", "recipe": "quick", "seed": "12345", "patch": "32×48×32", "batch": "2",
            "learning_rate": "0.001"}.items() <= child.data.params.items()
    assert {"dataset": "hippocampus", "width": "pocket", "fold": "1", "code": "c0de",
            "commit": "f00d"}.items() <= child.data.tags.items()
    expected = metrics("pocket", 1, shift=-0.004)
    anterior = expected[expected["label"] == "Anterior"]["dice"].mean()
    assert child.data.metrics["dice/Anterior"] == pytest.approx(anterior, abs=1e-5)
    assert child.data.metrics["dice/mean"] == pytest.approx(expected["dice"].mean(), abs=1e-5)
    energies = [child.data.metrics[name] for name in ("energy_kwh", "energy_kwh_per_case")]
    assert energies == pytest.approx([0.25, 0.0001])
    [parent] = [run for run in by_kind(store, "network") if run.data.tags["width"] == "pocket"]
    assert (parent.data.metrics["energy_kwh"], parent.data.tags["energy"]) == (
        0.5, "estimated, CPU time × 10 W per core")
    history = store.client.get_metric_history(child.info.run_id, "validation_dice")
    assert [point.step for point in history] == [20, 40, 60, 80, 100, 120]
    assert [b.timestamp - a.timestamp for a, b in zip(history, history[1:], strict=False)] == [11_000] * 5
    assert history[-1].timestamp == child.info.end_time
    names = {item.path for item in store.client.list_artifacts(child.info.run_id, "records")}
    assert names == {f"records/{name}" for name in ("plan.json", "labels.json", "history.csv", "system.csv",
                                                    "provenance.json")}
    assert store.client.list_artifacts(child.info.run_id, "overlays")
    assert (root / "mlflow" / "artifacts" / "hippocampus" / child.info.run_id).is_dir()


def test_the_parent_has_the_means_over_all_folds(collected):
    _, store, _ = collected
    parent = next(run for run in by_kind(store, "network") if run.data.tags["width"] == "full")
    dice = [metrics("full", fold)["dice"].mean() for fold in (0, 1)]
    assert parent.data.metrics["dice/mean"] == pytest.approx(sum(dice) / 2, abs=1e-5)
    assert parent.data.tags["folds"] == "0, 1"


def test_the_comparison_has_differences_and_the_page(collected):
    _, store, _ = collected
    run = by_kind(store, "comparison")[0]
    assert run.data.metrics["difference/dice/mean/unet-pocket"] == pytest.approx(-0.004, abs=0.002)
    assert {item.path for item in store.client.list_artifacts(run.info.run_id)} == {"comparison", "figures",
                                                                                    "report.html"}
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("**The pocket U-Net is as accurate as the full U-Net.**")
    page = unquote(re.search(r"\(#/compare-runs\?runs=(.*?)&", note)[1])
    assert set(json.loads(page)) == {parent.info.run_id for parent in by_kind(store, "network")}


def test_the_best_network_by_validation_has_an_alias(collected, tmp_path):
    root, store, _ = collected
    version = store.client.get_model_version_by_alias("hippocampus", "best")
    keys = {run.info.run_id: run.data.tags["pocketnet.run_key"] for run in by_kind(store, "fold")}
    assert keys[version.run_id] == version.tags["pocketnet.run_key"]
    assert (Path(unquote(version.source.removeprefix("file://"))) / "MLmodel").is_file()
    assert float(version.tags["pocketnet.validation_score"]) == pytest.approx(1 - 0.8 / 6, abs=1e-4)
    other = write_run(tmp_path / "run", widths=("full",), folds=(3,))
    history = other / "models/unet-full/fold3/history.csv"
    history.write_text(history.read_text().replace(f"{1 - 0.8 / 6:.4f}", "0.9900"))
    fake_run.record_anew(history)
    shutil.copytree(root / "mlflow", tmp_path / "mlflow")
    later = Store(f"sqlite:///{tmp_path}/mlflow/mlflow.db")
    collect(read_run([other / "models"]), later)
    assert later.client.get_model_version_by_alias("hippocampus", "best").tags["pocketnet.run_key"] == "unet-full-3"
    collect(read(root), later)
    assert later.client.get_model_version_by_alias("hippocampus", "best").tags["pocketnet.run_key"] == "unet-full-3"
    assert len(later.client.search_model_versions("name = 'hippocampus'")) == 2


def test_collecting_again_changes_nothing(collected):
    root, _, _ = collected
    before = rows(root / "mlflow" / "mlflow.db")
    outcome = collect(read(root), Store(f"sqlite:///{root}/mlflow/mlflow.db"), extras(root))
    assert (outcome.new, outcome.known) == (0, 7)
    assert rows(root / "mlflow" / "mlflow.db") == before


def test_a_later_fold_and_new_metrics_are_added_to_what_is_there(tmp_path, empty):
    root = write_run(tmp_path, widths=("pocket",), folds=(0,))
    store = new_store(root, empty)
    collect(read(root), store)
    write_run(tmp_path, widths=("pocket",), folds=(0, 1))
    write_evaluation(root / "evaluation" / "unet-pocket" / "fold0", metrics("pocket", 0, shift=-0.1))
    outcome = collect(read(root), store)
    assert (outcome.new, outcome.known) == (2, 2)  # the fold and its comparison; the parent and the first fold
    assert len(by_kind(store, "network")) == 1
    first = next(run for run in by_kind(store, "fold") if run.data.params["fold"] == "0")
    assert first.data.metrics["dice/mean"] == pytest.approx(metrics("pocket", 0, shift=-0.1)["dice"].mean(), abs=1e-5)


def test_a_collection_that_was_killed_is_completed(tmp_path, empty, monkeypatch):
    root = write_run(tmp_path, folds=(0,))
    store = new_store(root, empty)
    calls = []

    def die(self, run, files):
        calls.append(run)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Store, "log_files", die)
        collect(read(root), store)
    assert collect(read(root), store).new == 3
    assert len(by_kind(store, "fold")) == 2
    assert store.client.list_artifacts(calls[0], "records")
    assert len(store.client.get_metric_history(calls[0], "loss")) == 6


def test_another_plan_is_another_parent(tmp_path, empty):
    root = write_run(tmp_path, widths=("pocket",), folds=(0, 1))
    store = new_store(root, empty)
    edit_json(root / "models" / "unet-pocket" / "fold1" / "plan.json", seed=7)
    collect(read(root), store)
    assert len(by_kind(store, "network")) == 2


def test_undefined_metrics_are_not_logged():
    frame = metrics("pocket", cases=2)
    frame.loc[frame["label"] == "Anterior", "dice"] = float("nan")
    values = aggregate(frame)
    assert "dice/Anterior" not in values and "hd95_mm/Anterior" in values and "dice/mean" in values


@pytest.mark.parametrize("uri", ["nonsense", "sqlite:///", "http://", "results/mlflow.db", "", "file:///tmp/x"])
def test_what_is_no_tracking_address_is_refused(uri):
    with pytest.raises(UsageError, match="not a tracking address"):
        sqlite_file(uri)


def test_a_path_that_sqlite_would_cut_is_refused():
    with pytest.raises(UsageError, match="question mark"):
        sqlite_file("sqlite:////data/what?/mlflow.db")


def test_addresses():
    assert str(sqlite_file("sqlite:////data/mlflow.db")) == "/data/mlflow.db"
    assert sqlite_file("sqlite:///mlflow.db").is_absolute()
    assert sqlite_file("http://127.0.0.1:5000") is None


def test_hostile_labels_and_datasets_keep_their_own_metrics_and_places(tmp_path, empty):
    """MLflow itself takes them all, and each label's value comes back under its own name."""
    names = [name for name in NAMES if text_fault(name) is None]
    root = tmp_path / "O'Brien's $(date) ü #1"
    root.mkdir()
    store = new_store(root, empty)
    assert safe("Ödem (links)").startswith("Ödem _links_") and metric("dice", "肿瘤") == "dice/肿瘤"
    run, _ = store.run(store.experiment("../../=<b> $(date)"), "x' OR '1'='1", "a 'run'", "fold")
    values = {metric("dice", name): float(number) for number, name in enumerate(names)}
    store.add(run, parameters={}, tags={"dataset": names[0]}, metrics=values)
    assert store.client.get_run(run).data.metrics == values and len(values) == len(names)
    store.log_history(run, [{"epoch": 1, "step": 1, "seconds": 1.0, "a:=b%/..": 0.5}], 0)
    artifacts = store.client.get_experiment(store.client.get_run(run).info.experiment_id).artifact_location
    assert Path(unquote(artifacts.removeprefix("file://"))).resolve().parent == (root / "mlflow/artifacts").resolve()
    assert store.run(store.experiment("../../=<b> $(date)"), "x' OR '1'='1", "again", "fold") == (run, False)


def test_the_experiment_says_how_to_compare(collected):
    _, store, _ = collected
    assert "Compare" in store.client.get_experiment_by_name("hippocampus").tags["mlflow.note.content"]


def test_what_a_training_took_is_a_system_metric(collected):
    _, store, _ = collected
    child = by_kind(store, "fold")[0]
    points = store.client.get_metric_history(child.info.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in points] == [20, 40, 60, 80, 100, 120] and points[0].value == 150
    assert "system/process_memory_mib" in child.data.metrics
    assert "system/device_memory_mib" not in child.data.metrics  # not measured


def test_the_dataset_is_known_by_its_checksum(collected):
    _, store, _ = collected
    for kind in ("network", "fold", "comparison"):
        for run in by_kind(store, kind):
            (found,) = store.client.get_run(run.info.run_id).inputs.dataset_inputs
            assert found.dataset.name == "hippocampus" and '"cases": 2' in found.dataset.profile
    assert len(found.dataset.digest) <= 36


def test_each_fold_has_one_model_that_is_code_and_files(collected):
    _, store, _ = collected
    for child in by_kind(store, "fold"):
        run = store.client.get_run(child.info.run_id)
        (model,) = run.outputs.model_outputs
        logged = store.client.get_logged_model(model.model_id)
        assert logged.status == "READY" and logged.source_run_id == child.info.run_id
        files = {path.name for path in local(logged.artifact_location).rglob("*")}
        assert {"MLmodel", "pyfunc.py", "model.keras", "input_example.json"} <= files
        assert not {name for name in files if name.endswith((".pkl", ".pickle"))} and "last.keras" not in files


def local(uri):
    return Path(uri.removeprefix("file://"))
