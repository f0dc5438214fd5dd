"""Several networks a fold that become one."""

import json

import pytest
from running import Pipeline

pytestmark = pytest.mark.slow


def test_members_of_a_fold_count_as_one_network(clone, made_data, tmp_path):
    pipeline = Pipeline(clone, tmp_path, ("-profile", "test", "--input", str(made_data), "--fold", "0", "--width",
                                          "pocket", "--skip_profile", "--members", "2"), text=True)
    statuses = pipeline.finish()
    steps = [name.split(" ")[0] for name in statuses]
    assert (steps.count("TRAIN"), steps.count("ENSEMBLE"), steps.count("EVALUATE")) == (2, 1, 1)
    whole = pipeline.provenance()
    folder = tmp_path / "results/demo/models/unet-pocket"
    assert [path.name for path in folder.iterdir()] == ["fold0"]
    members = [json.loads((folder / f"fold0/member{n}.provenance.json").read_text()) for n in (1, 2)]
    assert [member["seed"] for member in members] == [12345, 12346]
    assert members[0]["run_key"] != members[1]["run_key"]
    rows = pipeline.metrics()
    assert {(int(row["parameters"]), int(row["steps"]), row["run_key"]) for row in rows} == {
        (2 * members[0]["parameters"], 2 * members[0]["steps"], whole["run_key"])}
    assert "trained, but not evaluated" not in (tmp_path / "results/demo/report.html").read_text()

    statuses = pipeline.finish("-resume")
    assert {name.split(" ")[0] for name, status in statuses.items() if status != "CACHED"} == {"VERSIONS"}
