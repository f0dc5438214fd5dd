"""Nested training subsets: what stays the same, what grows, and that no patient is in two parts."""

import made
import pytest
from pocketnet.contracts.manifest import Case
from pocketnet.errors import DataError, UsageError
from pocketnet.planning.folds import make_subsets, split_into_subsets


def cases(count, **columns):
    return [Case.from_json(made.case(f"case_{i:03d}", label="l.nii.gz", **{
        name: value(i) for name, value in columns.items()})) for i in range(count)]


def test_training_sets_are_nested_and_the_rest_is_fixed():
    entries = make_subsets(cases(230), None, seed=1)
    assert [entry.train_size for entry in entries] == [10, 20, 41, 83, 166]
    for small, large in zip(entries, entries[1:], strict=False):
        assert set(small.train) < set(large.train)
        assert small.validation == large.validation and small.test == large.test
    parts = [set(getattr(entries[-1], part)) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [166, 18, 46] and len(set.union(*parts)) == 230
    assert all(len(entry.train) == entry.train_size for entry in entries)


def test_given_sizes_and_another_seed():
    entries = make_subsets(cases(20), [8, 2], seed=1)
    assert [len(entry.train) for entry in entries] == [2, 8]
    assert make_subsets(cases(20), [2], seed=1)[0].train == entries[0].train
    assert make_subsets(cases(20), [8], seed=2)[0].test != entries[0].test
    with pytest.raises(UsageError, match="(?s)There are 14 training cases.* 15.*between 1 and 14"):
        make_subsets(cases(20), [4, 15], seed=1)


def test_classes_stay_in_proportion_in_every_part():
    made = cases(200, **{"class": lambda i: "positive" if i % 4 == 0 else "negative"})
    positive = {case.case for case in made if case.class_name == "positive"}
    for entry in make_subsets(made, [16, 40, 100], seed=3):
        for part in ("train", "validation", "test"):
            names = getattr(entry, part)
            assert len(positive & set(names)) == pytest.approx(len(names) / 4, abs=1.5), part


def test_a_patient_is_in_one_part_only():
    made = cases(60, group=lambda i: f"p{i // 3}")
    patient = {case.case: case.group for case in made}
    entry = make_subsets(made, None, seed=3)[-1]
    parts = [{patient[case] for case in getattr(entry, part)} for part in ("train", "validation", "test")]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert sum(len(getattr(entry, part)) for part in ("train", "validation", "test")) == 60


def test_a_listed_test_set_is_taken_as_it_is():
    manifest = made.manifest([case.to_json() for case in cases(30)] + [made.case("unlabelled")],
                             split={"rule": "listed", "test": ["case_003", "case_017"]})
    rule, entries = split_into_subsets(manifest, None, 5)
    assert "own list" in rule and entries[0].test == ["case_003", "case_017"]
    assert len(entries[-1].train) == 25 and "unlabelled" not in entries[-1].train


def test_too_few_cases_are_refused():
    with pytest.raises(DataError, match="too few"):
        make_subsets(cases(2), None, seed=1)
