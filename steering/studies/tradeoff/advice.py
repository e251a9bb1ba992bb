"""Where to stop, in words: the strength, what every measure says there, and which of them keeps it from going on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from steering.studies.tradeoff.analysis import AXES, Floor, Line, Point
from steering.studies.tradeoff.limits import Limit
from steering.studies.tradeoff.measures import MEASURES
from steering.studies.tradeoff.recommendation import Best


_TITLES: Mapping[str, str] = {"sums": "sums right", "degenerate": "degenerate replies"}
_OUTSIDE = (*AXES, "kl")


def role_title(role: str) -> str:
    """A measure's name for tables and sentences."""
    return _TITLES.get(role) or (MEASURES[role].title if role in MEASURES else role)


def further(point: Point) -> list[str]:
    """The measures beside both axes that were read at a point."""
    return [role for role in point.values if role not in _OUTSIDE]


def share(point: Point, role: str) -> str:
    """How many of the items, where each counts as 0 or 1; else the mean."""
    value, n = point.values[role].value, point.n[role]
    return f"{value * n:.0f} of {n}" if role in MEASURES and MEASURES[role].worse else f"{value:.3g}"


def advice(line: Line, best: Best | None, floor: Floor | None) -> str:
    """What is recommended of a curve, or that nothing is."""
    if best is None or best.point is None or not best.gains:
        blocked = _blocked(line, best.limit) if best is not None and best.limit.at is not None else ""
        return f"{line.curve.title}: no strength gains more than it costs{blocked}."
    interval = f" [{best.strength.low:g}, {best.strength.high:g}]" if best.strength.low < best.strength.high else ""
    said = [
        f"{line.curve.title}: recommended strength {best.strength.value:g}{interval} {line.curve.unit}: alignment "
        f"{best.gained.value:+.2f} [{best.gained.low:.2f}, {best.gained.high:.2f}], {_kept(line, best)} of helpfulness "
        f"kept{_beside(best.point)}.",
        limit_words(line, best.limit),
        *_doubts(line, best, floor),
    ]
    return " ".join(said)


def limit_words(line: Line, limit: Limit) -> str:
    """What keeps a strength from being larger, as a sentence."""
    if limit.at is None:
        return "Nothing that was read limits it: the sweep ends there."
    at = f"at {limit.at.strength:g}"
    if limit.roles == ("helpfulness",):
        base = max(float(line.unsteered["helpfulness"][0]), 1e-12)
        left = 100 * limit.at.values["helpfulness"].value / base
        return f"What limits it is helpfulness, of which {left:.1f} % are left {at}."
    if limit.roles == ("alignment",):
        return f"What limits it is alignment, which is no larger {at}."
    return f"What limits it, {at}: {_compared(limit.at, limit.roles)}."


def _blocked(line: Line, limit: Limit) -> str:
    """Why what would gain is not taken."""
    roles = [role for role in limit.roles if role not in AXES]
    if limit.at is None or not roles:
        return ""
    return f"; {limit.at.strength:g} would, but for {_compared(limit.at, roles)} there"


def _kept(line: Line, best: Best) -> str:
    base = max(float(line.unsteered["helpfulness"][0]), 1e-12)
    value, low, high = (100 * (1 - lost / base) for lost in (best.lost.value, best.lost.high, best.lost.low))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _beside(point: Point) -> str:
    """What else was measured there, beside the unsteered model."""
    parts = [_compared(point, [role]) for role in further(point)]
    return "; " + ", ".join(parts) if parts else ""


def _compared(point: Point, roles: list[str] | tuple[str, ...]) -> str:
    """Measures at a point with what they are unsteered and the interval of the change."""
    parts = []
    for role in roles:
        change = point.changes[role]
        before, n = point.values[role].value - change.value, point.n[role]
        counted = role in MEASURES and MEASURES[role].worse
        unsteered = f"{before * n:.0f}" if counted else f"{before:.3g}"
        interval = (
            f"change {change.value:+.2f} [{change.low:+.2f}, {change.high:+.2f}]" if change.low < change.high else ""
        )
        inner = ", ".join(filter(None, (f"{unsteered} unsteered", interval)))
        parts.append(f"{role_title(role)} {share(point, role)} ({inner})")
    return ", ".join(parts)


def _doubts(line: Line, best: Best, floor: Floor | None) -> Iterator[str]:
    """Why a recommendation may be worth nothing."""
    if best.gained.low <= 0:
        yield "The gain's interval includes 0."
    if best.strength.low < 0 < best.strength.high:
        yield "Resamples choose either side of 0, so take neither."
    gained = _gained_at(floor, best.strength.value) if floor is not None and floor.unit == line.curve.unit else []
    if floor is not None and gained:
        low, high = min(gained), max(gained)
        beside = f"{floor.of.said(len(gained))} gain {low:+.2f} to {high:+.2f} there"
        yield (
            f"{beside}: no less than this, so do not take it for the vector's."
            if high >= best.gained.low
            else f"{beside}."
        )


def _gained_at(floor: Floor, strength: float) -> list[float]:
    """What each random direction gains at a strength, between those that it was read at."""
    if not floor.strengths[0] <= strength <= floor.strengths[-1]:
        return []
    return [
        float(np.interp(strength, floor.strengths, line.draws["alignment"][:, 0]) - line.unsteered["alignment"][0])
        for line in floor.curves
    ]
