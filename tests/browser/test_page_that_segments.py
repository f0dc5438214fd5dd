"""The page of `pocket-export --html` in Chromium and Firefox: labels of pocket-infer, exact geometry, no request."""

import csv
import gzip
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from firefox import firefox
from sizes import PAGE_WIDTHS

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("POCKET_TEST_DATA", ROOT.parent / "shared/data"))
HIPPOCAMPUS = ROOT / "models/hippocampus/fold1"
ENDED = "body[data-state=done], body[data-state=failed], body[data-state=asking]"
LEAST_EQUAL, MOST_DICE = 0.9999, 0.001
NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[-+]\d+)?")


def exported(model: Path, output: Path) -> Path:
    if not (ROOT / "python/pocketnet/viewer/files/versions").is_file():
        pytest.skip("the page's libraries are not here: make viewer")
    subprocess.run([ROOT / "bin/pocket-export", "--model", model, "--html", output, "--quiet"], check=True)
    return output


@pytest.fixture(scope="session")
def network(results) -> Path:
    """The small network of the run."""
    return results / "demo/models/unet-pocket/fold0"


@pytest.fixture(scope="session")
def small_page(network, tmp_path_factory) -> Path:
    return exported(network, tmp_path_factory.mktemp("html") / "small.html")


@pytest.fixture(scope="session")
def scan(tmp_path_factory):
    """Writes an image like a head: an ellipsoid of noise in zeros, with any affine and header."""
    folder = tmp_path_factory.mktemp("scans")

    def write(name, affine=None, shape=(30, 26, 22), seed=0, change=lambda header: None, dtype=np.int16):
        axes = np.indices(shape) / np.array(shape)[:, None, None, None] - 0.5
        inside = (axes**2).sum(axis=0) < 0.16
        values = np.random.default_rng(seed).normal(300, 80, shape) + 400 * (axes[0] > 0.1)
        affine = np.diag([5.0, 5.0, 6.0, 1.0]) if affine is None else affine
        image = nib.Nifti1Image((values * inside).astype(dtype), affine)
        change(image.header)
        nib.save(image, folder / name)
        return folder / name

    return write


@pytest.fixture(scope="session")
def inferred(tmp_path_factory):
    """What pocket-infer writes for an image: the label map, and its entry in the JSON."""
    folder = tmp_path_factory.mktemp("inferred")

    def infer(model, image):
        output = folder / f"{image.name.split('.')[0]}.nii.gz"
        ran = subprocess.run([ROOT / "bin/pocket-infer", "--model", model, image, "-o", output, "--quiet", "--json",
                              "--overwrite"], check=True, capture_output=True)
        return output, json.loads(ran.stdout)["cases"][0]

    return infer


@pytest.fixture
def opened(browser):
    """Opens a page; fails where it asks for anything or its script complains."""
    pages = []

    def open_(path, width=1280, **options):
        page = browser.new_context(viewport={"width": width, "height": 900}, **options).new_page()
        page.set_default_timeout(600_000)  # on a busy machine
        page.asked, page.complaints = [], []
        page.context.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(path.as_uri())
        pages.append(page)
        return page

    yield open_
    for page in pages:
        assert page.complaints == []
        assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        page.context.close()


def segment(page, *images):
    page.evaluate("document.body.dataset.state = 'asked'")
    page.set_input_files("#folder" if images[0].is_dir() else "#files", images)
    page.wait_for_selector(ENDED)
    return page.inner_text("#said")


WRITE = """
import sys
from pathlib import Path
from series import write_dicom
write_dicom(*map(Path, sys.argv[1:3]), sys.argv[3])
"""


def dicom(image: Path, folder: Path, number: int = 1) -> Path:
    """An image as a DICOM series."""
    subprocess.run([ROOT / ".venv/bin/python", "-c", WRITE, image, folder, f"1.2.826.0.1.3680043.8.498.{number}"],
                   check=True, env=os.environ | {"PYTHONPATH": f"{ROOT}/tests/python/inference"})
    return folder


