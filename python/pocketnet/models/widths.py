"""The width policy: how many feature maps a network has at each depth.

This parameter is the paper's central idea (Definition 2.1) and its ablation (Table IV). `full` doubles the number of
feature maps at each depth, `pocket` keeps it constant, and `capped(m)` doubles it up to `m`. For *c* first feature
maps, `capped(infinity)` equals `full`, and `capped(c)` equals `pocket`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import UsageError

_CAPPED = re.compile(r"capped[(\-]?(\d+)\)?")
_CONFIGURED = re.compile(r"(.+)-(2d|3d)")


@dataclass(frozen=True)
class Width:
    """A width policy: the number of feature maps by depth.

    Attributes:
        name: `full`, `pocket` or `capped<m>`, for example `capped128`.
        cap: Largest number of feature maps at any depth. None means no cap; 0 means the number at the first level.
    """

    name: str
    cap: int | None

    def feature_maps(self, first: int, depth: int) -> int:
        """Return the number of feature maps at `depth` (0 is the finest resolution), with `first` at depth 0."""
        doubled = first * 2**depth
        return doubled if self.cap is None else min(doubled, self.cap or first)


def parse_width(text: str) -> Width:
    """Parse `full`, `pocket`, `capped128` or `capped(128)`, each with or without the end `-2d` or `-3d`.

    Raises:
        UsageError: The text has another form.
    """
    word = policy_of(text.strip().lower())
    if word == "full":
        return Width("full", None)
    if word == "pocket":
        return Width("pocket", 0)
    match = _CAPPED.fullmatch(word)
    if match and int(match.group(1)) > 0:
        return Width(f"capped{match.group(1)}", int(match.group(1)))
    raise UsageError(f"Unknown width '{text}'.", todo="Use pocket, full or capped<feature maps>, e.g. capped128.")


def configured(width: str, configuration: str) -> str:
    """Return the name of a network that is trained in 2D and in 3D: `pocket` and `2d` give `pocket-2d`."""
    return f"{policy_of(width)}-{configuration}"


def policy_of(name: str) -> str:
    """Return the width of a network's name: `pocket` of `pocket-2d`; other names stay as they are."""
    match = _CONFIGURED.fullmatch(name)
    return match[1] if match else name


def configuration_of(name: str) -> str | None:
    """Return the configuration of a network's name: `2d` of `pocket-2d`; None for names without one."""
    match = _CONFIGURED.fullmatch(name)
    return match[2] if match else None


def between(first: int, depth: int) -> list[str]:
    """List the capped widths between full and pocket, one for each depth between the first and the last."""
    return [f"capped{first << level}" for level in range(depth - 1, 0, -1)]


def predicted_saving(depth: int) -> float:
    """Predict the ratio of full to pocket parameters by the paper's formula (Eq. 3), for `depth` downsamplings."""
    return (4 ** (depth + 1) - 1) / (3 * (depth + 1))
