"""`pocket-collect`: a tracking address that is wrong or dead costs a warning, never the run."""

import base64
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

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
    uri = f"sqlite:///{tmp_path}/my runs/me@work/mlflow.db"
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


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
@pytest.mark.parametrize("user", ["me:s3cret", "me", "me:with/s3cret"])
def test_a_password_in_the_address_is_refused_and_not_shown(finished, scheme, user):
    outcome = run(finished, f"{scheme}://{user}@127.0.0.1:{free_port()}")
    assert outcome.exit_code == 2
    assert "MLFLOW_TRACKING_PASSWORD" in outcome.stderr and "s3cret" not in outcome.output


class Refusing(BaseHTTPRequestHandler):
    """A server that keeps what it is sent to log in with and lets nobody in."""

    seen: ClassVar[list[str]] = []

    def do_GET(self):
        self.seen.append(self.headers.get("Authorization", ""))
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass


def test_credentials_go_to_the_server_from_the_environment_and_nowhere_else(finished, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "pseudo.nym")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cret")
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        outcome = run(finished, f"http://127.0.0.1:{server.server_port}", "--json")
        server.shutdown()
    encoded = base64.b64encode(b"pseudo.nym:s3cret").decode()
    assert Refusing.seen and set(Refusing.seen) == {f"Basic {encoded}"}
    assert outcome.exit_code == 0 and json.loads(outcome.stdout)["tracked"] is False
    for secret in ("s3cret", "pseudo.nym", encoded):
        assert secret not in outcome.output


def test_nothing_to_collect_is_wrong_usage(tmp_path):
    outcome = CliRunner().invoke(main, ["--models", str(tmp_path)])
    assert outcome.exit_code == 2 and str(tmp_path) in outcome.stderr