def downloaded(page, folder, button="#download"):
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(folder / download.value.suggested_filename)
    return folder / download.value.suggested_filename


def compare(found: Path, expected: Path) -> float:
    """The share of equal voxels; the headers are equal to the byte, but for the description."""
    with gzip.open(found) as one, gzip.open(expected) as other:
        a, b = one.read(), other.read()
    start = {348: 148, 540: 240}[struct.unpack("<i", b[:4])[0]]
    assert a[:start] == b[:start] and a[start + 80: 348] == b[start + 80: 348] and len(a) == len(b)
    x, y = (np.asarray(nib.load(path).dataobj) for path in (found, expected))
    assert len(np.unique(y)) > 1, "nothing is segmented"
    return float((x == y).mean())


def same_words(text, expected):
    """Sentences of a table that differ in no more than the last digits of their numbers; returns them."""
    found = text.split(" | ") if text else []
    assert [NUMBER.sub("0", one) for one in found] == [NUMBER.sub("0", one) for one in expected]
    for sentences in zip(found, expected, strict=True):
        x, y = ([float(number.replace(",", "")) for number in NUMBER.findall(one)] for one in sentences)
        assert x == pytest.approx(y, rel=5e-3, abs=0.11)
    return found


def compare_statement(page, folder, case):
    """The page's table has the volumes, statement and warnings of pocket-infer; returns the flag.

    The networks' probabilities differ by single precision: Dice by at most 0.001, volumes by 0.1 %, reasons in no more
    than the last digit of a number.
    """
    said = case["statement"]
    with open(downloaded(page, folder, "#table"), newline="") as handle:
        rows = {row["label"]: row for row in csv.DictReader(handle)}
    assert list(rows) == list(case["volumes"]) == list(said["labels"])
    for name, one in said["labels"].items():
        row = rows[name]
        assert float(row["volume_ml"]) == pytest.approx(case["volumes"][name]["volume_ml"], rel=1e-3, abs=1e-6)
        for column, value, most in (
                *((name, one[name], {"abs": MOST_DICE}) for name in ("expected_dice", "dice_low")),
                *((name, ml, {"rel": 1e-3, "abs": 1e-6}) for name, ml in zip(
                    ("volume_low_ml", "volume_high_ml"), one["volume_ml"] or (None, None), strict=True))):
            assert (row[column] == "") == (value is None)
            assert value is None or float(row[column]) == pytest.approx(value, **most), column
        assert row["flag"] == said["flag"]
        same_words(row["warnings"], case["warnings"])
        found = same_words(row["reasons"], said["reasons"])
    assert page.locator("#reasons li").all_inner_texts() == found
    return said["flag"]


