"""Pictures before training: the unusual is named, what is drawn is what is there, bad input is told."""

import json

import checked
import made
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image
from pocketnet.cli.picture import main
from pocketnet.preprocessing import store
from pocketnet.report import quality


def fingerprint(spacings, medians):
    """A fingerprint of cases with these spacings (mm) and median intensities."""
    cases = {}
    for index, (spacing, median) in enumerate(zip(spacings, medians, strict=True)):
        sample = [float(median + step) for step in range(-20, 21)]
        numbers = {**made.NUMBERS, "median": float(median), "std": 40.0}
        cases[f"c{index}"] = {"shape": [9, 9, 9], "spacing_mm": list(spacing), "intensities": [
            {"modality": name, **numbers, "voxels": 1, "sample": sample} for name in ("t1", "t2")]}
    return made.fingerprint(cases, ("t1", "t2"))


@pytest.mark.parametrize("odd, expected", [((1, 1, 3), []), ((1, 1, 4.6), ["c5"]), ((1, 1, 1.9), ["c5"]),
                                           ((0.5, 1, 3), ["c5"])])
def test_spacings_far_from_the_median_are_unusual(odd, expected):
    found = fingerprint([(1, 1, 3)] * 5 + [odd], [100] * 6)
    assert quality.unusual_spacing(found) == expected


@pytest.mark.parametrize("odd, expected", [(108, []), (122, []), (400, ["c5"]), (-50, ["c5"])])
def test_intensities_far_from_the_others_are_unusual(odd, expected):
    found = fingerprint([(1, 1, 1)] * 6, [96, 98, 100, 102, 104, odd])
    assert quality.unusual_intensity(found, 1) == expected


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return folder, tiny.dataset(folder, cases=15)


def test_the_overview_shows_a_spread_of_cases_and_names_the_unusual(dataset, tmp_path):
    folder, manifest = dataset
    found = fingerprint([(1, 1, 1)] * 14 + [(1, 1, 5)], [100] * 15)
    figure = quality.overview(manifest, found, folder)
    titles = [axis.get_title() for axis in figure.subfigs[0].axes]
    assert titles == ["spacing (mm)\nunusual: c14", "t1, labelled voxels", "t2, labelled voxels"]
    tiles = [axis for axis in figure.subfigs[1].axes if axis.get_title()]
    assert len(tiles) == quality.MOST_CASES
    assert (tiles[0].get_title(), tiles[-1].get_title()) == ("case_0", "case_14")
    image, _ = tiny.volume(0)
    drawn = tiles[0].images[0].get_array()
    assert any(np.array_equal(drawn, image[::-1, :, z, 0].T) for z in range(image.shape[2]))  # right is on the left
    assert {text.get_text() for text in tiles[0].texts} == {"R", "L"}
    quality.save(figure, tmp_path / "overview.png")
    assert Image.open(tmp_path / "overview.png").width > 800


def test_patches_are_those_that_training_draws(tmp_path):
    for index in range(6):
        image, label = tiny.volume(index)
        prepared = tiny.prepared(image)
        store.write_store(tmp_path / "stores", f"case_{index}", ["t1", "t2"], prepared, label, {"ball": 1, "core": 2})
    tiny.plan().write(tmp_path / "plan.json")
    checked.write_json(tmp_path / "splits.json", tiny.splits(), "splits")
    given = [part for name in ("plan", "splits") for part in (f"--{name}", str(tmp_path / f"{name}.json"))]
    outcome = CliRunner().invoke(main, [*given, "--stores", str(tmp_path / "stores"), "--patches", "3", "-o",
                                        str(tmp_path / "patches.png"), "--json"])
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["picture"] == str(tmp_path / "patches.png")
    width, height = Image.open(tmp_path / "patches.png").size
    assert width > height  # three columns of two rows


def test_what_to_draw_must_be_said(tmp_path):
    outcome = CliRunner().invoke(main, ["--plan", "plan.json", "-o", str(tmp_path / "x.png")])
    assert outcome.exit_code == 2 and "--stores" in outcome.stderr
    assert not (tmp_path / "x.png").exists()
