"""Postprocessing decided from data: it never harms a perfect map, and is chosen only if it helps."""

from __future__ import annotations

from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pocketnet.contracts.decisions import NOTHING, PAPER, Operations, combined, operations_of
from pocketnet.contracts.labels import Label
from pocketnet.inference.decide import HARM, decide_postprocessing
from pocketnet.inference.postprocessing import holes, postprocess
from pocketnet.preprocessing.label_maps import mask

MOST_MAPS = 8


@dataclass
class Reference:
    """A store's label map, as the decisions see it."""

    classes: np.ndarray
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    annotated: tuple[str, ...] | None = None
    known: np.ndarray | None = None

    @property
    def shape(self):
        return self.classes.shape

    def read_label(self, start, size):
        assert (start, size) == ((0,) * 3, self.classes.shape)
        return self.classes


def decided(labels, training, validation, spoil=lambda classes: classes):
    return decide_postprocessing(labels, training, validation, lambda: lambda store: spoil(store.classes.copy()))


def one_label(name="a"):
    return [Label(name, 1, (1,))]


def harm(labels, reference, operations):
    """The largest loss of a label's Dice of a perfect map."""
    found = postprocess(reference.classes.copy(), labels, operations, float(np.prod(reference.spacing)))
    both = [(mask(found, label), mask(reference.classes, label)) for label in labels]
    return max((1 - 2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in both if b.any()), default=0.0)


def spoilt(classes):
    """A prediction: the reference with specks of each label in the background, and lost voxels inside."""
    rng = np.random.default_rng(1)
    for value in np.unique(classes[classes > 0]):
        for _ in range(4):
            at = tuple(slice(start, start + 2) for start in (rng.integers(max(1, side - 2)) for side in classes.shape))
            classes[at][classes[at] == 0] = value
        own = np.argwhere(classes == value)
        classes[tuple(own[rng.integers(len(own), size=4)].T)] = 0
    return classes


def nuclei(seed, size=96, number=20):
    """A single slice of many discs of one label, as in microscopy."""
    rng = np.random.default_rng(seed)
    x, y = np.indices((size, size))
    classes = np.zeros((size, size, 1), np.uint8)
    for centre in rng.uniform(6, size - 6, (number, 2)):
        classes[(x - centre[0])**2 + (y - centre[1])**2 < rng.uniform(2, 5)**2] = 1
    return Reference(classes, (1.0, 1.0, 999.0))