def test_a_real_case_as_by_pocket_infer(opened, inferred, pictures, tmp_path):
    image = DATA / "Task04_Hippocampus/imagesTr/hippocampus_001.nii.gz"
    if not image.is_file():
        pytest.skip(f"no data at {DATA}")
    page = opened(exported(HIPPOCAMPUS, tmp_path / "hippocampus.html"))
    assert (tmp_path / "hippocampus.html").stat().st_size < 30 * 2**20
    assert segment(page, image) == "hippocampus_001.nii.gz: segmented."
    found, (expected, case) = downloaded(page, tmp_path), inferred(HIPPOCAMPUS, image)
    assert compare_statement(page, tmp_path, case) == "accept" and page.inner_text("#flag") == "Accept"
    assert found.name == "hippocampus_001_seg.nii.gz" and compare(found, expected) >= LEAST_EQUAL
    values = np.asarray(nib.load(found).dataobj)
    rows = [row.split("\t") for row in page.inner_text("#volumes").splitlines()[1:]]
    assert [[name, int(voxels.replace(",", ""))] for name, _, voxels in rows] == [
        ["Anterior", int((values == 1).sum())], ["Posterior", int((values == 2).sum())]]
    assert [float(ml) for _, ml, _ in rows] == pytest.approx([(values == n).sum() / 1000 for n in (1, 2)], abs=5e-4)
    page.set_viewport_size({"width": 1100, "height": 860})
    page.wait_for_timeout(500)
    page.screenshot(path=pictures / "browser.png", full_page=True)
    page.fill("#accept", "0.99")
    assert page.inner_text("#flag") == "Look at this case"
    assert page.locator("#reasons li").count() == 2 and "below your 0.99" in page.inner_text("#reasons")
    page.fill("#reject", "0.99")
    assert page.inner_text("#flag") == "Reject"
    page.fill("#accept", "")  # the calibration's
    page.fill("#reject", "2")
    assert page.inner_text("#flag") == "Accept"
    plain = nib.load(image)
    wide = tmp_path / "wide.nii.gz"
    nib.save(nib.Nifti1Image(np.asarray(plain.dataobj), plain.affine @ np.diag([3, 3, 3, 1])), wide)
    segment(page, wide)
    assert compare_statement(page, tmp_path, inferred(HIPPOCAMPUS, wide)[1]) != "accept"
    assert all("voxel spacing unlike" in page.inner_text(place) for place in ("#reasons", "#warnings"))


TURNED = np.array([[0, 4.6, -1.2, 3], [-5.2, 0.4, 0.9, 80], [0.8, 1.9, 5.5, -40], [0, 0, 0, 1]])
OBLIQUE = np.array([[4.8, 0.84, 1.344, -60], [-1.4, 2.88, 4.608, 12], [0, -4, 3.6, 40], [0, 0, 0, 1]])
SHEARED = np.array([[-5, 0, 0.6, 90], [0.3, -5, 0, 120], [0, 0.4, 6, -72], [0, 0, 0, 1]])


def disagree(header):
    header["qoffset_x"] += 7


def in_metres(header):
    header.set_xyzt_units("meter")
    for name in ("srow_x", "srow_y", "srow_z", "pixdim"):
        header[name][1 if name == "pixdim" else 0: 4] /= 1000
    header["quatern_b"] = header["quatern_c"] = header["quatern_d"] = header["qform_code"] = 0


def scaled(header):
    header.set_slope_inter(0.25, -3)


def no_codes(header):
    header["qform_code"] = header["sform_code"] = 0


@pytest.mark.parametrize(("name", "how"), [
    ("plain.nii.gz", {}), ("turned.nii", {"affine": TURNED}), ("sheared.nii.gz", {"affine": SHEARED}),
    ("flipped.nii.gz", {"affine": np.diag([-5.0, -5.0, 6.0, 1.0]), "dtype": np.float32}),
    ("disagree.nii.gz", {"change": disagree}), ("metres.nii.gz", {"change": in_metres}),
    ("nowhere.nii.gz", {"change": no_codes, "dtype": np.uint8}), ("small.nii.gz", {"shape": (9, 12, 5)}),
])
def test_labels_and_geometry_of_any_image(opened, small_page, network, inferred, scan, tmp_path, name, how):
    image = scan(name, **how)
    page = opened(small_page)
    assert segment(page, image) == f"{name}: segmented."
    expected, case = inferred(network, image)
    assert compare(downloaded(page, tmp_path), expected) >= LEAST_EQUAL
    compare_statement(page, tmp_path, case)


def same_place(found: Path, expected: Path) -> float:
    """The share of voxels with the same label at the same place."""
    one, other = (nib.as_closest_canonical(nib.load(path)) for path in (found, expected))
    assert one.shape == other.shape and np.abs(one.affine - other.affine).max() < 1e-4
    assert len(np.unique(other.dataobj)) > 1, "nothing is segmented"
    return float((np.asarray(one.dataobj) == np.asarray(other.dataobj)).mean())


