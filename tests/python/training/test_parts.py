"""Loss, augmentation, sampling and checkpoints, each by itself."""

import shutil
import time
import zipfile
from copy import copy

import numpy as np
import pytest
import tiny
from pocketnet.contracts.plan import Augmentation
from pocketnet.errors import DataError, Stopped
from pocketnet.preprocessing import store
from pocketnet.training import checkpoints
from pocketnet.training.augmentation import augment
from pocketnet.training.run import Choice, train
from pocketnet.training.sampling import PatchSampler, start_around


def reference_l2_dice(label, probabilities):
    """Eq. 4 written out in NumPy: per sample and channel, mean over both."""
    out = []
    for true, predicted in zip(label, probabilities, strict=True):
        for channel in range(predicted.shape[-1]):
            y, p = (true == channel).astype(float), predicted[..., channel]
            out.append(((y - p) ** 2).sum() / ((y**2).sum() + (p**2).sum() + 1e-6))
    return np.mean(out)


@pytest.mark.parametrize("shape", [(2, 5, 4), (3, 4, 5, 6)])
def test_l2_dice_is_equation_4(shape):
    from pocketnet.training.losses import l2_dice

    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, shape).astype(np.uint8)
    probabilities = rng.dirichlet([1, 1, 1], shape).astype(np.float32)
    assert float(l2_dice(label, probabilities)) == pytest.approx(reference_l2_dice(label, probabilities), abs=1e-5)
    perfect = np.eye(3, dtype=np.float32)[label]
    assert float(l2_dice(label, perfect)) == pytest.approx(0, abs=1e-6)
    assert float(l2_dice(label, np.roll(perfect, 1, axis=-1))) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("shape", [(2, 5, 4), (4,)])
def test_cross_entropy_is_minus_log_of_the_true_class(shape):
    from pocketnet.training.losses import cross_entropy

    rng = np.random.default_rng(1)
    label = rng.integers(0, 3, shape).astype(np.uint8)
    probabilities = rng.dirichlet([1, 1, 1], shape).astype(np.float32)
    expected = -np.log(np.take_along_axis(probabilities, label[..., None].astype(int), -1)).mean()
    assert float(cross_entropy(label, probabilities)) == pytest.approx(expected, rel=1e-5)
    # A class held for impossible costs much, not infinity.
    assert np.isfinite(float(cross_entropy(np.array([0]), np.array([[0.0, 1.0]], np.float32))))


def test_dice_cross_entropy_adds_soft_dice_to_cross_entropy():
    from pocketnet.training.losses import LOSSES, cross_entropy

    dice_cross_entropy = LOSSES["dice_cross_entropy"]

    rng = np.random.default_rng(2)
    label = rng.integers(0, 3, (2, 4, 5, 6)).astype(np.uint8)
    probabilities = rng.dirichlet([1, 1, 1], label.shape).astype(np.float32)
    soft = []
    for true, predicted in zip(label, probabilities, strict=True):
        for channel in range(3):
            y, p = (true == channel), predicted[..., channel]
            soft.append(1 - 2 * p[y].sum() / (y.sum() + p.sum()))
    expected = np.mean(soft) + float(cross_entropy(label, probabilities))
    assert float(dice_cross_entropy(label, probabilities)) == pytest.approx(expected, rel=1e-5)
    assert float(dice_cross_entropy(label, np.eye(3, dtype=np.float32)[label])) == pytest.approx(0, abs=1e-5)


def settings(**changes):
    return Augmentation(**({"flip": 0.0, "noise": 0.0, "blur": 0.0} | changes))


def test_flips_move_image_and_label_together():
    image, label = tiny.volume(0)
    marked = image + label[..., None] * np.float32(1000)
    for seed in range(8):
        out, flipped = augment(marked, label, settings(flip=0.5), np.random.default_rng(seed))
        np.testing.assert_array_equal(flipped > 0, out[..., 0] > 900)


