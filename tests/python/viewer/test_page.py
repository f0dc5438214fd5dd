"""How scripts, networks and words become one file."""

import base64
import gzip
import hashlib
import json
import re

import pytest
from pocketnet.viewer import packages
from pocketnet.viewer.page import module, page

WORDS = {"title": "Segment <b>", "subtitle": "s", "invitation": "i", "expected": "e", "about": "<dt>a</dt><dd>b</dd>"}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A page with small libraries in place of the real ones."""
    monkeypatch.setattr(packages, "FILES", tmp_path)
    for name in (file for package in packages.locked() for file in package.files.values()):
        (tmp_path / f"{name}{packages.PACKED}").write_bytes(gzip.compress(f"/* {name} </script> */".encode()))
    (tmp_path / "versions").write_text(packages._versions())
    return page({"name": "</script><script>alert(1)</script>"}, [b"one", b"two"], WORDS)


@pytest.mark.parametrize("name", ["worker.js", "page.js"])
def test_a_module_has_each_script_once_after_what_it_imports(name):
    source = module(name)
    assert not re.search(r"^(import|export)\b", source, re.MULTILINE)
    defined = re.findall(r"^(?:async )?(?:function\*? |const |class )(\w+)", source, re.MULTILINE)
    assert len(defined) == len(set(defined)), "two scripts define the same name"


def test_nothing_breaks_out_of_its_element(made):
    assert "<title>Segment &lt;b&gt;</title>" in made and "{{" not in made
    assert json.loads(re.search(r'id="model">(.*?)</script>', made)[1])["name"].startswith("</script>")
    assert made.count("</script>") == made.count("<script") == 10


def test_only_its_own_scripts_run(made):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', made)[1]
    scripts = re.findall(r"<script(?: type=\"module\")?>(.*?)</script>", made, re.DOTALL)
    assert len(scripts) == 2 and policy.startswith("default-src 'none'; ")
    for script in scripts:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert "connect-src" not in policy and "http" not in policy


def test_networks_are_packed_in_order(made):
    for number, content in enumerate([b"one", b"two"]):
        packed = re.search(rf'id="network{number}">(.*?)</script>', made)[1]
        assert gzip.decompress(base64.b64decode(packed)) == content
