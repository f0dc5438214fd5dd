"""Mean activations of the last layer: of what the head reads, over every window of a case."""

import numpy as np
import pytest
import tiny
from pocketnet.errors import UsageError
from pocketnet.inference import activations
from pocketnet.models.build import build
from pocketnet.models.ensemble import mean_of
from pocketnet.preprocessing import store
from pocketnet.preprocessing.case import prepare_label

CONSTANTS = tiny.splits().folds[0].intensity


@pytest.mark.parametrize("shape, windows", [((20, 12, 24), 2 * 1 * 2), ((16, 16, 16), 1), ((40, 16, 10), 4)])
def test_means_are_of_the_heads_input_over_all_windows(tmp_path, shape, windows):
    image, label = tiny.volume(0, shape)
    prepared = tiny.prepared(image)
    store.write_store(tmp_path, "case_0", ["t1", "t2"], prepared, prepare_label(label, prepared), {"ball": 1})
    plan = tiny.plan()
    network = build(plan.network.network("unet", "pocket"))
    opened = store.open_stores([tmp_path])["case_0"]
    found = list(activations.patches(opened, plan, CONSTANTS))
    assert len(found) == windows and all(patch.shape == (1, 16, 16, 16, 2) for patch in found)
    means, count = activations.channel_means(activations.last_layer(network), found)
    assert count == windows and means.shape == (4,) and (means >= 0).all()

    # The head is linear in what it reads: its mean output tells whether these are the means of its input.
    head = network.get_layer("logits")
    logits = activations.last_layer(network)(np.concatenate(found))
    kernel, bias = head.get_weights()
    np.testing.assert_allclose(means @ kernel.reshape(4, 3) + bias,
                               np.asarray(head(logits)).mean(axis=(0, 1, 2, 3)), rtol=1e-4, atol=1e-5)


def test_an_ensemble_has_no_single_last_layer():
    with pytest.raises(UsageError, match="no single last layer"):
        activations.last_layer(mean_of([build(tiny.plan().network.network("unet", "pocket")) for _ in range(2)]))