def test_a_folder_of_dicom_files(opened, small_page, network, inferred, scan, tmp_path):
    """A series, turned against the axes, beside a file that is none; then two series, of which the user chooses one."""
    series = dicom(scan("oblique.nii", affine=OBLIQUE), tmp_path / "series")
    expected, case = inferred(network, series)
    (series / "README.txt").write_text("Not an image.")
    page = opened(small_page)
    assert segment(page, series) == "series_3.nii: segmented."
    assert same_place(downloaded(page, tmp_path), expected) >= LEAST_EQUAL
    compare_statement(page, tmp_path, case)

    (tmp_path / "both").mkdir()
    dicom(scan("plain.nii.gz"), tmp_path / "both/a", 7)
    second = dicom(scan("second.nii.gz", seed=4), tmp_path / "both/b", 8)
    assert segment(page, tmp_path / "both") == "2 series were found. Choose one."
    page.select_option("#channels select", index=1)
    page.click("#channels button")
    page.wait_for_selector("body[data-state=done]")
    assert same_place(downloaded(page, tmp_path), inferred(network, second)[0]) >= LEAST_EQUAL


def test_a_folder_of_dicom_files_that_cannot_be_used(opened, small_page, scan, tmp_path):
    series = dicom(scan("plain.nii.gz"), tmp_path / "series")
    page = opened(small_page)
    sorted(series.iterdir())[10].unlink()
    said = segment(page, series)
    assert "the slices are not evenly spaced: some are missing" in said
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/a.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 400)
    assert segment(page, tmp_path / "broken").startswith("No series of 1 DICOM file can be read")
    assert page.get_attribute("#said", "class") == "bad"


def test_a_network_without_a_calibration_says_so(opened, small_page, scan, tmp_path):
    text = small_page.read_text()
    calibrated = re.search(r'"statement": \{"calibration".*?\}\}, "networks"', text)[0]
    none = '"statement": {"none": "there is no calibration"}, "networks"'
    (tmp_path / "plain.html").write_text(text.replace(calibrated, none))
    page = opened(tmp_path / "plain.html")
    segment(page, scan("unstated.nii.gz"))
    assert page.inner_text("#statement") == "No statement on how far to trust this: there is no calibration."
    with open(downloaded(page, tmp_path, "#table"), newline="") as handle:
        assert {row["flag"] for row in csv.DictReader(handle)} == {""}


def test_big_endian_and_nifti_2(opened, small_page, network, inferred, scan, tmp_path):
    plain = nib.load(scan("endian.nii.gz", TURNED, seed=3))
    big = nib.Nifti1Image(np.asarray(plain.dataobj), plain.affine, plain.header.as_byteswapped(">"))
    nib.save(big, tmp_path / "big.nii")
    nib.save(nib.Nifti2Image(np.asarray(plain.dataobj), plain.affine), tmp_path / "two.nii.gz")
    page = opened(small_page)
    for image in (tmp_path / "big.nii", tmp_path / "two.nii.gz"):
        assert segment(page, image).endswith("segmented.")
        assert compare(downloaded(page, tmp_path), inferred(network, image)[0]) >= LEAST_EQUAL


