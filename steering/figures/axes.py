"""Axes of a figure that is drawn without a browser: where a value lies, which ticks stand there, how wide a text is."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


_MOST_TICKS = 200
_NARROW, _BROAD = frozenset("iljtfrI.,:;'|!()[]{} /-"), frozenset("mwMW@%")


@dataclass(frozen=True)
class Axis:
    """One axis of a figure."""

    at: Callable[[Any], float | None]
    """Where a value lies, from 0 to 1; None where it has no place."""
    ticks: Callable[[int], list[tuple[float | None, str]]]
    """Places and texts of ticks, about so many at most."""
    step: float
    """The share of the axis that a whole number takes, or a name."""
    names: tuple[str, ...] | None = None
    """What stands on an axis of words."""
    log: bool = False


def axis_of(
    letter: str, given: Mapping[str, Any], traces: Sequence[Mapping[str, Any]], shapes: Sequence[Mapping[str, Any]]
) -> Axis:
    """An axis with the range of what is drawn.

    Args:
        letter: x or y.
        given: Its layout.
        traces: What is drawn along it.
        shapes: Lines and areas, some of which stand at values of it.
    """
    shown = [value for trace in traces for value in entries(trace.get(letter))]
    if given.get("type") == "category" or any(isinstance(value, str) for value in shown):
        return _of_names(tuple(dict.fromkeys(map(str, shown))), given.get("autorange") == "reversed")
    log = given.get("type") == "log"
    low, high = given.get("range") or _range(letter, log, traces, shapes)
    span = (high - low) or 1

    def at(value: Any) -> float | None:
        risen = _risen(value, log)
        return None if risen is None else (risen - low) / span

    def ticks(most: int) -> list[tuple[float | None, str]]:
        values = given.get("tickvals")
        if values is not None:
            texts = entries(given.get("ticktext"))
            return [(at(value), str(texts[n] if n < len(texts) else value)) for n, value in enumerate(values)]
        step = _tick_step(low, high, most, log, given.get("dtick"))
        places = [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
        if log and len(places) < 2:
            return [((end - low) / span, number_text(10**end, 2)) for end in (low, high)]
        return [((each - low) / span, number_text(10**each if log else each, 12)) for each in places[:_MOST_TICKS]]

    return Axis(at, ticks, 1 / span, log=log)


def _of_names(names: tuple[str, ...], reverse: bool) -> Axis:
    count = max(1, len(names))

    def at(value: Any) -> float | None:
        if str(value) not in names:
            return None
        n = names.index(str(value)) + 0.5
        return (count - n if reverse else n) / count

    return Axis(at, lambda most: [(at(name), name) for name in names], 1 / count, names=names)


def _range(
    letter: str, log: bool, traces: Sequence[Mapping[str, Any]], shapes: Sequence[Mapping[str, Any]]
) -> tuple[float, float]:
    """Of all that is drawn, with some room, and from 0 for bars."""
    values: list[Any] = [value for trace in traces for value in _with_errors(trace, letter)]
    for shape in shapes:
        if shape.get(f"{letter}ref", letter) == letter:
            values += [shape.get(f"{letter}0"), shape.get(f"{letter}1")]
    kinds = {trace["type"] for trace in traces}
    bars = "bar" in kinds and letter == "y"
    risen = [_risen(value, log) for value in [*values, *([0] if bars else [])]]
    known = [each for each in risen if each is not None]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    whole = "heatmap" in kinds or ("bar" in kinds and letter == "x")
    room = 0.5 if whole else (high - low) * 0.05 or 0.5
    return 0.0 if bars and low == 0 else low - room, high + room


def _with_errors(trace: Mapping[str, Any], letter: str) -> list[Any]:
    values, bars = entries(trace.get(letter)), trace.get(f"error_{letter}") or {}
    up = entries(bars.get("array"))
    down = entries(bars.get("arrayminus")) or up
    ends = [(value, n) for n, value in enumerate(values) if up and there(value)]
    above = [value + (up[n] or 0) for value, n in ends if n < len(up)]
    return [*values, *above, *(value - (down[n] or 0) for value, n in ends if n < len(down))]


def _risen(value: Any, log: bool) -> float | None:
    if not there(value):
        return None
    if log:
        return math.log10(value) if value > 0 else None
    return float(value)


def _tick_step(low: float, high: float, most: int, log: bool, given: float | None) -> float:
    if log:
        return max(1, math.ceil((high - low) / most))
    if given:
        return given * max(1, math.ceil((high - low) / given / most))
    rough = (high - low) / max(1, most) or 1
    power = 10.0 ** math.floor(math.log10(rough))
    return next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough * 0.999)


def there(value: Any) -> bool:
    """Whether a value is a number that can be drawn."""
    return isinstance(value, int | float) and math.isfinite(value)


def entries(value: Any) -> list[Any]:
    """A list, empty where there is none."""
    return value if isinstance(value, list) else []


def number_text(value: float, digits: int) -> str:
    """A number as people read it, with a minus sign of its own."""
    size = abs(value)
    if not size:
        return "0"
    if size >= 1e5 or size < 1e-3:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}".replace("-", "−")
    return f"{float(f'{value:.{digits}g}'):.6g}".replace("-", "−")


def wide(text: str, size: float = 11) -> float:
    """About how wide a text is, in pixels."""
    return size * sum(map(_em, text))


def _em(letter: str) -> float:
    if letter in _NARROW:
        return 0.36
    if letter in _BROAD:
        return 0.88
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    return 0.7 if letter.isupper() else 0.6


def cut(text: str, room: float, size: float = 11) -> str:
    """A text that fits into some room, cut where it must be."""
    if wide(text, size) <= room:
        return text
    while len(text) > 1 and wide(f"{text}…", size) > room:
        text = text[:-1]
    return f"{text}…"
