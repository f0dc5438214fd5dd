"""The page's libraries come from the registry that npm would use, and only as they are locked."""

import base64
import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pocketnet.errors import DataError, UsageError
from pocketnet.viewer import packages


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home without settings, and no registry in the environment."""
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / ".npmrc"))
    return tmp_path


def test_the_registry_is_npms(home, monkeypatch):
    assert packages.registry().startswith("http") and packages.registry().endswith("/")
    (home / ".npmrc").write_text('fund=false\nregistry = "https://mirror.example/npm"\n@niivue:registry=https://own.example\n')
    assert packages.registry() == packages.registry("@other") == "https://mirror.example/npm/"
    assert packages.registry("@niivue") == "https://own.example/"
    monkeypatch.setenv("npm_config_registry", "https://given.example/")
    assert packages.registry() == "https://given.example/"


@pytest.fixture
def served(home, monkeypatch):
    """A registry on this machine with one package; returns what locks it, correctly or with a fault."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        entry = tarfile.TarInfo("package/dist/a.js")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    content = archive.getvalue()

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self):
            known = self.path == "/@scope/thing/-/thing-1.2.3.tgz"
            self.send_response(200 if known else 404)
            self.end_headers()
            if known:
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(packages, "FILES", home / "files")
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()

    def lock(name="@scope/thing", inside="dist/a.js", checksum=integrity):
        package = packages.Package(name, "1.2.3", checksum, "MIT", "2026 Somebody", "https://example.org",
                                   {inside: "b.js"})
        monkeypatch.setattr(packages, "locked", lambda: [package])

    yield lock
    server.shutdown()


def test_files_are_taken_from_the_archive(served):
    served()
    with pytest.raises(UsageError, match="make viewer"):
        packages.content("b.js")
    packages.fetch()
    assert packages.is_there() and packages.content("b.js") == b"hello"
    served(checksum="sha512-another version")
    assert not packages.is_there()


@pytest.mark.parametrize(("change", "words"), [
    ({"checksum": "sha512-AAAA"}, "differs from the lock file"), ({"name": "@scope/other"}, "HTTP Error 404"),
    ({"inside": "dist/c.js"}, "has no file dist/c.js")])
def test_what_differs_is_refused_and_nothing_is_kept(served, change, words):
    served(**change)
    with pytest.raises(DataError, match=words):
        packages.fetch()
    assert not packages.FILES.exists() and not list(packages.HERE.glob(".part-*"))


def test_setup_goes_on_without_a_registry(served, monkeypatch, capsys):
    served(name="@scope/other")
    monkeypatch.setattr("sys.argv", ["packages", "--try"])
    packages.main()
    assert "make viewer tries again" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["packages"])
    with pytest.raises(SystemExit, match="were not downloaded"):
        packages.main()


def test_every_package_is_locked_with_its_licence():
    for package in packages.locked():
        assert package.integrity.startswith("sha512-") and len(base64.b64decode(package.integrity[7:])) == 64
        assert package.licence in ("MIT", "BSD-2-Clause") and package.copyright and package.files
