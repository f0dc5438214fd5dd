"""The parts of a shuffled k-fold split, as scikit-learn makes them, without importing it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def shuffled_parts(number: int, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the indices of the other samples and of the part, each sorted, for each of `count` parts.

    The parts are those of `KFold(count, shuffle=True, random_state=seed)`. Importing scikit-learn takes longer than the
    rest of the planning.

    Args:
        number: Number of samples, at least `count`.
        count: Number of parts.
        seed: Seed of the shuffling, 0 to 2³² - 1.

    Source: scikit-learn's `KFold`.
    """
    order = np.arange(number)
    np.random.RandomState(seed).shuffle(order)
    for part in np.array_split(order, count):
        yield np.setdiff1d(order, part), np.sort(part)
