"""What a trade test says, as sentences and as tables for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ama_ray.analysis.trade_test import SIZES
from ama_ray.pareto.trade import reward_called

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ama_ray.analysis.trade_test import PairedDifference, TradeTest
    from ama_ray.run import StoredRun


def why_unclear(test: TradeTest, tokens: Mapping[str, float] | None = None) -> str:
    """Why there is no trade beyond error, and how many prompts or items would show one; without a stop.

    Args:
        test: A test that is not clear.
        tokens: How many tokens a prompt or item takes, by name of the reward or probe, where that is known.
    """
    return "; ".join(_why(part, tokens or {}) for part in test.missing)


def ending(test: TradeTest, run: StoredRun) -> str:
    """Why a search ended after base and aligned, and what would help; without a stop."""
    remedy = "set `unclear_trade: go-on` to search all the same"
    if any(part.verdict == "unclear" for part in test.missing):
        remedy = f"give more items and another `out`, or {remedy}; `ama-ray plan {run.folder}` has the numbers"
    return f"{why_unclear(test, run.tokens)}; {remedy}"


def warning(test: TradeTest, run: StoredRun) -> str:
    """What a search says that goes on without a trade beyond error; without a stop."""
    return f"warning: {why_unclear(test, run.tokens)}; what the search finds may be luck"


def _why(part: PairedDifference, tokens: Mapping[str, float]) -> str:
    found = interval(part)
    if part.verdict == "reversed":
        what = (
            "aligned costs no tax but wins on the probes"
            if part.name == "tax"
            else f"aligned lowers the {reward_called(part.name)}"
        )
        return f"{what} ({found}), which more {_unit(part)} would not change"
    name = "the tax of aligned" if part.name == "tax" else f"what aligned won of the {reward_called(part.name)}"
    told = f"{name} is not beyond error ({found}, {count(sum(part.precision.items.values()))} {_unit(part)})"
    return "; ".join(filter(None, [told, _missing(part, tokens)]))


def _missing(part: PairedDifference, tokens: Mapping[str, float]) -> str:
    """How many prompts or items would show differences of several sizes; empty where no number would."""
    asked = {key: size for key, size in part.sizes.items() if size > 0 and part.precision.items_for(size)}
    if not asked:
        return ""
    items = [part.precision.items_for(size) or {} for size in asked.values()]
    told = f"it takes {_listed(count(sum(each.values())) for each in items)} {_unit(part)} to find "
    told += _listed(f"{number(part, size)}{' as seen' if key == 'seen' else ''}" for key, size in asked.items())
    if part.name != "tax":
        told += f" ({_listed(f'{size:.0%}' for size in SIZES)} of the range of rewards)"
    costs = [cost(each, tokens) for each in items]
    return told if math.isnan(costs[0]) else f"{told}, and {_listed(map(count, costs))} tokens a trial"


def cost(items: Mapping[str, int], tokens: Mapping[str, float]) -> float:
    """The tokens of so many prompts or items, by source; NaN where it is not known what one takes."""
    return math.fsum(tokens.get(name, math.nan) * number for name, number in items.items())


def _listed(parts: Iterable[str]) -> str:
    *first, last = parts
    return f"{', '.join(first)} or {last}" if first else last


def interval(part: PairedDifference) -> str:
    """A difference with its 95% interval."""
    found = part.interval
    if math.isnan(found.low):
        return f"{part.value:.3g}, without an interval"
    low, value, high = (number(part, each) for each in (found.low, found.value, found.high))
    return f"{value}, 95% interval {low} to {high}"


def count(number: float) -> str:
    """A number as people say it: 812, 5,600, 1.2 million."""
    if number < 1e6:
        step = 100 if number < 1e4 else 1000 if number < 1e5 else 10_000
        return f"{math.ceil(number / step) * step if number > 1000 else math.ceil(number):,}"
    for name, unit in (("trillion", 1e12), ("billion", 1e9)):
        if number >= unit:
            return f"{number / unit:.2g} {name}" if number < 100 * unit else f"{number / unit:,.0f} {name}"
    return f"{number / 1e6:.2g} million" if number < 1e8 else f"{number / 1e6:.0f} million"


def number(part: PairedDifference, value: float) -> str:
    """With as many decimals as the standard error has two digits in, and at least those of the smallest of `SIZES`."""
    smallest = min(each for each in (part.se, SIZES[0] * part.scale, 1.0) if each > 0)
    return f"{value:z.{max(0, 1 - math.floor(math.log10(smallest)))}f}"


def _unit(part: PairedDifference) -> str:
    return "items" if part.name == "tax" else "prompts"
