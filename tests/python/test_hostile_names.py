"""Hostile names: refused in one table at check, or in their place and as they are in every output."""

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import fake_run
import made
import nibabel
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hostile import NAMES
from pocketnet import text
from pocketnet.cli import check, compare, report
from pocketnet.contracts.fields import MOST_BYTES, text_fault
from pocketnet.contracts.labels import MEAN, ModelLabels
from pocketnet.datasets import presets
from pocketnet.datasets.folder import CASE_NAME
from pocketnet.errors import DataError
from pocketnet.evaluation import table
from pocketnet.tracking.store import metric

TAKEN = [name for name in NAMES if text_fault(name) is None and name != MEAN]
"""Those that a label, a modality or a dataset may have."""
DRAWN = ["=1+1", "<script>alert(1)</script>", "$\\frac{1}{0}$", "肿瘤", "水肿", "a | b"]
FORMULA = tuple("=+-@\t\r＝＋－＠")


def test_a_contract_takes_a_cases_name_that_stays_in_its_folder(tmp_path):
    for name in NAMES:
        try:
            made.manifest([{"case": name}])
        except DataError as error:
            assert "one plain file name" in str(error) or "bytes" in str(error) or "string" in str(error), name
        else:
            path = tmp_path / f"{name}.nii.gz"
            path.touch()
            assert path.resolve().parent == tmp_path and len(name.encode()) <= MOST_BYTES and name[0] not in "-."


def test_a_contract_takes_a_labels_name_of_one_line():
    assert len(TAKEN) >= 30 and {"肿瘤", "ورم", "O'Brien", "=1+1", "../../etc/passwd"} <= set(TAKEN)
    for name in NAMES:
        labels = {"kind": "labels", "schema_version": 1, "modalities": ["MRI"],
                  "labels": [{"name": name, "value": 1, "source_values": [1]}]}
        if name in (*TAKEN, MEAN):
            assert ModelLabels.parse(labels, "labels.json").labels[0].name == name
        else:
            with pytest.raises(DataError):
                ModelLabels.parse(labels, "labels.json")
    assert not set(TAKEN) & {"a\nb", "\x1b[31mred", "\u202egnp.exe", "\ud800", "\x00", " x "}


