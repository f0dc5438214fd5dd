"""Summarise a comparison in words: is the pocket network as accurate as the full one?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..contracts.comparison import Comparison, Equivalence, Pair
from ..models.network import ARCHITECTURES
from ..text import counted
from .headline import Headline
from .layout import interval_text, number, p_text
from .tasks import TASKS

FEW = 20  # with fewer paired cases, intervals and tests are unreliable


def arch_name(arch: str) -> str:
    """Return the display name of an architecture."""
    return ARCHITECTURES[arch]["title"] if arch in ARCHITECTURES else arch


def headline_pairs(comparison: Comparison) -> list[Pair]:
    """Return the pairs for the verdict, such as those of the Dice averaged over labels."""
    return [pair for pair in comparison.pairs if TASKS[comparison.task].comparison.is_headline(pair)]


def kind_of(pair: Pair, means: Sequence[float | None], headline: Headline) -> str:
    """Return the kind of verdict on a pair.

    Args:
        pair: A pair of two networks in the headline's metric.
        means: The metric of both networks.
        headline: The headline of the task.

    Returns:
        `none`: nothing was measured under both. `open`: neither has learned anything, there are fewer than `FEW` cases,
        or neither a difference nor equivalence is shown. `equivalent`, `worse`, `better`: as the tests show.
    """
    if pair.difference is None:
        return "none"
    if _untrained(pair, means, headline) or pair.interval is None or pair.n < FEW:
        return "open"
    if _test(pair).equivalent:
        return "equivalent"
    return "worse" if pair.interval[1] < 0 else "better" if pair.interval[0] > 0 else "open"


def _untrained(pair: Pair, means: Sequence[float | None], headline: Headline) -> bool:
    """Return whether both networks are no better than one that has learned nothing."""
    least = headline.untrained + _test(pair).margin
    return bool(means) and all(mean is not None and mean < least for mean in means)


def _test(pair: Pair) -> Equivalence:
    return pair.equivalence or Equivalence(0.01, None, False)


def verdict(pair: Pair, comparison: Comparison) -> dict[str, Any]:
    """Return the verdict on one pair.

    Two networks that have learned nothing are not as accurate as each other: there is no accuracy to compare.

    Args:
        pair: One of `headline_pairs(comparison)`.
        comparison: The comparison with the networks' means.

    Returns:
        `kind` (`equivalent`, `worse`, `better`, `open`, `none`), `title` and `text`.
    """
    means = [row.metrics[pair.metric].mean for row in comparison.networks
             if (row.arch, row.label) == (pair.arch, pair.label) and row.width in (pair.width, pair.reference)]
    headline = TASKS[comparison.task].comparison.HEADLINE
    kind = kind_of(pair, means, headline)
    name = f"{pair.width} {arch_name(pair.arch)}"
    other = f"{pair.reference} {arch_name(pair.arch)}"
    if pair.difference is None:
        return {"kind": "none", "title": f"The {name} cannot be compared with the {other}",
                "text": "No case was measured under both networks."}
    of_class = f" for class {pair.label}" if headline.per_class else ""
    numbers = (f"{headline.difference} {number(pair.difference, 'dice', True)}{of_class}, 95 % interval "
               f"{interval_text(pair.interval, 'dice')}, {counted(pair.n, 'paired case')}, {headline.test} "
               f"p {p_text(pair.p_value)}.")
    test = _test(pair)
    margin = f"±{test.margin:g} {headline.title}"
    if _untrained(pair, means, headline):
        least = headline.untrained + test.margin
        return {"kind": "open", "title": f"Neither the {name} nor the {other} {headline.skill}",
                "text": f"The {headline.title} of both is below {least:g}{of_class}: there is no accuracy to compare. "
                        f"{numbers}"}
    if pair.interval is None:
        return {"kind": "open", "title": f"Too few cases to judge the {name}", "text": numbers}
    low, high = pair.interval
    apart = "below" if high < 0 else "above" if low > 0 else None
    if pair.n < FEW:
        return {"kind": "open", "title": f"Only {counted(pair.n, 'case')}: too few to tell the {name} from the {other}",
                "text": f"{numbers} Of fewer than {FEW} cases neither interval nor test says much. More cases would "
                        "tell."}
    if test.equivalent:
        text = f"Equivalent within {margin} (two one-sided tests, p {p_text(test.p_value)})"
        text += f", though measurably {apart} it." if apart else "."
        return {"kind": kind, "title": f"The {name} is as accurate as the {other}", "text": f"{text} {numbers}"}
    shown = f"Equivalence within {margin} is not shown (two one-sided tests, p {p_text(test.p_value)})."
    if apart:
        points = f"{100 * abs(pair.difference):.1f} {headline.title} points"
        return {"kind": kind, "title": f"The {name} is {points} {apart} the {other}",
                "text": f"{numbers} {shown}"}
    return {"kind": kind, "title": f"No difference found between the {name} and the {other}, nor equivalence shown",
            "text": f"{numbers} {shown} More cases would tell."}
