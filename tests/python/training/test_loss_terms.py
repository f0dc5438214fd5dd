"""The terms that compare a channel as a whole, against NumPy and SciPy, in each form of a loss."""

import numpy as np
import pytest
from pocketnet.contracts.labels import Label
from pocketnet.training import targets
from scipy import ndimage

LABELS = [Label(letter, value, (value,)) for value, letter in enumerate("abc", 1)]
NEW = ["tversky", "focal_tversky", "tversky_cross_entropy", "dice_cross_entropy_boundary"]


def sample(shape=(2, 6, 7, 8)):
    rng = np.random.default_rng(5)
    return rng.integers(0, 4, shape), rng.dirichlet([1] * 4, shape).astype(np.float32)


def tversky(true, found):
    shared = (true * found).sum()
    return 1 - shared / (shared + 0.3 * ((1 - true) * found).sum() + 0.7 * (true * (1 - found)).sum())


def boundary(true, found):
    inside = true > 0
    padded = [np.pad(mask, 9, constant_values=1) for mask in (inside, ~inside)]  # nothing lies beyond the patch
    depth, height = (ndimage.distance_transform_cdt(mask, "chessboard") for mask in padded)
    signed = np.where(inside, -depth[(slice(9, -9),) * true.ndim], height[(slice(9, -9),) * true.ndim])
    return (np.clip(signed, -5, 5) / 5 * (found - true)).mean()


def channels(shape=(2, 6, 7, 8)):
    classes, found = sample(shape)
    classes[:, :3] = 0  # some depth
    return np.eye(4, dtype=np.float32)[classes], found


@pytest.mark.parametrize("name, by_hand", [
    ("tversky", tversky), ("focal_tversky", lambda *pair: tversky(*pair) ** 0.75), ("boundary", boundary)])
@pytest.mark.parametrize("shape", [(2, 6, 7, 8), (1, 9, 8)])
def test_a_term_is_what_its_source_says(name, by_hand, shape):
    from pocketnet.training import loss_terms

    true, found = channels(shape)
    expected = [[by_hand(true[i, ..., c].astype(float), found[i, ..., c].astype(float)) for c in range(4)]
                for i in range(len(true))]
    term = getattr(loss_terms, name)
    np.testing.assert_allclose(np.asarray(term(loss_terms.Compared(true, found, None))), expected, rtol=1e-4)
    np.testing.assert_allclose(np.asarray(term(loss_terms.Compared(true, true, None))), 0, atol=1e-4)
    assert np.all(np.asarray(term(loss_terms.Compared(true, np.roll(true, 1, axis=-1), None))) <= 1)
    nothing = np.zeros_like(true)
    np.testing.assert_allclose(np.asarray(term(loss_terms.Compared(nothing, nothing, None))), 0, atol=1e-4)


def test_a_missed_voxel_costs_more_than_a_false_one():
    from pocketnet.training import loss_terms

    true = np.zeros((1, 4, 4, 1), np.float32)
    true[0, :2] = 1
    fewer, more = true.copy(), true.copy()
    fewer[0, 0, 0], more[0, 3, 0] = 0, 1
    missed, false = (float(loss_terms.tversky(loss_terms.Compared(true, found, None))[0, 0]) for found in (fewer, more))
    assert missed > 1.5 * false > 0


@pytest.mark.parametrize("name", NEW)
def test_forms_agree_where_everything_is_annotated(name):
    from pocketnet.training.losses import LOSSES, MARGINAL, REGION

    classes, found = sample()
    expected = float(LOSSES[name](classes, found))
    full = np.stack([targets.possible_classes(case, LABELS, None) for case in classes])
    assert float(MARGINAL[name](full, found)) == pytest.approx(expected, rel=1e-5)
    parts = np.stack([targets.regions(case.astype(np.uint8), LABELS, None) for case in classes])
    three = float(REGION[name](parts, found[..., 1:]))
    if "cross_entropy" not in name:
        by_channel = [float(LOSSES[name](classes, found, np.eye(4)[channel])) for channel in (1, 2, 3)]
        assert three == pytest.approx(np.mean(by_channel), rel=1e-4)
    assert float(LOSSES[name](classes, np.eye(4, dtype=np.float32)[classes])) < 0.01 < expected


@pytest.mark.parametrize("name", NEW)
def test_what_nobody_annotated_does_not_count(name):
    from pocketnet.preprocessing.label_maps import IGNORED
    from pocketnet.training.losses import MARGINAL

    classes, found = sample()
    classes[:, :3] = IGNORED
    target = np.stack([targets.possible_classes(case, LABELS, ["b"]) for case in classes])
    other = found.copy()
    other[:, :3] = np.roll(found[:, :3], 1, axis=-1)
    assert float(MARGINAL[name](target, found)) == pytest.approx(float(MARGINAL[name](target, other)), rel=1e-5)


@pytest.mark.parametrize("name", NEW)
def test_its_gradient_leads_to_the_truth(name):
    import keras
    import tensorflow as tf
    from pocketnet.training.losses import LOSSES

    radius = np.linalg.norm(np.indices((12, 12, 12)) - 5.5, axis=0)[None]
    classes = (radius < 5).astype(int) + (radius < 4) + (radius < 2)
    logits = keras.Variable(np.zeros((*classes.shape, 4), np.float32))
    optimizer, values = keras.optimizers.Adam(0.2), []
    for _ in range(20):
        with tf.GradientTape() as tape:
            value = LOSSES[name](classes, keras.ops.softmax(logits))
        optimizer.apply([tape.gradient(value, logits.value)], [logits])
        values.append(float(value))
    assert values[-1] < 0.25 * values[0]