def test_noise_and_blur_change_the_image_only():
    image, label = tiny.volume(0)
    noisy, same = augment(image, label, settings(noise=1.0, noise_sd=(0.1, 0.1)), np.random.default_rng(0))
    np.testing.assert_array_equal(same, label)
    assert (noisy - image).std() == pytest.approx(0.1, rel=0.05)
    blurred, _ = augment(image, label, settings(blur=1.0), np.random.default_rng(0))
    assert np.diff(blurred, axis=0).std() < np.diff(image, axis=0).std() and blurred.dtype == np.float32
    unchanged, _ = augment(image, label, settings(), np.random.default_rng(0))
    np.testing.assert_array_equal(unchanged, image)


def sampler(stores, **training):
    return PatchSampler(tiny.plan(**training), stores, ["case_2", "case_3"], [], fold=0)


def test_a_batch_is_a_function_of_its_step(stores):
    one, other = sampler(stores), sampler(stores)
    for step in (5, 1, 5):
        for left, right in zip(one.batch(step), other.batch(step), strict=True):
            np.testing.assert_array_equal(left, right)
    assert not np.array_equal(one.batch(1)[0], one.batch(2)[0])
    streamed = {step: (image, label) for step, image, label in one.stream(3, 7)}
    assert list(streamed) == [3, 4, 5, 6, 7]
    np.testing.assert_array_equal(streamed[6][0], one.batch(6)[0])


def test_cases_smaller_than_the_patch_are_surrounded_by_background(stores):
    image, label = sampler(stores, patch=[32, 16, 16]).batch(1)
    assert image.shape == (2, 32, 16, 16, 2) and label.shape == (2, 32, 16, 16)
    quiet = sampler(stores, patch=[32, 16, 16], augmentation=vars(settings(flip=0.5)) | {})
    image, label = quiet.batch(1)
    assert not image[:, :6].any() and not image[:, 26:].any() and not label[:, :6].any()


@pytest.mark.parametrize("balanced", [None, True])
def test_foreground_patches_have_foreground(stores, balanced):
    centred = sampler(stores, patch=[8, 8, 8], foreground_fraction=1.0, balanced_labels=balanced)
    assert all(one.any() for step in range(5) for one in centred.batch(step)[1])
    places = {centred._random_place(centred.stores[0], np.random.default_rng(seed)) for seed in range(20)}
    assert len({start for _, start in places}) > 10


def test_patches_without_foreground_lie_on_annotated_voxels(stores):
    known = np.array([[2, 2, 2], [16, 8, 20], [10, 6, 12]])
    one = copy(stores["case_2"])
    one.known = known
    anywhere = sampler(stores, patch=[4, 4, 4], foreground_fraction=0.0)
    starts = {anywhere._random_place(one, np.random.default_rng(seed))[1] for seed in range(20)}
    assert starts == {tuple(int(n) for n in voxel - 2) for voxel in known}


def test_modalities_are_dropped_but_never_all(stores):
    image, _ = sampler(stores, batch=16, drop_modality=1.0).batch(1)
    empty = {tuple((~one.any(axis=(0, 1, 2))).tolist()) for one in image}
    assert empty == {(False, False), (True, False), (False, True)}


def test_validation_patches_are_fixed_and_lie_on_the_labels(stores):
    batches = sampler(stores).fixed()
    assert sum(len(image) for image, _ in batches) == 2
    assert all(one.any() for _, label in batches for one in label)
    np.testing.assert_array_equal(batches[0][0], sampler(stores).fixed()[0][0])


def test_error_in_the_thread_names_the_case(stores, monkeypatch):
    monkeypatch.setattr(store.Store, "read_label", lambda *_: 1 / 0)
    with pytest.raises(DataError, match=r"case case_[23] could not be made: ZeroDivisionError"):
        list(sampler(stores).stream(1, 2))


@pytest.mark.parametrize("centre, start", [((0, 0, 0), (0, -2, 0)), ((19, 6, 12), (4, -2, 4)),
                                           ((10, 11, 23), (2, -2, 8))])
