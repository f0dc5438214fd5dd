"""Compare every network with every other one: the verdicts of all pairs, also between architectures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from .comparison import networks_of
from .table import task_of
from .tasks import TASKS
from .verdict import kind_of

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 3
"""Least number of networks; the verdict on two is a pair of the comparison."""
OPPOSITE = {"better": "worse", "worse": "better"}


class Cell(NamedTuple):
    """The verdict on a network against another.

    Attributes:
        kind: `equivalent`, `worse`, `better`, `open` or `none` (`verdict.kind_of`).
        difference: Mean of this network − the other over paired cases; None without pairs.
        interval: Its 95 % confidence interval; None for too few pairs.
        n: Number of paired cases.
    """

    kind: str
    difference: float | None
    interval: tuple[float, float] | None
    n: int

    def turned(self) -> Cell:
        """Return the verdict on the other network against this one."""
        return Cell(OPPOSITE.get(self.kind, self.kind), None if self.difference is None else -self.difference,
                    self.interval and (-self.interval[1], -self.interval[0]), self.n)


def matrices(rows: pd.DataFrame, networks: Sequence[tuple[str, str]]) -> dict[str, list[list[Cell | None]]]:
    """Compute the verdicts of all pairs of networks, by label of the headline's metric.

    Args:
        rows: Rows of `metrics.csv` of all networks.
        networks: (arch, width) in order; those without rows have empty cells.

    Returns:
        For each label a matrix: row `i`, column `j` is network `i` against network `j`; None on the diagonal, and where
        the pair has no verdict for the label. Empty with fewer than `FEWEST` networks.
    """
    if len(networks) < FEWEST:
        return {}
    compared = TASKS[task_of(rows)].comparison
    groups = {key: compared.headline_rows(group) for key, group in networks_of(rows).items() if key in networks}
    means = {key: {row.label: row.metrics[compared.HEADLINE.metric].mean
                   for row in compared.networks(*key, compared.labels(group), group)} for key, group in groups.items()}
    found: dict[str, list[list[Cell | None]]] = {}
    for (i, here), (j, there) in combinations([(networks.index(key), key) for key in networks if key in groups], 2):
        for pair in compared.pairs(*here, " ".join(there), groups[there], groups[here]):
            if compared.is_headline(pair):
                matrix = found.setdefault(pair.label, [[None] * len(networks) for _ in networks])
                kind = kind_of(pair, [means[here].get(pair.label), means[there].get(pair.label)], compared.HEADLINE)
                matrix[i][j] = cell = Cell(kind, pair.difference, pair.interval, pair.n)
                matrix[j][i] = cell.turned()
    return found
