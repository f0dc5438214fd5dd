"""The page: self-contained, complete, and honest about what is missing."""

import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import checked
import numpy as np
import pandas as pd
import pytest
from fake_run import (
    edit_json,
    energy,
    metrics,
    provenance,
    record_anew,
    write_evaluation,
    write_model,
    write_profile,
    write_run,
)
from pocketnet.evaluation.overlay import draw_overlay
from pocketnet.report import page, resources
from pocketnet.report.content import context
from pocketnet.tracking.records import read_run

VOID = {"meta", "link", "img", "br", "hr", "input"}
THUMBNAILS = 40  # of two networks and two folds with ten cases each


class Checker(HTMLParser):
    """Collects addresses, ids and pictures, and checks that elements nest."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.links, self.ids, self.images, self.text = [], [], [], [], []
        self.feed(text)
        assert not self.stack

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("href", "src", "xlink:href") if name in attributes]
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "img":
            self.images.append(attributes)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        assert self.stack and self.stack[-1] == tag, f"</{tag}> closes {self.stack[-1:]}"
        self.stack.pop()

    def handle_data(self, data):
        self.text.append(data)


def render(root, **options):
    found = {"models": [root / "models"], "evaluations": [root / "evaluation"], "comparison": root / "comparison"}
    return page.render(context(read_run(**(found | options)), command="nextflow run main.nf --dataset hippocampus"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = write_run(tmp_path_factory.mktemp("run"))
    return render(root, profiles=[write_profile(root / "profile.json")])


def test_what_was_decided_is_shown_with_its_reason(tmp_path):
    operations = {"largest_component": True, "smallest_mm3": 0.0, "fill_holes": True}
    write_model(tmp_path / "models" / "unet-pocket" / "fold0", decisions={
        "references": 9, "predictions": 2, "postprocessing": [
            {"label": "Anterior", "operations": operations, "reason": "It raises the Dice.", "dice_before": 0.8,
             "dice_after": 0.9, "tried": [{"operation": "largest component", "harm": 0.0002, "dice": 0.85},
                                          {"operation": "no components below 2 mm³", "harm": 0.7, "dice": None}]}],
        "windows": {"chosen": "large", "reason": "It is as good.", "cases": 2, "tried": [
            {"way": "plan", "dice": 0.8, "worst": 0.0, "limit": 0.0, "cost": 1.0},
            {"way": "large", "dice": 0.7998, "worst": -0.01, "limit": -0.001, "cost": 0.25}]},
        "mirroring": {"chosen": False, "reason": "It gains too little.", "cases": 2, "tried": []}})
    text = " ".join(" ".join(Checker(page.render(context(read_run(models=[tmp_path / "models"])))).text).split())
    assert "Postprocessing of Anterior largest component, holes filled It raises the Dice." in text
    assert "Windows large It is as good. Tried plan: cost 1, validation 0.8, worst case +0, limit +0; " in text
    assert "large: cost 0.25, validation 0.7998, worst case -0.01, limit -0.001" in text
    assert "Mirroring no It gains too little." in text
    assert "largest component: reference −0.0002, validation 0.85; no components below 2 mm³: reference −0.7" in text


def test_what_a_network_came_from_is_shown(tmp_path):
    write_model(tmp_path / "models" / "unet-pocket" / "fold0", start={
        "run_key": "key", "width": "pocket", "steps": 800, "model": "heart", "sha256": "0123456789abcdef" * 4,
        "dataset": "acdc", "taken": 22, "left": ["logits"], "frozen": True})
    what = context(read_run(models=[tmp_path / "models"]))["what"]
    assert dict(what)["Started from"] == (
        "unet pocket, fold 0: heart (pocket, acdc, 800 steps, checksum 0123456789ab); 22 layers taken and frozen; "
        "new: logits")


def test_no_request_leaves_the_page(whole):
    checked = Checker(whole)
    assert all(link.startswith(("#", "data:")) for link in checked.links)
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org)", whole)
    assert len(set(checked.ids)) == len(checked.ids)
    targets = {link[1:] for link in checked.links if link.startswith("#")}
    assert targets <= set(checked.ids)


def test_every_picture_is_described(whole):
    checked = Checker(whole)
    large = [image for image in checked.images if "width" not in image]
    small = [image for image in checked.images if "width" in image]
    assert len(large) == 6 and all(len(image["alt"]) > 40 for image in large)
    assert len(small) == THUMBNAILS == len({image["alt"] for image in small})
    figures = re.findall(r"<svg[^>]*>(.{40})", whole, re.DOTALL)
    assert len(figures) == 11 and all(text.startswith("<title>") for text in figures)


def test_verdict_comes_first_and_everything_is_there(whole):
    text = " ".join(" ".join(Checker(whole).text).split())
    assert text.index("as accurate as the full U-Net") < text.index("What ran")
    for part in ("14.6 times fewer", "Eq. 3", "21.2 times fewer", "50 % less", "nextflow run main.nf", "Anterior",
                 "unet-pocket-1", "arXiv:2104.10745", "1,500 MiB", "1,650 MiB", "32×48×32"):
        assert part in text, part


def test_several_networks_a_fold_are_told(tmp_path):
    root = write_run(tmp_path)
    assert "Networks per fold" not in render(root)
    folder = root / "models" / "unet-full" / "fold0"
    for number, seed in enumerate((12345, 12346), 1):
        record = provenance("full", seed=seed, run_key=f"member-{number}")
        checked.write_json(folder / f"member{number}.provenance.json", record, "provenance")
    record_anew(folder / "provenance.json")
    text = " ".join(" ".join(Checker(render(root)).text).split())
    assert "Networks per fold 2, averaged (seeds 12345, 12346)" in text


def test_the_summary_is_plain_text_with_verdict_costs_and_accuracy(tmp_path):
    root = write_run(tmp_path)
    text = context(read_run([root / "models"], [root / "evaluation"], root / "comparison"))["summary"]
    assert text.startswith("hippocampus: 20 test cases, 2 folds, recipe quick\n\nThe pocket U-Net is as accurate as")
    assert "- Parameters: pocket 387,394, full 5,642,306 (14.6 times fewer)" in text
    assert re.search(r"\n  unet full    0\.8\d+  \[0\.8\d+, 0\.8\d+\]\n  unet pocket  0\.8", text)
    assert max(map(len, text.splitlines())) <= 90 and "<" not in text.replace("p <0.001", "")


def test_many_cases_can_be_searched_and_their_pictures_are_bounded(tmp_path, monkeypatch):
    for width in ("full", "pocket", "capped64"):
        write_evaluation(tmp_path / "evaluation" / width, metrics(width, 0, cases=31))
    run = read_run([], [tmp_path / "evaluation"])
    values = context(run)
    assert values["gallery"]["searchable"] and values["gallery"]["without"] == 0
    means = [np.mean([cell[0] for cell in row["cells"]]) for row in values["gallery"]["rows"]]
    assert len(means) == 31 and means == sorted(means)
    text = page.render(values)
    assert text.count("data:image/webp") == 93 and 'type="search"' in text and 'data-words="case_0_00 fold 0"' in text
    assert 'aria-label="Verdicts of all pairs"' in text
    monkeypatch.setattr("pocketnet.report.gallery.MOST_BYTES", 10 * (tmp_path / (
        "evaluation/full/thumbnails/case_0_00.webp")).stat().st_size)
    values = context(run)
    assert values["gallery"]["without"] == 83 and "83 pictures are omitted" in page.render(values)


def test_text_from_files_is_escaped(tmp_path):
    root = write_run(tmp_path)
    edit_json(root / "models" / "unet-full" / "fold0" / "provenance.json", version="<script>alert(1)</script>")
    assert "<script>alert(1)" not in render(root)


@pytest.mark.parametrize("widths, folds, says", [
    (("pocket",), (0, 1), ["Only one network was run", "No verdict"]),
    (("full",), (0,), ["Only one network was run", "Only one fold"]),
    (("full", "pocket"), (0,), ["Only one fold was run"]),
    (("pocket", "capped64"), (0, 1), ["No full network was run", "No verdict"]),
])
def test_what_was_not_run_is_said(tmp_path, widths, folds, says):
    text = render(write_run(tmp_path, widths, folds))
    Checker(text)
    for part in says:
        assert part in text


def test_parts_may_be_missing_or_damaged(tmp_path):
    root = write_run(tmp_path)
    models = root / "models"
    (models / "unet-full" / "fold0" / "history.csv").unlink()
    (models / "unet-full" / "fold1" / "plan.json").write_text("{")
    (models / "unet-pocket" / "fold0" / "provenance.json").write_text("{}")
    for network in ("unet-full/fold0", "unet-full/fold1", "unet-pocket/fold0"):
        record_anew(models / network / "model.keras")
    (root / "comparison" / "comparison.json").unlink()
    for picture in (root / "evaluation").rglob("*.png"):
        picture.unlink()
    text = render(root)
    Checker(text)
    for part in ("unet full, fold 0: there is no learning history", "This plan is not JSON",
                 "not a valid provenance", "There is no comparison", "There are no pictures"):
        assert part in text, part


@pytest.mark.parametrize("kept", ["models", "evaluation", "comparison"])
def test_one_part_alone_is_enough(tmp_path, kept):
    write_run(tmp_path)
    only = {"models": [], "evaluations": [], "comparison": None}
    only |= {"models": {"models": [tmp_path / "models"]}, "evaluation": {"evaluations": [tmp_path / "evaluation"]},
             "comparison": {"comparison": tmp_path / "comparison"}}[kept]
    Checker(render(tmp_path, **only))


def test_undefined_and_failed_cases(tmp_path):
    write_run(tmp_path)
    rows = metrics("pocket", 0)
    rows.loc[:1, ["dice", "hd95_mm", "asd_mm"]] = float("nan")
    rows.loc[2, "dice"] = 0
    write_evaluation(tmp_path / "evaluation" / "unet-pocket" / "fold0", rows)
    text = render(tmp_path)
    assert "Anterior has Dice 0 in 1 case: case_0_01" in text
    assert not re.search(r"\bnan\b", " ".join(Checker(text.split("<script>")[0] + "</body></html>").text).lower())


def test_a_metric_without_values_has_no_empty_plot(tmp_path):
    write_run(tmp_path)
    for width in ("full", "pocket"):
        for fold in (0, 1):
            write_evaluation(tmp_path / "evaluation" / f"unet-{width}" / f"fold{fold}",
                             metrics(width, fold).assign(nsd_1mm=float("nan")))
    values = context(read_run([tmp_path / "models"], [tmp_path / "evaluation"]))
    assert [len(panels) for _, panels in values["boxes"]] == [3, 3]


def test_no_line_ends_between_a_number_and_its_sign():
    assert page.unbroken("95 % interval, Wilcoxon p 0.750, step 3 of p, 5 mm") == (
        "95\u00a0% interval, Wilcoxon p\u00a00.750, step 3 of p, 5\u00a0mm")


def test_resumed_trainings_are_told(tmp_path):
    write_run(tmp_path)
    edit_json(tmp_path / "models" / "unet-pocket" / "fold0" / "provenance.json", attempts=[
        {"first_step": 0, "last_step": 60, "seconds": 30, "ended": "killed"},
        {"first_step": 60, "last_step": 120, "seconds": 36, "ended": "finished"}])
    assert "unet pocket, fold 0: trained in 2 attempts (killed before)" in render(tmp_path)


def test_hundreds_of_cases_stay_small(tmp_path):
    for width in ("full", "pocket"):
        for fold in range(5):
            write_model(tmp_path / "models" / f"{width}{fold}", width=width, fold=fold)
            write_evaluation(tmp_path / "evaluation" / f"{width}{fold}", metrics(width, fold, cases=80))
    run = read_run([tmp_path / "models"], [tmp_path / "evaluation"])
    text = page.render(context(run))
    assert len(pd.concat([one.rows for one in run.evaluations])) == 1600
    assert len(text) < 1_500_000  # without pictures, of which there are three a network at most, 60 kB each


@pytest.mark.parametrize("seconds, text", [
    (12.4, "12 s"), (200, "3 min 20 s"), (3720, "1 h 02 min"), (59.7, "1 min 00 s")])
def test_durations(seconds, text):
    assert resources.duration(seconds) == text


def test_tables_can_be_copied_in_three_formats(whole):
    text = "".join(Checker(whole).text)
    for part in ("arch,width,parameters,label,metric", r"Anterior & unet & pocket & 0.387 & 20 & ", r"$\pm$",
                 "| Anterior | unet | pocket | 0.387 | 20 |", "@article{celaya2022pocketnet"):
        assert part in text, part


def test_figures_are_files_too(tmp_path):
    values = context(read_run([write_run(tmp_path) / "models"], [tmp_path / "evaluation"], tmp_path / "comparison"))
    files = page.figure_files(values)
    assert sorted(files) == sorted([*(f"learning-{n}.svg" for n in (1, 2, 3)),
                                    *(f"boxes-{label}-{n}.svg" for label in ("Anterior", "Posterior")
                                      for n in (1, 2, 3, 4))])
    for svg in files.values():
        assert "var(--" not in svg and "currentColor" not in svg
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


def test_the_cost_is_told_in_hours_of_what_was_held(tmp_path):
    run = read_run([write_model(tmp_path / "cpu", width="full"),
                    write_model(tmp_path / "gpu", hardware={"cores": 8, "devices": ["gpu:0", "gpu:1"]}, attempts=[
                        {"first_step": 0, "last_step": 120, "seconds": 66.0, "ended": "finished", "devices": 2}])])
    by_width = {model.provenance.width: resources.core_hours(model) for model in run.models}
    assert by_width == pytest.approx({"full": 132 * 2 / 3600, "pocket": 66 * 2 / 3600})


def test_a_learning_curve_that_breaks_off_is_no_number(tmp_path):
    root = write_run(tmp_path)
    history = root / "models" / "unet-pocket" / "fold0" / "history.csv"
    lines = history.read_text().splitlines()
    lines[-1] = "6,120,0.001,nan,nan,nan,66"
    history.write_text("\n".join(lines) + "\n")
    text = " ".join(Checker(render(root).split("<script>")[0] + "</body></html>").text)
    assert not re.search(r"\bnan\b", text.lower())


def test_a_hundred_cases_with_pictures_of_noise_stay_under_ten_megabytes(tmp_path):
    """Noise is what a picture's compression is worst at; a head's volume at 1 mm."""
    shape = (182, 218, 182)
    image = np.random.default_rng(0).normal(500, 100, shape).astype(np.float32)
    masks = [(np.random.default_rng(seed).random(shape) > 0.5).astype(np.uint8) for seed in (1, 2)]
    draw_overlay(tmp_path / "noise.png", image, *masks, (1, 1, 1), "noise")
    for width in ("full", "pocket"):
        for fold in range(5):
            write_model(tmp_path / "models" / f"{width}{fold}", width=width, fold=fold)
            folder = write_evaluation(tmp_path / "evaluation" / f"{width}{fold}", metrics(width, fold, cases=20))
            for picture in folder.rglob("*.png"):
                shutil.copyfile(tmp_path / "noise.png", picture)
    text = page.render(context(read_run([tmp_path / "models"], [tmp_path / "evaluation"])))
    assert text.count("data:image/png") == 6 and len(text) < 10e6


def test_predicted_stands_beside_measured_and_used(whole):
    start = whole.index('aria-label="Resources predicted and used"')
    table = whole[start:whole.index("</table>", start)]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
            for row in re.findall(r"<tr>(<td>.*?)</tr>", table, re.DOTALL)]
    cells = [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in rows]
    assert cells and all(row[2:5] == ["32×48×32", "2", "cpu"] for row in cells)
    assert all(row[11:13] == ["0.600 s", "0.500 s"] and "iB" in row[5] and "iB" in row[7] for row in cells)
    assert [row[1] for row in cells] == sorted(row[1] for row in cells)  # a row a fold


@pytest.mark.parametrize("kwh, text", [(None, "–"), (12.3456, "12.3 kWh"), (0.1, "0.1 kWh"), (0.0456, "45.6 Wh"),
                                       (4.4978e-6, "4.5 mWh"), (0.0, "0 mWh")])
def test_energies_have_readable_units(kwh, text):
    assert resources.kilowatt_hours(kwh) == text


def test_energy_stands_pocket_beside_full_and_says_how_it_was_found(tmp_path):
    root = write_run(tmp_path)

    def shown():
        values = context(read_run([root / "models"], [root / "evaluation"], root / "comparison"))
        facts = {fact["name"]: (fact["reference"], fact["other"], fact["ratio"])
                 for fact in values["verdicts"][0]["facts"] if fact["name"].startswith("Energy")}
        return facts, page.render(values)

    facts, text = shown()
    assert facts == {"Energy per training (estimated)": ("0.5 kWh", "0.25 kWh", "50 % less"),
                     "Energy per case predicted (estimated)": ("0.2 Wh", "0.1 Wh", "50 % less")}
    assert "estimated, CPU time × 10 W per core" in text
    for fold in (0, 1):
        write_model(root / f"models/unet-pocket/fold{fold}", fold=fold, energy=energy(0.25, "rapl"))
    assert "Energy per training (estimated)" in shown()[0]  # the other's is
    for fold in (0, 1):
        write_model(root / f"models/unet-full/fold{fold}", width="full", fold=fold, energy=energy(0.5, "rapl"))
    assert "Energy per training (measured)" in shown()[0] and "measured, RAPL, all programs" in shown()[1]
    write_model(root / "models/unet-full/fold0", width="full", energy=energy(0.5, "rapl") | {"gpu": "unknown"})
    (root / "evaluation/unet-full/fold0/costs.csv").unlink()
    facts, text = shown()
    assert not [name for name in facts if "training" in name] and "GPU unknown" in text
    for width in ("pocket", "full"):
        write_model(root / f"models/unet-{width}/fold0", width=width)
        write_model(root / f"models/unet-{width}/fold1", width=width, fold=1)
    assert not [name for name in shown()[0] if "training" in name] and "Energy of the processor" not in shown()[1]