def test_patch_around_a_voxel_stays_inside(centre, start):
    assert start_around(centre, (16, 16, 16), (20, 12, 24)) == start


def test_checkpoints_keep_two_and_pass_over_torn_ones(tmp_path):
    arrays = {"model": [np.arange(5.0), np.float32(3)], "optimizer": [np.int64(7)]}
    for step in (1, 2, 3):
        checkpoints.write_checkpoint(tmp_path, step, arrays, {"step": step, "loss_sum": 0.1 + 0.2})
    kept = sorted(tmp_path.glob("step-*.npz"))
    assert [p.name for p in kept] == ["step-00000002.npz", "step-00000003.npz"]
    assert checkpoints.newest_step(tmp_path) == 3 and checkpoints.newest_step(tmp_path / "none") == 0
    found, state = checkpoints.latest(tmp_path)
    assert state == {"step": 3, "loss_sum": 0.1 + 0.2}
    np.testing.assert_array_equal(found["model"][0], np.arange(5.0))
    whole = kept[1].read_bytes()
    for torn in (whole[: len(whole) // 2], b"", whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]):
        kept[1].write_bytes(torn)
        said = []
        assert checkpoints.latest(tmp_path, said.append)[1]["step"] == 2
        assert len(said) == 1 and "step-00000003.npz" in said[0]
    kept[0].write_bytes(b"x")
    assert checkpoints.latest(tmp_path) is None


def test_who_waits_for_another_training_stops_when_the_time_is_up(tmp_path):
    said = []
    with checkpoints.lock(tmp_path), pytest.raises(Stopped), \
            checkpoints.lock(tmp_path, said.append, until=time.monotonic() + 0.1):
        pass
    assert len(said) == 1 and str(tmp_path) in said[0]
    with checkpoints.lock(tmp_path, said.append, until=time.monotonic()):
        pass
    assert len(said) == 1


def test_a_checkpoint_is_never_unpickled(tmp_path):
    path = checkpoints.write_checkpoint(tmp_path, 1, {"model": [np.array([{"evil": 1}], dtype=object)]}, {"step": 1})
    assert zipfile.is_zipfile(path)
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoints.read(path)
    assert checkpoints.latest(tmp_path) is None


def test_a_renamed_member_of_a_checkpoint_is_not_resumed_from(tmp_path):
    """A bit flipped in a member's name, in its header and in the zip directory, exchanges two arrays."""
    for step in (1, 2):
        checkpoints.write_checkpoint(tmp_path, step, {"model": [np.full(3, float(step + n)) for n in range(3)]},
                                     {"step": step})
    newest = tmp_path / "step-00000002.npz"
    newest.write_bytes(newest.read_bytes().replace(b"model/00001", b"model/00003"))
    said = []
    arrays, state = checkpoints.latest(tmp_path, said.append)
    assert state == {"step": 1} and [value[0] for value in arrays["model"]] == [1, 2, 3]
    assert len(said) == 1 and "step-00000002.npz" in said[0] and "using step-00000001.npz" in said[0]
    (tmp_path / "step-00000001.npz").write_bytes(b"torn")
    assert checkpoints.latest(tmp_path, said.append) is None and "training starts anew" in said[-1]


def test_a_training_on_altered_stores_names_all_of_them_before_its_first_step(stores, tmp_path):
    for case in stores.values():
        shutil.copytree(case.folder, tmp_path / "stores" / case.case)
    # The last is a test case, which the training does not read.
    for case, name in (("case_2", "image.b2nd"), ("case_5", "label.b2nd"), ("case_0", "image.b2nd")):
        path = tmp_path / "stores" / case / name
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError) as caught:
        train(tiny.plan(), tiny.splits(), [tmp_path / "stores"], Choice("unet", "pocket", 0), tmp_path / "model",
              tmp_path / "checkpoints")
    assert caught.value.exit_code == 3 and not (tmp_path / "checkpoints").exists()
    assert [problem[:18] for problem in caught.value.problems] == ["case_2: image.b2nd", "case_5: label.b2nd"]
