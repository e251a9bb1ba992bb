"""Numbers, times and intervals as a person reads them."""

from __future__ import annotations

import math
from html import escape


_ONE = {name: name[:-1] for name in ("blocks", "degrees", "nats", "positions", "prompts", "tokens")}
"""Units in the plural, and what one is called."""
_ROUNDING, _SMALL = 1e-9, 1e-4
"""Under the first a number is what float64 left of 0; under the second it is told as under it."""


def number(value: float) -> str:
    """`plain_number` as markup."""
    return escape(plain_number(value))


def plain_number(value: float) -> str:
    """Three digits as a person reads them: no exponents, and 0 for what rounding left."""
    if math.isnan(value):
        return "–"
    if abs(value) < _ROUNDING:
        return "0"
    if abs(value) < _SMALL:
        return f"< {_SMALL:.4f}" if value > 0 else f"> −{_SMALL:.4f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # infinities stay as they are


def spread(value: float, low: float | None, high: float | None) -> str:
    """A value with its interval, such as `0.93 [0.7, 0.99]`; without one where there is none."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return plain_number(value)
    return f"{plain_number(value)} [{plain_number(low)}, {plain_number(high)}]"


def with_unit(shown: str, unit: str) -> str:
    """A number as it is shown, with its unit behind it where it has one: `0.5 nats`, `1 nat`."""
    one = _ONE.get(unit, unit) if shown in ("1", "-1", "−1") else unit
    return f"{shown} {one}" if unit else shown


def about_seconds(seconds: float) -> str:
    """A time that is only roughly known, for people."""
    if seconds < 1:
        return "1 s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h".replace(".0 h", " h")


def counted(n: int, thing: str, several: str = "") -> str:
    """A number of things, such as `1 row` or `1,200 rows`; `several` where an s is not enough."""
    return f"{n:,} {thing if n == 1 else several or f'{thing}s'}"
