"""Every contract: its schema, its files of before, and that no structural fault of a file ends in a traceback."""

from __future__ import annotations

import json

import jsonschema
import pytest
from contracts.examples import example
from contracts.mutations import mutations
from contracts.reading import REPOSITORY
from pocketnet.contracts import kinds
from pocketnet.contracts.fields import MOST_BYTES
from pocketnet.contracts.manifest import Manifest
from pocketnet.contracts.plan import Plan, Preprocessing
from pocketnet.errors import DataError, PocketError, UsageError

CONTRACTS = sorted(set(kinds.KINDS) - {"device"})
OLD = sorted(path for folder in ("docs/results", "models") for path in (REPOSITORY / folder).rglob("*.json"))


def read(kind, text, where="a file"):
    """What `Contract.read` does, without the file system."""
    from pocketnet.text import parse_json

    try:
        value = parse_json(text)
    except ValueError as error:
        raise DataError(str(error)) from None
    contract = kinds.KINDS[kind]
    return contract.from_json(value, where) if kind == "device" else contract.parse(value, where)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_the_committed_schema_is_the_contracts(kind):
    committed = (kinds.SCHEMAS / f"{kind}.schema.json").read_text(encoding="utf-8")
    assert committed == kinds.text(kind), "run `make schemas`"


def test_no_other_schema_is_committed():
    assert {path.name.removesuffix(".schema.json") for path in kinds.SCHEMAS.iterdir()} == set(kinds.KINDS)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_an_example_is_valid_by_contract_and_schema_and_comes_back_as_it_was(kind):
    value = example(kind)
    schema = kinds.json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(value)
    found = read(kind, json.dumps(value).encode()).to_json()
    header = {} if kind == "device" else {key: value[key] for key in ("schema_version", "kind")}
    assert json.dumps({**header, **found}, sort_keys=True) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("kind", kinds.KINDS)
def test_a_structural_fault_is_a_data_error_or_none(kind):
    valid = 0
    for text in mutations(example(kind), 200, seed=23):
        try:
            found = read(kind, text)
        except PocketError as error:
            assert error.exit_code in (2, 3) and str(error)
            continue
        valid += 1
        json.dumps(found.to_json(), allow_nan=False).encode()
    assert valid < 100  # most are faults


