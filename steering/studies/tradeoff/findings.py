"""What was found, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from steering.numbers import with_unit
from steering.studies.tradeoff.advice import advice
from steering.studies.tradeoff.analysis import Floor, Line
from steering.studies.tradeoff.comparison import NOT_ANSWERING, Comparison
from steering.studies.tradeoff.random_floor import INNERMOST
from steering.studies.tradeoff.recommendation import Best


_FLAT = 0.1
"""Share of the vector's slope that random directions should stay under."""


def notes_of(
    found: Comparison, lines: Sequence[Line], floor: Floor | None, chosen: Mapping[str, Sequence[Best]]
) -> list[str]:
    """Findings, most important first, with what stands in the way."""
    notes = []
    answering = found.answering()
    if answering is not None and answering < NOT_ANSWERING:
        notes.append(
            f"The unsteered model is not answering: it puts {100 * answering:.2g} % of its probability on the letters, "
            "so that helpfulness by letters says nothing. Take sums, or another model."
        )
    if not found.finished and lines:
        notes.append(f"So far {found.done:,} of {found.total:,} readings; another run goes on from there.")
    main = [line for line in lines if not line.curve.floor and not line.curve.control]
    for line in main:
        best = next((each for each in chosen.get(line.curve.key, ()) if each.rule == "utility"), None)
        notes.append(advice(line, best, floor))
    if main and "degenerate" not in found.asked:
        notes.append("No replies were generated, so that nobody knows whether they hold together at these strengths.")
    if main:
        notes += _slope(main[0], floor)
        title = main[0].curve.title
        notes += [f"{axis.capitalize()}, {title}. {verdict.reason}" for axis, verdict in main[0].fits.items()]
    return [*notes, *found.notes]


def _slope(line: Line, floor: Floor | None) -> list[str]:
    if "alignment" not in line.slopes:
        return []
    slope, unit = line.slopes["alignment"], line.curve.unit
    reach = sorted(map(abs, line.curve.strengths))[INNERMOST - 1]
    clear = "does not include 0" if slope.low > 0 or slope.high < 0 else "includes 0"
    interval = f"[{slope.low:.3g}, {slope.high:.3g}]"
    said = (
        f"From {-reach:g} to {reach:g}, alignment changes by {slope.value:.3g} {interval} for each "
        f"{with_unit('1', unit)}; the interval {clear}."
    )
    if floor is None or not slope.value:
        return [said]
    share = abs(floor.slope_size / slope.value)
    verdict = "as it should" if share < _FLAT else "so that much of the vector's own slope may be noise"
    return [
        f"{said} Slopes of {floor.of.said(len(floor.curves))} are {floor.slope_size:.3g} in size "
        f"(with their signs {floor.slope:.3g}), {100 * share:.0f} % of it, {verdict}."
    ]


def sources(found: Comparison) -> dict[str, str]:
    """By axis, the name of the set or file that it is measured on; sums have no other set."""
    settings = found.settings
    summed = found.asked["helpfulness"].items[0].kind == "text"
    of = {"alignment": settings.subject, "helpfulness": settings.helpfulness if summed else settings.questions}
    return {axis: source_name(name) for axis, name in of.items()}


def source_name(source: str) -> str:
    """What a set, a file or an upload is called, without its folders."""
    return re.split(r"[/\\]", source)[-1]


def measured(found: Comparison) -> str:
    """What both axes are, for a chart's title."""
    of = sources(found)
    said = {axis: found.asked[axis].measure.says or found.asked[axis].measure.title for axis in of}
    return "; ".join(f"{axis} on {name} ({said[axis]})" for axis, name in of.items())


def caption(found: Comparison, lines: Sequence[Line], line: Line | None) -> str:
    """n, interval, judge, fits, floor and frame of the charts."""
    asked = found.asked
    if not asked or not lines:
        return ""
    axes = [asked[axis] for axis in ("alignment", "helpfulness")]
    counts = [lines[0].points[0].n[axis] for axis in ("alignment", "helpfulness")]
    alike = [each.curve for each in lines if line is None or each.curve.unit == line.curve.unit]
    floors = [(curve.floor, len(curve.strengths)) for curve in alike if curve.floor]
    of = sources(found)
    parts = [
        f"Points: means over n = {counts[0]} ({of['alignment']}, {axes[0].measure.says}) and n = {counts[1]} "
        f"({of['helpfulness']}, {axes[1].measure.says}) items; bands: 95 % paired bootstrap over items"
    ]
    if line is not None and line.fits:
        named = {"alignment": "tanh(a r + b₀)", "helpfulness": "P₀ / (P₀ + (1 − P₀)(1 + b²r²/2)), with the floor 1/k"}
        fits = [f"{named[axis]}, R² {verdict.theory.r2:.2f}" for axis, verdict in line.fits.items()]
        parts.append(f"lines: fits {' and '.join(fits)} (Wolf et al. 2024)")
    if floors:
        random, at = floors[0]
        parts.append(f"grey: range over {random.said(len(floors))}, read at {at} strengths")
    digest = found.host.info.template_digest
    template = f"chat template {digest}" if found.host.info.chat_template else "no chat template"
    return "; ".join(parts) + f". {template[0].upper()}{template[1:]}."