def test_check_names_every_bad_name_in_one_table_and_writes_nothing_else(tmp_path):
    """Names of cases, labels and modalities, and the places of files, in a decathlon's index."""
    (tmp_path / "data/imagesTr").mkdir(parents=True)
    (tmp_path / "data/labelsTr").mkdir()
    volumes = {"imagesTr": np.arange(512.0).reshape(8, 8, 8), "labelsTr": np.eye(8, dtype=np.uint8)[None].repeat(8, 0)}
    for name, values in volumes.items():
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / f"data/{name}/whole.nii.gz")
    entries = [{"image": f"imagesTr/{name}.nii.gz", "label": f"labelsTr/{name}.nii.gz"} for name in (*NAMES, "whole")]
    (tmp_path / "data/dataset.json").write_text(json.dumps({
        "modality": {"0": "a\x1b[0m"}, "training": entries,
        "labels": {"0": "background"} | {str(n): name for n, name in enumerate(NAMES, 1)}}))
    preset = json.loads((Path(presets.__file__).parent / "presets.json").read_text())["hippocampus"]
    preset |= {"modalities": None, "label_sets": None, "default_labels": None}
    (tmp_path / "mine.json").write_text(json.dumps(preset))
    done = CliRunner().invoke(check.main, ["--dataset", str(tmp_path / "mine.json"), "--input", str(tmp_path / "data"),
                                           "-o", str(tmp_path / "out")])
    assert done.exit_code == 3 and isinstance(done.exception, SystemExit), done.exc_info
    assert fake_run.written(tmp_path / "out") == ["problems.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mine.json", "out"]
    content = (tmp_path / "out/problems.csv").read_bytes().decode()
    rows = list(text.csv_rows(io.StringIO(content, newline="")))
    cells = [cell for row in csv.reader(io.StringIO(content, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(FORMULA)]
    assert "\x1b" not in done.output
    said = " ".join(" ".join(row.values()) for row in rows)
    for name in NAMES:
        last = name.split("/")[-1]
        if not CASE_NAME.fullmatch(last):
            assert last.encode("utf-8", "backslashreplace").decode() in said or repr(last)[1:-1] in said, name
    assert sum("label " in row["problem"] and "expected one line" in row["problem"] for row in rows) >= 5
    assert not [row for row in rows if "whole" in " ".join(row.values())]
    assert "it stands for the mean" in said and "modality 'a\\x1b[0m'" in said


def test_a_spreadsheet_sees_no_formula_and_a_reader_every_name():
    names = [name for name in NAMES if "\udcff" not in name and "\ud800" not in name]
    content = text.csv_text(["name", "value", "=head"], [[name, -0.5, f"x{name}"] for name in names])
    cells = list(csv.reader(io.StringIO(content, newline="")))
    assert not [cell for row in cells for cell in row if cell.startswith(FORMULA) and cell != "-0.5"]
    back = list(text.csv_rows(io.StringIO(content, newline="")))
    assert [row["name"] for row in back] == names and {row["value"] for row in back} == {"-0.5"} and "=head" in back[0]


def test_markdown_is_text():
    for name in NAMES:
        shown = text.markdown(name)
        assert not re.search(r"<[A-Za-z/!?]|(?<!\\)[|`*$~@]|(?<!\\)\](?=[(\[])|[\n\r]|(?<!\\)://", shown), name


def test_no_two_names_become_one_metric():
    names = [*NAMES, "肿_瘤", "a_b", "a b", "a//b", "x" * 254, metric("a/b")]
    found = [metric("dice", name) for name in names]
    assert len(set(found)) == len(names)
    assert all(re.fullmatch(r"[/\w.\- ]+", one) and len(one) <= 250 for one in found)
    assert not [one for one in found for part in one.split("/") if part.strip(". ") == ""]
    assert metric("dice", "肿瘤") == "dice/肿瘤" and metric("dice", "Anterior") == "dice/Anterior"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pocketnet.tracking.store.digest", lambda name: "0" * 16)
        assert metric("a") == "a"  # what needs no checksum has none


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose labels and dataset have hostile names."""
    root = tmp_path_factory.mktemp("hostile")
    for width in ("full", "pocket"):
        rows = fake_run.metrics(width, cases=2)
        rows = pd.concat([rows[rows["label"] == "Anterior"].assign(label=name) for name in DRAWN])
        rows["dataset"] = "=<script>alert(1)</script> $\\frac$ | `x`"
        fake_run.write_evaluation(root / f"evaluation/unet-{width}/fold0", rows)
    paths = sorted(map(str, root.glob("evaluation/*/*/metrics.csv")))
    done = CliRunner().invoke(compare.main, [*paths, "-o", str(root / "comparison"), "--quiet"])
    assert done.exit_code == 0, (done.output, done.exc_info)
    return root


def test_tables_hold_every_label_as_it_is(run):
    for path in (*run.glob("evaluation/*/*/metrics.csv"), run / "comparison/metrics.csv"):
        assert list(dict.fromkeys(table.read(path)["label"])) == DRAWN
    for path in (run / "comparison").glob("*.csv"):
        with open(path, newline="") as handle:
            assert not [cell for row in csv.reader(handle) for cell in row
                        if cell.startswith(FORMULA) and not re.fullmatch(r"-?[\d.e-]+", cell)]
    page = (run / "comparison/comparison.md").read_text()
    assert "<script" not in page and "<img" not in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 2  # two tables, no row with a cell more


class _Page(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.scripts, self.handlers, self.links = 0, [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.scripts += tag == "script"
        self.handlers += [name for name, _ in attributes if name.startswith("on")]
        self.links += [value for name, value in attributes if name in ("href", "src", "xlink:href")
                       and not value.startswith(("#", "data:"))]


def test_the_report_shows_names_and_runs_none(run, tmp_path):
    def page(*arguments):
        given = [*arguments, "-o", tmp_path / "report.html", "--overwrite"]
        done = CliRunner().invoke(report.main, list(map(str, given)))
        assert done.exit_code == 0, (done.output, done.exc_info)
        return (tmp_path / "report.html").read_text()

    plain = _Page(page("--evaluations", fake_run.write_evaluation(tmp_path / "plain", fake_run.metrics(cases=2))))
    hostile = page("--comparison", run / "comparison", "--evaluations", run / "evaluation", "--figures",
                   tmp_path / "figures")
    found = _Page(hostile)
    assert (found.scripts, found.handlers, found.links) == (plain.scripts, plain.handlers, plain.links)
    assert "&lt;script&gt;alert(1)" in hostile and "肿瘤" in hostile
    drawn = [path for path in (tmp_path / "figures").iterdir() if path.name.startswith("boxes-")]
    assert len(drawn) == 4 * len(DRAWN)  # none over another's
