"""Overlapping labels (regions): which values of label maps belong to which region.

Regions are written in their order: a voxel of several regions gets the value of the last one. Inner regions therefore
come last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Values = Mapping[str, tuple[int, ...]]
"""Values in a dataset's label maps by region, in the order of writing."""


def overlapping(values: Values) -> tuple[str, str, int] | None:
    """Return two classes with a value in common, and this value; None if there are none."""
    owner: dict[int, str] = {}
    for name, own in values.items():
        for value in own:
            if owner.setdefault(value, name) != name:
                return owner[value], name, value
    return None


def covered(values: Values) -> tuple[str, str] | None:
    """Return a region that is never written, and the later region that contains it; None if there is none."""
    names = list(values)
    return next(((inner, outer) for place, inner in enumerate(names) for outer in names[place + 1:]
                 if set(values[inner]) <= set(values[outer])), None)


def outermost_first(values: Values) -> dict[str, int]:
    """Return the regions in an order in which no later region contains an earlier one.

    Returns:
        For each region, a value that no later region has; its first value if there is none.
    """
    names = sorted(values, key=lambda name: -len(set(values[name])))
    later = [{value for other in names[place + 1:] for value in values[other]} for place in range(len(names))]
    return {name: next((value for value in values[name] if value not in rest), values[name][0])
            for name, rest in zip(names, later, strict=True)}


def parts(values: Values) -> dict[str, tuple[int, ...]]:
    """Return the values of stored and written label maps that belong to each region.

    The value k stands for a voxel in the k-th region and in all regions that contain it, but in no other. In stored
    label maps, other combinations of regions have values above the number of regions, in the order of their smallest
    value in the dataset.
    """
    combinations = _combinations(values)
    return {name: tuple(value for value, regions in enumerate(combinations, start=1) if name in regions)
            for name in values}


def stored_values(values: Values) -> dict[int, int]:
    """Return the value in stored label maps for each value in the dataset's label maps."""
    combinations = _combinations(values)
    return {value: combinations.index(_regions_of(value, values)) + 1 for value in _all(values)}


def _combinations(values: Values) -> list[frozenset[str]]:
    """Return the regions that each value of stored label maps stands for, starting with value 1."""
    found = [frozenset(outer for outer in values if set(own) <= set(values[outer])) for own in values.values()]
    for value in _all(values):
        if (regions := _regions_of(value, values)) not in found:
            found.append(regions)
    return found


def _all(values: Values) -> Sequence[int]:
    return sorted({value for own in values.values() for value in own})


def _regions_of(value: int, values: Values) -> frozenset[str]:
    return frozenset(name for name, own in values.items() if value in own)
