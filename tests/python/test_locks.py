"""The lock files belong together."""

import re
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def pins(path):
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", (ROOT / path).read_text(), re.MULTILINE))


def test_the_cuda_lock_has_what_the_locked_tensorflow_asks_for():
    assert version("tensorflow") == pins("python/requirements.lock")["tensorflow"]
    wanted = [Requirement(text) for text in requires("tensorflow")]
    wanted = {one.name: one.specifier for one in wanted if one.marker and one.marker.evaluate({"extra": "and-cuda"})
              and not one.marker.evaluate({"extra": ""})}
    locked = pins("containers/requirements-cuda.lock")
    assert len(wanted) >= 10 and wanted.keys() <= locked.keys()
    assert not {name for name, specifier in wanted.items() if not specifier.contains(locked[name])}


def test_the_cuda_lock_pins_nothing_of_the_other_one():
    assert not pins("containers/requirements-cuda.lock").keys() & pins("python/requirements.lock").keys()


def test_the_bill_of_materials_is_written_with_hashes_of_its_own():
    text = (ROOT / "containers/requirements-sbom.lock").read_text()
    names = re.findall(r"^[a-z0-9._-]+==\S+", text, re.MULTILINE)
    assert "cyclonedx-bom" in pins("containers/requirements-sbom.lock")
    assert len(re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]) == len(names)
    assert all("--hash=sha256:" in entry for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:])


def test_the_image_for_inference_has_the_versions_that_were_tested():
    tested, inference = (set(re.findall(r"^([a-z0-9._-]+==[^\s\\;]+)", (ROOT / path).read_text(), re.MULTILINE))
                         for path in ("python/requirements.lock", "containers/requirements-infer.lock"))
    assert {line.split("==")[0] for line in inference} >= {"openvino", "numpy", "nibabel"} and inference <= tested
    assert not {line.split("==")[0] for line in inference} & {"tensorflow", "mlflow", "simpleitk"}