def ball(seed, spots=0, cavity=False):
    """A ball of 7 voxels radius, with single voxels apart from it, or one missing in the middle."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(11, 13, 3)
    classes = np.uint8(sum((axis - c)**2 for axis, c in zip(np.indices((24, 24, 24)), centre, strict=True)) < 49)
    classes[0, 0, : 2 * spots: 2] = 1
    if cavity:
        classes[12, 12, 12] = 0
    return classes


def of_folder(pattern, root):
    maps = []
    for path in sorted(root.glob(pattern))[:MOST_MAPS]:
        if path.suffix == ".png":
            classes, spacing = np.uint8(np.asarray(Image.open(path)) > 127)[::2, ::2, None], (1.0, 1.0, 1.0)
        else:
            image = nib.load(path)
            classes, spacing = np.asanyarray(image.dataobj).astype(np.uint8), image.header.get_zooms()[:3]
        filled = np.argwhere(classes)
        low, high = filled.min(0), filled.max(0) + 1  # cropped, to be quick
        maps.append(Reference(np.ascontiguousarray(classes[tuple(map(slice, low, high))]), tuple(map(float, spacing))))
    return maps


REAL = {"Task04_Hippocampus": "labelsTr/*.nii.gz", "Task27_ACDC": "labelsTr/*.nii.gz",
        "MICCAI2012_subcortical": "labelsTr/*.nii.gz", "DSB2018_nuclei": "labelsTr/*.nii.gz",
        "BraTS2015_sample": "*/*_seg.nii.gz", "CT_abdomen_sample": "seg_*.nii.gz",
        "data_axondeepseg_sem": "derivatives/labels/*/micr/*_seg-axon-manual.png"}


@pytest.mark.parametrize("name", [*REAL, "nuclei"])
def test_a_perfect_map_is_not_harmed(name, request):
    """Of every dataset with label maps: what was decided on some maps, on these and on others."""
    if name == "nuclei":
        maps = [nuclei(seed) for seed in range(MOST_MAPS)]
    else:
        root = request.getfixturevalue("real_data") / name
        maps = of_folder(REAL[name], root)
    labels = [Label(f"label {value}", int(value), (int(value),))
              for value in range(1, 1 + max(int(one.classes.max()) for one in maps))]
    half = (len(maps) + 1) // 2
    found = decided(labels, maps[:half], maps[half:half + 2] or maps, spoilt)
    assert found.references == half
    operations = found.operations()
    harms = [harm(labels, one, operations) for one in maps]
    assert max(harms[:half]) <= HARM
    assert np.mean(harms) <= HARM


def test_every_dataset_with_label_maps_is_tried(real_data):
    """A dataset that is added to the real images is added to `REAL`."""
    without = {"BraTS-GLI_unlabelled", "ChestXray_covid", "PneumoniaMNIST"}  # no label maps
    assert {path.name for path in real_data.iterdir() if path.is_dir()} - without == set(REAL)


def test_many_components_are_kept():
    maps = [nuclei(seed) for seed in range(4)]
    decision = decided(one_label(), maps[:3], maps[3:], spoilt).postprocessing[0]
    assert not decision.operations.largest_component
    assert decision.tried[0].operation == "largest component"
    assert decision.tried[0].harm > 0.5 and decision.tried[0].dice is None


def test_the_largest_component_is_chosen_where_it_helps():
    training = [Reference(ball(seed)) for seed in range(3)]
    decision = decided(one_label(), training, [Reference(ball(9))], lambda classes: classes | ball(9, spots=5))
    chosen = decision.postprocessing[0]
    assert chosen.operations == PAPER
    assert chosen.dice_after == 1 > chosen.dice_before and "0.99" in chosen.reason
    assert (decision.references, decision.predictions) == (3, 1)


def crumbs():
    """Squares with a hole, and single voxels: each operation changes it."""
    classes = np.zeros((12, 12, 1), np.uint8)
    classes[1:4, 1:4, 0], classes[2, 2, 0] = 1, 0
    classes[6:12:2, 6:12:2, 0] = 1
    return classes


@pytest.mark.parametrize("training, spoil, reason", [
    (ball(1), lambda classes: classes, "raises the mean validation Dice"),
    (ball(1) * 0, lambda classes: classes, "No training reference has this label"),
    (crumbs(), spoilt, "changes the Dice of a training reference"),
])
def test_nothing_is_chosen_without_a_reason(training, spoil, reason):
    decision = decided(one_label(), [Reference(training)], [Reference(ball(2))], spoil).postprocessing[0]
    assert not decision.operations and reason in decision.reason


def test_small_components_are_removed_where_two_are_right():
    def two(seed):
        classes = np.concatenate([ball(seed), ball(seed + 1)])
        return Reference(classes, (2.0, 1.0, 1.0))

    def specks(classes):
        classes[0, 0, 0:6:2] = 1
        return classes

    chosen = decided(one_label(), [two(0), two(2)], [two(4)], specks).postprocessing[0]
    assert not chosen.operations.largest_component and chosen.operations.smallest_mm3 >= 4
    assert chosen.dice_after == 1
    assert chosen.operations.smallest_mm3 < 2 * (ball(0).sum() / 2 * 2)  # with a margin below what the references have


def test_holes_are_filled_where_no_reference_has_one():
    def hollow(classes):
        classes[12, 12, 12] = 0
        return classes

    solid = [Reference(ball(seed)) for seed in range(2)]
    assert decided(one_label(), solid, [Reference(ball(5))], hollow).postprocessing[0].operations.fill_holes
    cavities = np.copy(ball(0))
    cavities[11:14, 11:14, 11:14] = 0
    kept = decided(one_label(), [Reference(cavities)], [Reference(ball(5))], hollow).postprocessing[0]
    assert not kept.operations.fill_holes and kept.tried[-1].harm > HARM


def test_cases_that_were_annotated_in_part_tell_nothing():
    scribbles = Reference(ball(0), known=np.zeros((3, 3), np.int32))
    other = Reference(ball(0), annotated=("b",))
    labels = [*one_label(), Label("b", 2, (2,))]
    found = decided(labels, [scribbles, other], [Reference(ball(1))], spoilt)
    assert not any(found.operations().values()) and found.predictions == 0


def test_a_hole_reaches_no_side_and_holds_nothing_else():
    ring = np.zeros((7, 7, 1), bool)
    ring[1:6, 1:6] = True
    ring[2:5, 2:5] = False
    assert holes(ring, ring).sum() == 9  # in a single slice, too
    labelled = ring.copy()
    labelled[3, 3] = True  # another label inside
    assert not holes(ring, labelled).any()
    assert not holes(~ring, ~ring)[0].any()  # the background around it is outside


def test_regions_are_postprocessed_as_wholes():
    """The hole of a whole tumour is filled; the ring of its rim around the core is none."""
    labels = [Label("whole", 1, (1, 2), parts=(1, 2)), Label("core", 2, (2,), parts=(2,))]
    classes = np.zeros((9, 9, 9), np.uint8)
    classes[1:8, 1:8, 1:8], classes[3:6, 3:6, 3:6], classes[2, 2, 2] = 1, 2, 0
    classes[8, 8, 8] = 2
    out = postprocess(classes, labels, {"whole": Operations(True, 0.0, True), "core": Operations(fill_holes=True)}, 1.0)
    assert out[2, 2, 2] == 1 and (out == 2).sum() == 27 + 1  # the core outside keeps its voxel, the whole loses it


def test_a_size_counts_in_mm3_and_not_without_a_spacing():
    classes = np.zeros((8, 8, 8), np.uint8)
    classes[:3, :3, :3], classes[6, 6, 6:8] = 1, 1
    chosen = {"a": Operations(smallest_mm3=3.0)}
    assert postprocess(classes.copy(), one_label(), chosen, 1.0).sum() == 27
    assert postprocess(classes.copy(), one_label(), chosen, 1.5).sum() == 29
    assert postprocess(classes.copy(), one_label(), chosen, None).sum() == 29


def test_several_networks_share_what_all_of_them_decided():
    maps = [nuclei(seed) for seed in range(2)]
    nothing = decided(one_label(), maps[:1], maps[1:])
    balls = [Reference(ball(seed)) for seed in range(3)]
    largest = decided(one_label(), balls[:2], balls[2:], lambda classes: classes | ball(2, spots=3))
    assert combined([largest, largest]).operations() == {"a": PAPER}
    assert combined([largest, nothing]).operations() == {"a": NOTHING}
    assert combined([largest, None]) is None and combined([largest]) is largest


@pytest.mark.parametrize("wanted, expected", [(True, {"ball": PAPER, "core": PAPER}), (False, {}), ("auto", {})])
def test_the_plan_comes_first(wanted, expected):
    import tiny
    from pocketnet.contracts.plan import Plan

    value = tiny.plan().to_json()
    value["inference"]["largest_component"] = wanted
    assert operations_of(Plan.from_json(value), [None]) == expected
