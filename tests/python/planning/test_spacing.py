"""The target spacing and the normalisation by rule, from the training cases' measurements."""

from dataclasses import replace

import made
import numpy as np
import pytest
from pocketnet.contracts.fingerprint import Summary
from pocketnet.contracts.manifest import SpacingRule
from pocketnet.contracts.plan import Plan, Preprocessing
from pocketnet.errors import DataError
from pocketnet.planning.plan import make_plan
from pocketnet.planning.preprocessing import median_shape, resolve, target_spacing

LITS = {"percentile": 50, "through_plane_percentile": 90}
SPACINGS = [[0.7, 0.7, 1.0], [0.8, 0.8, 5.0], [0.9, 0.9, 2.5]]


@pytest.mark.parametrize("rule, order, expected", [
    ({"percentile": 50}, (0, 1, 2), [0.8, 0.8, 2.5]),
    (LITS, (0, 1, 2), [0.8, 0.8, 4.5]),  # the 90th percentile of 1, 2.5 and 5
    (LITS, (2, 0, 1), [4.5, 0.8, 0.8]),  # through plane is the axis of the largest median, wherever it is
    (LITS | {"through_plane_percentile": 10}, (0, 1, 2), [0.8, 0.8, 1.3]),
])
def test_target_spacing(rule, order, expected):
    assert target_spacing(SpacingRule(**rule), np.array(SPACINGS)[:, order].tolist()) == tuple(expected)


def test_isotropic_cases_keep_their_spacing():
    assert target_spacing(SpacingRule(**LITS), [[1, 1, 1]] * 4) == (1, 1, 1)


def dataset(modalities=("CT",), rule=LITS, normalisation="by_modality", **more):
    """A manifest and fingerprint of three labelled cases and one that isn't."""
    names = ["a", "b", "c", "unlabelled"]
    shapes = [[512, 512, 300], [512, 512, 60], [512, 512, 120], [512, 512, 900]]
    manifest = made.manifest(
        [made.case(name) | {"images": [f"{name}_{m}" for m in range(len(modalities))],
                            "label": None if name == "unlabelled" else name} for name in names],
        dataset="livers", layout="lits", modalities=list(modalities),
        labels=[{"name": "liver", "value": 1, "source_values": [1, 2]}],
        preprocessing={"crop": "none", "spacing_mm": rule, "normalisation": normalisation}, **more)
    prints = {name: {"shape": shape, "spacing_mm": spacing}
              for name, shape, spacing in zip(names, shapes, [*SPACINGS, [0.1, 0.1, 0.1]], strict=True)}
    return manifest, made.fingerprint(prints, modalities, {**prints["c"], "cropped_shape": prints["c"]["shape"]})


def test_only_labelled_cases_outside_a_listed_test_set_count():
    assert resolve(*dataset()).spacing_mm == (0.8, 0.8, 4.5)
    listed = {"split": {"rule": "listed", "test": ["b"]}}
    assert resolve(*dataset(**listed)).spacing_mm == (0.8, 0.8, 2.35)
    with pytest.raises(DataError, match="there are none"):
        resolve(*dataset(split={"rule": "listed", "test": ["a", "b", "c"]}))


@pytest.mark.parametrize("modalities, scheme", [(("CT",), "window"), (("ct", "CT"), "window"), (("T1",), "zscore"),
                                                (("CT", "PET"), "zscore")])
def test_normalisation_by_modality(modalities, scheme):
    assert resolve(*dataset(modalities)).normalisation == scheme


def test_numbers_in_a_preset_stay():
    manifest, fingerprint = dataset(rule=[1, 1, 2], normalisation="zscore")
    assert resolve(manifest, fingerprint) == Preprocessing("none", (1, 1, 2), "zscore")


@pytest.mark.parametrize("crop, shape", [("nonzero", (4, 5, 6)), ("none", (40, 50, 60))])
def test_the_median_case_is_cropped_where_the_plan_crops(crop, shape):
    manifest, fingerprint = dataset()
    fingerprint = replace(fingerprint, summary=Summary((40, 50, 60), (4, 5, 6), (1, 2, 3)))
    assert median_shape(manifest, fingerprint, Preprocessing(crop, None, "zscore")) == (shape, (1, 2, 3))


def test_the_plan_has_numbers_only_and_a_patch_for_the_resampled_cases(tmp_path):
    plan = make_plan(*dataset(), "quick", seed=1)
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json").preprocessing.spacing_mm == (0.8, 0.8, 4.5)
    # Resampled: 448, 512 and 576 voxels across, and 66, 67 and 67 slices.
    assert plan.network.pooling == ((2, 2, 1), (2, 2, 1), (2, 2, 2))
    assert plan.training.patch[0] > plan.training.patch[2]
