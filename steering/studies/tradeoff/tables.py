"""What was measured as tables; their columns are described in docs/results.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from steering.statistics import Estimate
from steering.studies.tradeoff.advice import further
from steering.studies.tradeoff.analysis import AXES, Floor, Line, Point
from steering.studies.tradeoff.comparison import Comparison
from steering.studies.tradeoff.recommendation import Best, Front


def point_table(lines: Sequence[Line]) -> pd.DataFrame:
    """Every curve at every strength, random directions too: means, intervals, changes, n, KL."""
    return pd.DataFrame([_point(line, point) for line in lines for point in line.points])


def stop_table(chosen: Mapping[str, Sequence[Best]], lines: Sequence[Line]) -> pd.DataFrame:
    """Where to stop: each curve's strength of most utility, and the largest within each budget."""
    titles = {line.curve.key: line.curve for line in lines}
    rows = []
    for key, bests in chosen.items():
        for best in bests:
            point = best.point
            row: dict[str, Any] = {"method": titles[key].title, "rule": best.rule}
            row |= _spread("strength", best.strength) | {"unit": titles[key].unit}
            row |= _spread("alignment_gained", best.gained) | _spread("helpfulness_lost", best.lost)
            row |= {
                "limited_by": ", ".join(best.limit.roles),
                "limited_at": best.limit.at.strength if best.limit.at else None,
            }
            if point:
                for role in further(point):
                    row |= _spread(role, point.values[role]) | _spread(f"{role}_change", point.changes[role])
            rows.append(row | {"kl_p95_nats": point.kl_p95 if point else 0.0})
    return pd.DataFrame(rows)


def fit_table(lines: Sequence[Line]) -> pd.DataFrame:
    """Every fit with its parameters in full, so that it can be drawn again, and what it is held against."""
    rows = []
    for line in lines:
        for axis, verdict in line.fits.items():
            for fit in filter(None, (verdict.theory, verdict.line, verdict.parabola, verdict.published)):
                rows.append(
                    {
                        "method": line.curve.title,
                        "axis": axis,
                        "fit": fit.name,
                        "parameters": json.dumps(fit.parameters),
                        "at_bound": fit.at_bound,
                        "r2": fit.r2,
                        "held_out_rmse": fit.held_out,
                        "largest_residual": float(abs(fit.residuals).max()),
                        "theory_holds": verdict.holds if fit is verdict.theory else None,
                    }
                )
    return pd.DataFrame(rows)


def slope_table(lines: Sequence[Line], floor: Floor | None) -> pd.DataFrame:
    """Slope and curvature at 0 of every curve, per unit of its strength."""
    rows: list[dict[str, Any]] = []
    for line in (line for line in lines if not line.curve.floor):
        for axis, slope in line.slopes.items():
            row: dict[str, Any] = {"method": line.curve.title, "axis": axis, "unit": line.curve.unit}
            rows.append(row | _spread("slope", slope) | _spread("curvature", line.bends[axis]))
    if floor is not None:
        rows.append({"method": f"{floor.of.several}, mean", "axis": "alignment", "slope": floor.slope})
        rows.append({"method": f"{floor.of.several}, mean size", "axis": "alignment", "slope": floor.slope_size})
    return pd.DataFrame(rows)


def front_table(front: Sequence[Front]) -> pd.DataFrame:
    """The Pareto front, by alignment."""
    return pd.DataFrame(
        [
            {
                "method": each.point.curve.title,
                "strength": each.point.strength,
                "unit": each.point.curve.unit,
                **_spread("alignment", each.point.values["alignment"]),
                **_spread("helpfulness", each.point.values["helpfulness"]),
                "share_of_resamples": each.share,
            }
            for each in front
        ]
    )


def item_table(found: Comparison, lines: Sequence[Line]) -> pd.DataFrame:
    """Every item behind every point that is no random direction's."""
    shown = [point for line in lines if not line.curve.floor for point in line.points]
    return pd.DataFrame([row for point in shown for row in _items(found, point)])


def _items(found: Comparison, point: Point) -> Iterator[dict[str, Any]]:
    for role, asked in found.asked.items():
        for item, seen, value in found.seen(role, point.treatment):
            yield {
                "method": point.curve.title,
                "strength": point.strength,
                "measure": role,
                "item": item.id,
                "question": item.messages[-1].content,
                "given": json.dumps(item.given, ensure_ascii=False) if item.given else "",
                "value": value,
                "read": seen["text"] if item.kind == "text" else json.dumps(seen),
                "judge": asked.measure.title,
            }


def _point(line: Line, point: Point) -> dict[str, Any]:
    row: dict[str, Any] = {
        "method": point.curve.title,
        "strength": point.strength,
        "unit": point.curve.unit,
        "random": point.curve.floor is not None,
        "kl_p95_nats": point.kl_p95,
    }
    for role, value in point.values.items():
        row |= _spread(role, value)
        row[f"n_{role}"] = point.n[role]
    for axis in AXES:
        row |= _spread(f"{axis}_change", point.changes[axis])
        if axis in line.fits:
            row[f"{axis}_residual"] = float(line.fits[axis].theory.residuals[point.index])
    return row


def _spread(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
