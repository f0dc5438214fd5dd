"""Images of a classifier's batches: each once a pass, always the same, and the scores of its validation."""

import numpy as np
import pytest
import tiny
from pocketnet.contracts.plan import Plan
from pocketnet.errors import DataError
from pocketnet.preprocessing import store
from pocketnet.preprocessing.case import Prepared
from pocketnet.preprocessing.intensity import statistics_for
from pocketnet.training.classification import ImageSampler, of_batch, scores
from sklearn.metrics import roc_auc_score

SIZE = (12, 8)
CLASSES = ["covid", "normal", "pneumonia"]


def plan(**training) -> Plan:
    """A plan for images of `SIZE` and two of the classes, without augmentation."""
    value = tiny.plan(patch=list(SIZE), batch=3, loss="cross_entropy",
                      **{"augmentation": {"flip": 0.0, "noise": 0.0, "blur": 0.0}} | training).to_json()
    value |= {"task": "classification", "modalities": ["X-ray"],
              "labels": [{"name": name, "value": number, "source_values": [number]}
                         for number, name in enumerate(CLASSES[:2])],
              "preprocessing": {"crop": "none", "spacing_mm": None, "normalisation": "zscore_image",
                                "size": list(SIZE)}}
    value["network"] |= {"dimensions": 2, "channels": 1, "classes": 2, "pooling": [[2, 2], [2, 2]], "norm": "none"}
    return Plan.from_json(value)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Stores of five images, the last of which has a class that is not in the plan."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(5):
        image = np.random.default_rng(index).normal(index, 1, (*SIZE, 1)).astype(np.float32)
        prepared = Prepared(image, (1.0, 1.0), SIZE, tuple((0, side) for side in SIZE),
                            statistics_for(image, "zscore_image"))
        store.write_store(folder, f"case_{index}", ["X-ray"], prepared, None, {},
                          CLASSES[2] if index == 4 else CLASSES[index % 2])
    return store.open_stores([folder])


def sampler(images, cases=4, fold=0, **changes):
    return ImageSampler(plan(**changes), images, [f"case_{index}" for index in range(cases)], [], fold)


def numbers(images, batch):
    """The cases of a batch of images that are not augmented."""
    known = [sampler(images)._read(images[f"case_{index}"]) for index in range(4)]
    return [next(index for index, one in enumerate(known) if np.array_equal(one, image)) for image in batch]


def test_each_image_is_seen_once_a_pass_in_an_order_of_its_own(images):
    one = sampler(images)
    batches = [one.batch(step) for step in range(1, 9)]  # 24 images: six passes over four
    assert all(image.shape == (3, *SIZE, 1) and image.dtype == np.float32 for image, _ in batches)
    assert all(value.shape == (3,) and value.dtype == np.uint8 for _, value in batches)
    seen = [case for image, _ in batches for case in numbers(images, image)]
    passes = [tuple(seen[start:start + 4]) for start in range(0, 24, 4)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in passes) and len(set(passes)) > 1
    assert [value for _, values in batches for value in values] == [case % 2 for case in seen]
    again = sampler(images)
    for step in (7, 2):  # a batch depends on its step alone
        for found, expected in zip(again.batch(step), batches[step - 1], strict=True):
            np.testing.assert_array_equal(found, expected)
    assert any(not np.array_equal(sampler(images, fold=1).batch(step)[1], batches[step - 1][1]) for step in (1, 2, 3))


def test_augmentation_differs_from_pass_to_pass_and_not_from_run_to_run(images):
    noisy = {"augmentation": {"flip": 0.0, "noise": 1.0, "blur": 0.0, "noise_sd": [0.1, 0.1]}}
    batches = [np.concatenate([sampler(images, **noisy).batch(step)[0] for step in range(1, 5)]) for _ in range(2)]
    np.testing.assert_array_equal(*batches)
    assert len({image.tobytes() for image in batches[0]}) == 12


def test_every_validation_image_comes_once_as_it_is(images):
    batches = sampler(images).fixed()
    assert [len(image) for image, _ in batches] == [3, 1]
    assert [case for image, _ in batches for case in numbers(images, image)] == [0, 1, 2, 3]
    assert [value for _, values in batches for value in values.tolist()] == [0, 1, 0, 1]
    assert all(values.dtype == np.uint8 for _, values in batches)
    with pytest.raises(DataError, match="one class") as caught:
        sampler(images, cases=1).fixed()
    assert caught.value.problems == ["case_0"]


def test_stores_of_other_classes_or_sizes_are_all_named(images):
    with pytest.raises(DataError, match="not images of 12×8 with one of the classes covid, normal") as caught:
        sampler(images, cases=5)
    assert caught.value.problems == ["case_4: class 'pneumonia', 12×8"]
    assert caught.value.todo == "Preprocess them again."
    larger = plan().to_json()
    larger["training"]["patch"] = larger["preprocessing"]["size"] = [16, 8]
    with pytest.raises(DataError) as caught:
        ImageSampler(Plan.from_json(larger), images, ["case_0", "case_1"], [], 0)
    assert caught.value.problems == ["case_0: class 'covid', 12×8", "case_1: class 'normal', 12×8"]


def test_an_image_that_cannot_be_read_is_named(images, monkeypatch):
    monkeypatch.setattr(store.Store, "read_image", lambda *_: 1 / 0)
    with pytest.raises(DataError, match=r"The image of case case_\d could not be read: ZeroDivisionError") as caught:
        sampler(images).batch(1)
    assert caught.value.where == str(next(iter(images.values())).folder.parent / caught.value.what.split()[4])


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_the_area_and_the_share_of_right_classes(classes):
    rng = np.random.default_rng(0)
    true = np.arange(20) % classes
    found = rng.dirichlet(np.ones(classes), 20)
    batches = [of_batch(found[:12], true[:12], ()), of_batch(found[12:], true[12:], ())]
    areas = [roc_auc_score(true == value, found[:, value]) for value in range(classes)]
    expected = areas[1] if classes == 2 else np.mean(areas)
    assert scores(batches) == {"validation_auc": pytest.approx(expected),
                               "validation_accuracy": pytest.approx((found.argmax(axis=1) == true).mean())}
    if classes == 3:  # a class that no image has, or every image, has no area
        some = [of_batch(found[true > 0], true[true > 0], ())]
        areas = [roc_auc_score(true[true > 0] == value, found[true > 0, value]) for value in (1, 2)]
        assert scores(some)["validation_auc"] == pytest.approx(np.mean(areas))