def test_what_is_no_image_is_said(opened, small_page, scan, tmp_path):
    sound = scan("sound.nii.gz").read_bytes()
    header = gzip.decompress(sound)
    content = {
        "notes.nii": (b"These are notes, not an image. " * 20, "notes.nii: This is not a NIfTI file: it has 620 bytes"),
        "empty.nii": (b"", "it is empty"),
        "slice.nii": (b"\0" * 128 + b"DICM" + b"\0" * 400, "No series of 1 DICOM file can be read"),
        "cut.nii.gz": (sound[: len(sound) // 2], "cut.nii.gz: The gzip stream is damaged or ends too early"),
        "short.nii": (header[:20000], f"its header announces {len(header)} bytes, there are 20000"),
        "colours.nii": (header[:70] + struct.pack("<hh", 128, 24) + header[74:], "found RGB colours"),
        "flat.nii": (header[:352] + b"\1\0" * ((len(header) - 352) // 2), "empty image: every voxel is 1"),
        "wrong.nii.gz": (header, "not a gzip file"),
        "huge.nii": (header[:42] + struct.pack("<hhh", 3000, 3000, 3000) + header[48:], "header announces"),
    }
    page = opened(small_page)
    for name, (data, words) in content.items():
        (tmp_path / name).write_bytes(data)
        said = segment(page, tmp_path / name)
        assert words in said and page.get_attribute("#said", "class") == "bad", said
        assert page.locator("#result").is_hidden()
    two = segment(page, scan("a.nii.gz"), scan("b.nii.gz"))
    assert two == "The model takes 1 modality (T1), found 2 volumes in 2 files."
    assert segment(page, scan("again.nii.gz")) == "again.nii.gz: segmented."


def test_a_volume_that_is_too_large_is_refused_with_what_would_fit(opened, small_page, tmp_path):
    image = nib.Nifti1Image(np.zeros((1, 1, 1), np.uint8), np.eye(4))
    image.header.set_data_shape((1000, 1000, 700))
    with gzip.open(tmp_path / "large.nii.gz", "wb", compresslevel=1) as file:
        image.header.write_to(file)
        file.write(b"\0" * 4)
        for _ in range(700):
            file.write(bytes(10**6))
    page = opened(small_page)
    said = segment(page, tmp_path / "large.nii.gz")
    assert "large.nii.gz: the volume is too large for this page. It has 1000 × 1000 × 700 voxels" in said
    assert "voxels would fit" in said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", PAGE_WIDTHS)
def test_fits_every_width(opened, small_page, scan, pictures, width, scheme):
    page = opened(small_page, width, color_scheme=scheme)
    page.screenshot(path=pictures / f"segment-empty-{width}-{scheme}.png", full_page=True)
    segment(page, scan("look.nii.gz", seed=5))
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.screenshot(path=pictures / f"segment-{width}-{scheme}.png", full_page=True)
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_firefox_segments_it_too(small_page, network, inferred, scan, tmp_path):
    """Without WebGL 2, it shows no image, and says so."""
    program = os.environ.get("FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
    if not program:
        pytest.skip("there is no firefox: apt-get install firefox-esr")
    image = scan("turned.nii.gz", affine=TURNED)
    expected, case = inferred(network, image)
    with firefox(program, tmp_path) as page:
        page.open(small_page)
        page.choose("#files", image)
        page.wait("['done', 'failed'].includes(document.body.dataset.state)")
        assert page.evaluate("document.getElementById('said').innerText") == "turned.nii.gz: segmented."
        place = page.evaluate("document.getElementById('place').innerText")
        assert "cannot show the image (it has no WebGL 2)" in place or " mm · " in place
        shown = page.evaluate("[...document.querySelectorAll('#volumes tbody td')].map(cell => cell.innerText).join()")
        for name, one in case["volumes"].items():
            assert f"{name},{one['volume_ml']:.3f},{one['voxels']:,}" in shown
        page.evaluate("document.getElementById('download').click()")
        assert compare(page.downloaded("turned_seg.nii.gz"), expected) >= LEAST_EQUAL
        assert page.complaints == []
        assert [url for url in page.asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_nothing_can_leave(opened, small_page):
    page = opened(small_page)
    policy = page.get_attribute("meta[http-equiv=Content-Security-Policy]", "content")
    assert policy.startswith("default-src 'none';") and "http" not in policy and "'unsafe-eval'" not in policy
    assert json.loads(page.text_content("#model"))["modalities"] == ["T1"]
    tried = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', error => error.name)")
    assert tried == "TypeError" and "Content Security Policy" in page.complaints.pop(0)
    page.complaints.clear()
