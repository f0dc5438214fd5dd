"""The model card: what the folder records and what is said besides, and no more."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_run import metrics, write_evaluation, write_model
from pocketnet.cli.card import main
from pocketnet.contracts.splits import Fold, Intensity, Splits

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(tmp_path):
    write_model(tmp_path / "models/unet-pocket/fold0")
    write_model(tmp_path / "models/unet-full/fold0", width="full")
    write_evaluation(tmp_path / "evaluation/unet-pocket/fold0", metrics("pocket", 0))
    names = [f"case_0_{number:02d}" for number in range(10)]
    intensity = (Intensity("MRI", 1, 1, 0, 2),)
    Splits("hippocampus", "by chance", 1, (Fold(0, ("a", "b", "c"), ("d",), tuple(names), intensity),)).write(
        tmp_path / "splits.json")
    return tmp_path


def cards(run, *options):
    return CliRunner().invoke(main, [str(run / "models"), "--metrics", str(
        run / "evaluation/unet-pocket/fold0/metrics.csv"), "--splits", str(run / "splits.json"), *options])


def test_every_model_folder_gets_a_card(run):
    outcome = cards(run, "-o", str(run / "cards"), "--json")
    assert outcome.exit_code == 0, outcome.output
    written = json.loads(outcome.stdout)["cards"]
    assert written == [str(run / f"cards/unet-{width}-fold0.md") for width in ("full", "pocket")]
    full, pocket = ((run / "cards" / f"unet-{width}-fold0.md").read_text() for width in ("full", "pocket"))
    assert "no evaluation was given" in full and "| Anterior | Dice |" in pocket
    for part in ("387,394 parameters. It finds the labels Anterior, Posterior in MRI.",
                 "3 training cases, 1 for validation",
                 "Licence of the data: CC-BY-SA 4.0", "Energy: not recorded", "On 10 test cases", "Worst test case: ca",
                 "With 10 test cases, the intervals are unreliable", "run key `unet-pocket-0`".capitalize()):
        assert part in pocket, part


def test_use_and_licence_are_as_stated(run):
    data = run / "data"
    data.mkdir()
    (data / "dataset.json").write_text('{"licence": "the hospital\'s", "reference": "Our scanner"}')
    only = [str(run / "models/unet-pocket/fold0"), "--input", str(data), "--use", "T1 of *adults*"]
    assert CliRunner().invoke(main, [*only, "-o", str(run / "card.md")]).exit_code == 0
    text = (run / "card.md").read_text()
    for part in ("Licence of the data: the hospital's", "Source: Our scanner", "T1 of \\*adults\\*"):
        assert part in text, part
    assert CliRunner().invoke(main, [*only, "--licence", "CC0", "-o", str(run / "card.md")]).exit_code == 0
    assert "Licence of the data: CC0" in (run / "card.md").read_text()


def test_the_shipped_network_has_its_card(tmp_path):
    """models/README.md points to it; the figures are those of docs/results."""
    results, card = ROOT / "docs/results/hippocampus-best-members", ROOT / "models/hippocampus/fold1.md"
    use = card.read_text().split("## Intended use\n\n")[1].split("\n")[0]
    given = ["--metrics", str(results / "metrics.csv"), "--splits", str(results / "splits.json"), "--use", use]
    outcome = CliRunner().invoke(main, ["hippocampus", *given, "-o", str(tmp_path / "card.md")])
    assert outcome.exit_code == 0, outcome.output
    assert (tmp_path / "card.md").read_text() == card.read_text()
    assert "| Anterior | Dice | 0.8989 | [0.8878, 0.9091] | 46 |" in card.read_text()


def test_one_file_is_not_for_two_models(run):
    outcome = cards(run, "-o", str(run / "card.md"))
    assert outcome.exit_code == 2 and "2 model folders" in outcome.stderr and not (run / "card.md").exists()