@pytest.mark.parametrize("path", OLD, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_files_of_before_are_read(path):
    value = json.loads(path.read_text(encoding="utf-8"))
    found = kinds.KINDS[value["kind"]].read(path).to_json()
    assert json.dumps(value, sort_keys=True) == json.dumps(
        {key: found[key] if key in found else value[key] for key in value} if value["kind"] != "plan" else
        _merged(found, value), sort_keys=True)


def _merged(found, value):
    """`found`, without the keys that `value` of an earlier version lacks."""
    if isinstance(value, dict):
        return {key: _merged(found[key], item) if key in found else item for key, item in value.items()}
    return found


@pytest.mark.parametrize("change, problem", [
    (lambda v: v["labels"][1]["source_values"].append("3"),
     'labels.1.source_values.2: found "3", expected a valid integer'),
    (lambda v: v.pop("modalities"), "modalities: it is missing"),
    (lambda v: v["preprocessing"].pop("crop"), "preprocessing.crop: it is missing"),
    (lambda v: v["cases"][0].update(imagse=[]), "cases.0.imagse: there is no such key here"),
    (lambda v: v.update(kind="plan"), "kind: found \"plan\", expected 'manifest'"),
    (lambda v: v.update(schema_version=True), "schema_version: found true, expected 1"),
    (lambda v: v.update(dimensions="3"), 'dimensions: found "3", expected 2 or 3'),
    (lambda v: v["preprocessing"].update(spacing_mm=[1, 0, 1]),
     "preprocessing.spacing_mm.1: found 0, expected a finite number > 0"),
    (lambda v: v["preprocessing"].update(spacing_mm={"percentile": 101}),
     "preprocessing.spacing_mm.percentile: found 101, expected a finite number at least 0 at most 100"),
    (lambda v: v.update(modalities=[]), "modalities: found [], expected a list of at least 1 item, not 0"),
])
def test_a_fault_names_the_place_what_was_found_and_what_was_expected(tmp_path, change, problem):
    value = example("manifest")
    change(value)
    (tmp_path / "m.json").write_text(json.dumps(value))
    with pytest.raises(DataError) as caught:
        Manifest.read(tmp_path / "m.json")
    assert problem in caught.value.problems and str(tmp_path / "m.json") in str(caught.value)


@pytest.mark.parametrize("change, problem", [
    (lambda v: v["pairs"][0].update(metric="text"), "one of the metrics dice, hd95_mm, asd_mm, nsd_1mm in every pair"),
    (lambda v: v["networks"][1]["metrics"].pop("nsd_1mm"), "the metrics dice, hd95_mm, asd_mm, nsd_1mm of every"),
    (lambda v: v.update(task="classification"), "the metrics auc, accuracy, sensitivity, specificity of every")])
def test_a_comparison_has_the_metrics_of_its_task(change, problem):
    value = example("comparison")
    change(value)
    with pytest.raises(DataError) as caught:
        kinds.KINDS["comparison"].parse(value, "comparison.json")
    assert problem in "".join(caught.value.problems)


@pytest.mark.parametrize("text, words", [
    (b'{"kind": "manifest", "kind": "manifest"}', "'kind' appears twice"), (b'{"a": NaN}', "NaN is not JSON"),
    (b'{"a": -Infinity}', "not JSON"), (b"\xff\xfe", "byte 0 is not UTF-8"), (b"[" * 10**5, "nested too deeply"),
    (b"", "not JSON"), (b"1" * 5000, "not JSON"), (b"[]", "the whole file: found [], expected an object"),
    (b"\xef\xbb\xbf{}", "not JSON"), (b'{"a": 1e999}', "too large a number"),
])
def test_json_is_read_strictly(tmp_path, text, words):
    (tmp_path / "m.json").write_bytes(text)
    with pytest.raises(DataError, match="manifest") as caught:
        Manifest.read(tmp_path / "m.json")
    assert words in str(caught.value)


def test_a_missing_file_names_the_command_that_writes_it(tmp_path):
    with pytest.raises(UsageError, match="(?s)no manifest here.*pocket-check writes it"):
        Manifest.read(tmp_path / "m.json")
    with pytest.raises(UsageError, match="folder"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "a\x7fb", "-a", " a", "é" * 200,
                                  "\ud800"])
def test_a_cases_name_is_one_plain_file_name(name):
    value = example("manifest")
    value["cases"][0]["case"] = name
    with pytest.raises(DataError, match=r"cases\.0\.case"):
        Manifest.parse(value, "m.json")


@pytest.mark.parametrize("name", ["a", "a b", "é", "日本", "a-b", "a" * MOST_BYTES])
def test_other_names_are_taken(name):
    value = example("manifest")
    value["cases"][0]["case"] = name
    assert Manifest.parse(value, "m.json").cases[0].case == name


def test_preprocessing_is_read_from_a_file_of_this_section_only(tmp_path):
    section = {"crop": "nonzero", "spacing_mm": None, "normalisation": "zscore"}
    for text in mutations({"preprocessing": section}, 200, seed=5):
        (tmp_path / "p.json").write_bytes(text)
        try:
            assert Preprocessing.read(tmp_path / "p.json").crop in ("nonzero", "none")
        except DataError as error:
            assert "p.json" in str(error)


@pytest.mark.parametrize("change, words", [
    (lambda v: v["network"].update(classes=4), "network.classes 3"),
    (lambda v: v["network"].update(channels=1), "network.channels 2"),
    (lambda v: v["labels"][1].update(value=1), "labels with the values 1…2"),
    (lambda v: v["preprocessing"].update(spacing_mm=[1.0, 1.0]), "preprocessing.spacing_mm of 3 numbers"),
])
def test_a_plans_parts_agree(change, words):
    value = example("plan")
    change(value)
    with pytest.raises(DataError, match=words):
        Plan.parse(value, "plan.json")


def test_opening_a_store_and_a_plan_costs_little(tmp_path):
    """CPU time, the best of some; a store of 7 labels with 500 voxels each."""
    import time

    store = example("case")
    store["foreground"] = {f"label {n}": [[n, i % 50, i % 36] for i in range(500)] for n in range(7)}
    for kind, value, most in (("case", store, 0.02), ("plan", example("plan"), 0.005)):
        seconds = []
        for _ in range(20):
            start = time.process_time()
            kinds.KINDS[kind].parse(value, "file")
            seconds.append(time.process_time() - start)
        assert min(seconds) < most
