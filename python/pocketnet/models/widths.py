"""The width policy: how many feature maps a network has at each depth.

This one knob is the paper's whole idea (Definition 2.1) and its ablation (Table IV): `full` doubles the
feature maps at each depth, `pocket` keeps them constant, `capped(m)` doubles them until `m`.
`capped(infinity)` is `full` and `capped(c)` is `pocket`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError

_CAPPED = re.compile(r"capped[(\-]?(\d+)\)?")


@dataclass(frozen=True)
class Width:
    """Feature maps by depth.

    Attributes:
        name: `full`, `pocket` or `capped<m>`, for example `capped128`.
        cap: Most feature maps at any depth; None for no cap, 0 for the first level's own number.
    """

    name: str
    cap: int | None

    def feature_maps(self, first: int, depth: int) -> int:
        """Feature maps at `depth` (0 is the finest resolution), starting with `first`."""
        doubled = first * 2**depth
        return doubled if self.cap is None else min(doubled, self.cap or first)


def parse_width(text: str) -> Width:
    """Read `full`, `pocket`, `capped128` or `capped(128)`.

    Raises:
        UsageError: The text is none of these.
    """
    word = text.strip().lower()
    if word == "full":
        return Width("full", None)
    if word == "pocket":
        return Width("pocket", 0)
    match = _CAPPED.fullmatch(word)
    if match and int(match.group(1)) > 0:
        return Width(f"capped{match.group(1)}", int(match.group(1)))
    raise UsageError(f"Unknown width '{text}'.", todo="Use pocket, full or capped<feature maps>, e.g. capped128.")


def between(first: int, depth: int) -> list[str]:
    """The widths between full and pocket: feature maps double up to each depth but the last and the first."""
    return [f"capped{first << level}" for level in range(depth - 1, 0, -1)]


def predicted_saving(depth: int) -> float:
    """Parameters of full over pocket by the paper's formula (Eq. 3), for `depth` downsamplings."""
    return (4 ** (depth + 1) - 1) / (3 * (depth + 1))
