"""`pocket-collect`: a tracking address that is wrong or dead costs a warning, never the run."""

import json
import socket

import pytest
from click.testing import CliRunner
from fake_run import write_run
from pocketnet.cli.collect import main


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    root = write_run(tmp_path_factory.mktemp("run"), folds=(0,))
    (root / "report.html").write_text("<p>page</p>")
    return root


def run(root, uri, *options):
    return CliRunner().invoke(main, [
        "--models", str(root / "models"), "--evaluations", str(root / "evaluation"), "--comparison",
        str(root / "comparison"), "--report", str(root / "report.html"), "--mlflow-uri", uri, *options])


def test_says_where_the_runs_are_and_how_to_open_them(finished, tmp_path):
    uri = f"sqlite:///{tmp_path}/my runs/mlflow.db"
    outcome = run(finished, uri)
    assert outcome.exit_code == 0, outcome.output
    assert "5 runs added" in outcome.stdout
    assert f"mlflow ui --backend-store-uri '{uri}' --host 127.0.0.1" in outcome.stdout
    answer = json.loads(run(finished, uri, "--json").stdout)
    assert (answer["tracked"], answer["new"], answer["known"]) == (True, 0, 5)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("uri", ["nonsense", "http://127.0.0.1:{port}", "sqlite:///{folder}/file/mlflow.db",
                                 "sqlite:///{folder}/file"])
def test_a_bad_address_is_a_warning_that_names_it(finished, tmp_path, uri):
    (tmp_path / "file").write_text("not a database, and long enough to be looked at as one" * 20)
    uri = uri.format(port=free_port(), folder=tmp_path)
    outcome = run(finished, uri, "--json")
    assert outcome.exit_code == 0
    assert "Warning" in outcome.stderr and uri in outcome.stderr
    assert json.loads(outcome.stdout)["tracked"] is False
    assert (finished / "models" / "unet-full" / "fold0" / "provenance.json").is_file()


def test_a_password_in_the_address_is_not_shown(finished):
    outcome = run(finished, f"http://me:secret@127.0.0.1:{free_port()}")
    assert outcome.exit_code == 0
    assert "secret" not in outcome.stderr.split("why:")[0]


def test_nothing_to_collect_is_wrong_usage(tmp_path):
    outcome = CliRunner().invoke(main, ["--models", str(tmp_path)])
    assert outcome.exit_code == 2 and str(tmp_path) in outcome.stderr
