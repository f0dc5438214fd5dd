"""Firefox as Debian has it, by WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/): what the tests need of it."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

PREFERENCES = {"browser.download.folderList": 2, "browser.download.useDownloadDir": True,
               "browser.download.always_ask_before_handling_new_types": False,
               "browser.shell.checkDefaultBrowser": False,
               "datareporting.policy.dataSubmissionEnabled": False, "app.update.enabled": False}
PATIENCE_S = 600


class Page:
    """A page of a Firefox, and what it asked for and complained of."""

    def __init__(self, socket: ClientConnection, downloads: Path):
        self._socket, self._number, self.downloads = socket, 0, downloads
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self._context = self.call("browsingContext.getTree")["contexts"][0]["context"]

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a command; events that arrive before its answer are noted."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._socket.recv(PATIENCE_S))
            if said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.complaints.append(said["params"]["text"])
            elif said.get("method") == "network.beforeRequestSent":
                self.asked.append(said["params"]["request"]["url"])
            elif said.get("id") == self._number:
                assert said["type"] == "success", said
                return said["result"]

    def open(self, path: Path) -> None:
        self.call("browsingContext.navigate", context=self._context, url=path.as_uri(), wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression (a promise's, if it is one)."""
        found = self.call("script.evaluate", expression=expression, target={"context": self._context},
                          awaitPromise=True)
        assert found["type"] == "success", found["exceptionDetails"]["text"]
        return found["result"].get("value", found["result"])

    def choose(self, selector: str, *files: Path) -> None:
        """Choose files in an input element."""
        found = self.call("browsingContext.locateNodes", context=self._context,
                          locator={"type": "css", "value": selector})
        self.call("input.setFiles", context=self._context, element={"sharedId": found["nodes"][0]["sharedId"]},
                  files=[str(file) for file in files])

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        self.evaluate("new Promise(done => { const look = () => "
                      f"({condition}) ? done(true) : setTimeout(look, 100); look(); }})")

    def picture(self, path: Path) -> None:
        found = self.call("browsingContext.captureScreenshot", context=self._context)
        path.write_bytes(base64.b64decode(found["data"]))

    def downloaded(self, name: str) -> Path:
        """Return a file of this name once it has been downloaded."""
        end = time.monotonic() + PATIENCE_S
        while not (self.downloads / name).is_file() or list(self.downloads.glob("*.part")):
            assert time.monotonic() < end, list(self.downloads.iterdir())
            time.sleep(0.1)
        return self.downloads / name


@contextmanager
def firefox(program: str, folder: Path) -> Iterator[Page]:
    """Start Firefox with a new profile in a folder, and yield its page."""
    downloads, profile = folder / "downloads", folder / "profile"
    downloads.mkdir()
    profile.mkdir()
    wanted = PREFERENCES | {"browser.download.dir": str(downloads)}
    (profile / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
                                             for name, value in wanted.items()))
    command = [program, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            port = profile / "WebDriverBiDiServer.json"
            end = time.monotonic() + PATIENCE_S
            while not port.is_file():
                assert process.poll() is None and time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.1)
            found = json.loads(port.read_text())
            with connect(f"ws://{found['ws_host']}:{found['ws_port']}/session", max_size=None, proxy=None) as socket:
                yield Page(socket, downloads)
        finally:
            process.terminate()
