"""Numbers as a reader needs them; all of them HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from steering.numbers import number
from steering.statistics import Estimate


_NOTHING, _SMALL = 1e-9, 0.001
_MUCH = 0.005
"""Share under which a percentage would read 0."""


def figure(value: float | None) -> str:
    """As in reports; a dash for what was not measured."""
    return number(math.nan if value is None else value)


def nats(value: float) -> str:
    """A divergence, in two digits."""
    return f"{value:.2g}" if _SMALL <= value < 100 else f"&lt; {_SMALL}" if _NOTHING < value < _SMALL else number(value)


def percent(share: float) -> str:
    """A share as a whole percentage."""
    return f"{100 * share:.0f} %" if share >= _MUCH else "under 1 %"


def rate(value: Estimate, mark: str = "") -> str:
    """A share in %, with its interval below it, which keeps columns narrow."""
    return f"{100 * value.value:.0f}{mark}<small>{100 * value.low:.0f} to {100 * value.high:.0f}</small>"


def spread(values: Sequence[float], shown: Callable[[float], str] = "{:.0f}".format) -> str:
    """The mean of some values, with their range below it where they differ."""
    if not values:
        return "–"
    if min(values) == max(values):
        return shown(values[0])
    return f"{shown(sum(values) / len(values))}<small>{shown(min(values))} to {shown(max(values))}</small>"
