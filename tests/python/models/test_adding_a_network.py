"""Adding a backbone is as small as docs/adding-a-network.md says: its code is run as it stands there."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pocketnet.contracts.tasks import TASKS
from pocketnet.models import blocks
from pocketnet.models.build import build
from pocketnet.models.counts import count
from pocketnet.models.network import ARCHITECTURES, Network

ROOT = Path(__file__).parents[3]


@pytest.fixture
def preresnet(monkeypatch):
    """The document's backbone, registered for a test."""
    document = (ROOT / "docs" / "adding-a-network.md").read_text()
    (code,), (entry,) = (re.findall(rf"```{kind}\n(.*?)```", document, re.DOTALL) for kind in ("python", "json"))
    names = dict(vars(blocks))
    exec(code, names)
    monkeypatch.setattr(blocks, "preactivation_block", names["preactivation_block"], raising=False)
    for name, value in json.loads(entry).items():
        monkeypatch.setitem(ARCHITECTURES, name, value)
    return "preresnet"


def test_the_documents_backbone_builds_counts_and_trains(preresnet):
    from pocketnet.training.compile import compile_for_training

    pocket, full = (Network(arch=preresnet, width=width, depth=2, feature_maps=4) for width in ("pocket", "full"))
    # Per block with n maps from m: shortcut mn+n, norms 4m+4n, convolutions 27mn+n and 27nn+n
    def block(m, n):
        return (m * n + n) + 4 * (m + n) + (27 * m * n + n) + (27 * n * n + n)

    def up(m, n):
        return 8 * m * n + n

    def total(a, b, c):
        return (block(1, a) + block(a, b) + block(b, c) + up(c, b) + block(2 * b, b) + up(b, a) + block(2 * a, a)
                + 2 * a + 2)

    assert (count(pocket), count(full)) == (total(4, 4, 4), total(4, 8, 16))
    model = build(pocket, (8, 8, 8))
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 8, 1)).astype(np.float32)
    compile_for_training(model, "l2_dice", 0.01, None)
    before = [np.array(w) for w in model.get_weights()]
    assert np.isfinite(float(model.train_on_batch(image, (image[..., 0] > 0).astype(np.uint8))))
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    assert build(Network(arch=preresnet, dimensions=2, depth=1, feature_maps=4, convolution="separable", classes=3),
                 (8, 8)).output_shape == (None, 8, 8, 3)


def test_the_pipeline_reads_the_same_registration():
    schema = json.loads((ROOT / "nextflow_schema.json").read_text())["$defs"]["training"]["properties"]["arch"]
    assert json.loads((ROOT / schema["items"]["x-keys-of"]).read_text()) == ARCHITECTURES
    assert {entry["task"] for entry in ARCHITECTURES.values()} == set(TASKS)
