"""The MLflow UI on a real run, as `make ui` opens it: which view answers "pocket or full?", and that it does."""

import json
import urllib.request

import pytest

AS_USED = """
localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
"""
"""What people choose once: model training (upper left), and no assistant."""


def ask(ui, path, **body):
    """What MLflow's own address answers."""
    request = urllib.request.Request(f"{ui}/api/2.0/mlflow/{path}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def runs(ui):
    """Experiment id, and the runs by kind."""
    (experiment,) = [one for one in ask(ui, "experiments/search", max_results=10)["experiments"]
                     if one["name"] == "demo"]
    found = {}
    for run in ask(ui, "runs/search", experiment_ids=[experiment["experiment_id"]])["runs"]:
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        found.setdefault(tags["pocketnet.kind"], []).append(run["info"])
    return experiment["experiment_id"], found


@pytest.fixture
def page(browser, ui):
    """A page that fails the test when it asks anybody but the UI."""
    made = browser.new_page(viewport={"width": 1600, "height": 1000})
    made.set_default_timeout(120_000)
    made.add_init_script(AS_USED)
    asked = []
    made.on("request", lambda request: asked.append(request.url))
    yield made
    made.close()
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {ui.split("/")[2]}


def test_the_runs_and_the_note(page, ui, runs, pictures):
    experiment, found = runs
    page.goto(f"{ui}/#/experiments/{experiment}/runs")
    for info in found["network"] + found["comparison"]:
        page.get_by_role("link", name=info["run_name"][:12]).first.wait_for()
    page.get_by_text("Pocket or full?").wait_for()
    page.screenshot(path=pictures / "mlflow-runs.png")


def test_the_comparison_page_shows_parameters_and_mean_dice(page, ui, runs, pictures):
    experiment, found = runs
    ids = [info["run_id"] for info in found["network"]]
    page.goto(f"{ui}/#/compare-runs?runs={json.dumps(ids)}&experiments={json.dumps([experiment])}")
    page.get_by_text("Comparing 2 Runs").wait_for()
    for text in ("unet full quick", "unet pocket quick", "dice/mean", "parameters"):
        page.get_by_text(text).first.wait_for()
    page.locator(".parcoords, .js-plotly-plot").first.wait_for()
    page.wait_for_timeout(2000)  # the plot is drawn after its frame
    page.screenshot(path=pictures / "mlflow-comparison.png")


def test_the_comparison_run_says_the_verdict(page, ui, runs, pictures):
    experiment, found = runs
    (info,) = found["comparison"]
    page.goto(f"{ui}/#/experiments/{experiment}/runs/{info['run_id']}")
    page.get_by_text("too few to tell the pocket U-Net from the full U-Net").first.wait_for()
    page.get_by_text("difference/dice/mean/unet-pocket").wait_for()
    page.screenshot(path=pictures / "mlflow-verdict.png")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="The networks side by side").click()
    opened.value.get_by_text("Comparing 2 Runs").wait_for(timeout=120_000)
    opened.value.close()
    page.goto(f"{ui}/#/experiments/{experiment}/runs/{info['run_id']}/artifacts")
    page.get_by_text("report.html").first.wait_for()


def test_a_fold_has_curves_system_metrics_and_its_data(page, ui, runs, pictures):
    experiment, found = runs
    address = f"{ui}/#/experiments/{experiment}/runs/{found['fold'][0]['run_id']}"
    page.goto(address)
    page.get_by_text("Datasets").first.wait_for()
    page.get_by_text("commit").first.wait_for()
    page.goto(f"{address}/model-metrics")
    page.get_by_placeholder("Search metric charts").fill("validation_dice")
    page.get_by_text("validation_dice").first.wait_for()
    page.wait_for_timeout(2000)
    page.screenshot(path=pictures / "mlflow-fold.png")
    page.goto(f"{address}/system-metrics")
    page.get_by_text("cpu_utilization_percentage").first.wait_for()
