"""From values of items to points with intervals: a paired bootstrap over items, the same draws at every point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from steering.errors import SteeringError
from steering.statistics import Estimate
from steering.studies.tradeoff.comparison import AXES, Comparison
from steering.studies.tradeoff.curves import DIRECTIONS, Curve, Random
from steering.studies.tradeoff.fits import FEWEST, Verdict, judge, near_zero, published_fit, rational_fit, tanh_fit
from steering.studies.tradeoff.items import Treatment
from steering.studies.tradeoff.random_floor import INNERMOST


RESAMPLES = 1000
PERCENTILE = 95


@dataclass(frozen=True, eq=False)
class Point:
    """One curve at one strength."""

    curve: Curve
    index: int
    """Which of the curve's strengths."""
    strength: float
    values: Mapping[str, Estimate]
    """Mean with its 95 % interval by role: alignment, helpfulness, and what else was measured."""
    changes: Mapping[str, Estimate]
    """Difference from the unsteered model, paired by item."""
    n: Mapping[str, int]
    kl_p95: float
    """95th percentile over tokens of KL(unsteered || treated), nats; NaN where it was not read."""

    @property
    def treatment(self) -> Treatment:
        """What is done here."""
        return self.curve.treatments[self.index]


@dataclass(frozen=True, eq=False)
class Line:
    """A curve with all that is known of it."""

    curve: Curve
    points: tuple[Point, ...]
    draws: Mapping[str, np.ndarray]
    """Means by role at every strength, (strength, 1 + resample); the first column is that of all items."""
    unsteered: Mapping[str, np.ndarray]
    """The same of the unsteered model, (1 + resample,)."""
    slopes: Mapping[str, Estimate]
    """By axis, per unit of strength at 0, over the innermost five strengths; none where there are fewer."""
    bends: Mapping[str, Estimate]
    """Curvature at 0, per unit squared."""
    fits: Mapping[str, Verdict]
    """By axis; none under five strengths."""
    worse: Mapping[str, int] = field(default_factory=dict)
    """Further measures that have a worse side: 1 where more of it is worse, -1 where less."""


@dataclass(frozen=True, eq=False)
class Floor:
    """What random directions of equal norm do, or random features of equal activity, (strength,) each."""

    curves: tuple[Line, ...]
    strengths: tuple[float, ...]
    low: Mapping[str, np.ndarray]
    """By axis, the least of them."""
    high: Mapping[str, np.ndarray]
    slope: float
    """Mean of the directions' alignment slopes at 0."""
    slope_size: float
    """Mean of their sizes."""

    @property
    def of(self) -> Random:
        """What it is made of, in words."""
        return self.curves[0].curve.floor or DIRECTIONS

    @property
    def unit(self) -> str:
        """Of their strengths."""
        return self.curves[0].curve.unit


def lines_of(found: Comparison) -> list[Line]:
    """Every curve at the strengths that both axes have been read at, random directions too."""
    curves = [found.read_of(curve) for curve in found.curves.curves] if found.asked else []
    return [_line(found, curve) for curve in curves if len(curve.strengths) > 1]


def floor_of(lines: Sequence[Line]) -> Floor | None:
    """The random directions among some lines; None where there is none."""
    floors = [line for line in lines if line.curve.floor]
    if not floors:
        return None
    most = max((line.curve.strengths for line in floors), key=len)  # of a stopped run, some have fewer
    chosen = tuple(line for line in floors if line.curve.strengths == most)
    means = {axis: np.stack([line.draws[axis][:, 0] for line in chosen]) for axis in AXES}
    slopes = [line.slopes["alignment"].value for line in chosen if "alignment" in line.slopes]
    return Floor(
        chosen,
        chosen[0].curve.strengths,
        {axis: each.min(axis=0) for axis, each in means.items()},
        {axis: each.max(axis=0) for axis, each in means.items()},
        float(np.mean(slopes)) if slopes else math.nan,
        float(np.mean(np.abs(slopes))) if slopes else math.nan,
    )


def _line(found: Comparison, curve: Curve) -> Line:
    roles = AXES if curve.floor else tuple(found.asked)
    values = {role: found.values(role, curve) for role in roles}
    base = {role: found.unsteered(role)[: each.shape[1]] for role, each in values.items()}
    weights = {role: _weights(each.shape[1], found.settings.seed, role) for role, each in values.items()}
    draws = {role: each @ weights[role] for role, each in values.items()}
    unsteered = {role: each @ weights[role] for role, each in base.items()}
    points = tuple(_point(found, curve, index, values, draws, unsteered) for index in range(len(curve.strengths)))
    slopes, bends = _near_zero(curve, values, found.settings.seed)
    fits = {} if curve.floor or not points else _fits(found, curve, draws)
    worse = {role: found.asked[role].measure.worse for role in roles if role not in AXES}
    return Line(
        curve, points, draws, unsteered, slopes, bends, fits, {role: side for role, side in worse.items() if side}
    )


def _weights(n: int, seed: int, role: str) -> np.ndarray:
    """How much each item counts, (item, 1 + resample): all alike first, then as drawn with replacement."""
    if not n:
        return np.zeros((0, 0))
    rng = np.random.default_rng([seed, *role.encode()])  # items of different measures are drawn apart
    return np.vstack([np.full(n, 1 / n), rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n]).T


def _point(
    found: Comparison,
    curve: Curve,
    index: int,
    values: Mapping[str, np.ndarray],
    draws: Mapping[str, np.ndarray],
    unsteered: Mapping[str, np.ndarray],
) -> Point:
    read = [role for role in values if draws[role].shape[1]]
    tokens = np.zeros(0) if curve.floor else found.divergence(curve.treatments[index])
    return Point(
        curve=curve,
        index=index,
        strength=curve.strengths[index],
        values={role: estimate(draws[role][index]) for role in read},
        changes={role: estimate(draws[role][index] - unsteered[role]) for role in read},
        n={role: values[role].shape[1] for role in read},
        kl_p95=float(np.percentile(tokens, PERCENTILE)) if len(tokens) else math.nan,
    )


def estimate(draws: np.ndarray) -> Estimate:
    """All items' value and the 95 % percentile interval of the resamples, (1 + resample,)."""
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    return Estimate(float(draws[0]), float(low), float(high))


def _near_zero(
    curve: Curve, values: Mapping[str, np.ndarray], seed: int
) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Slope and curvature at 0 by axis, where enough strengths lie around it on both sides."""
    slopes, bends = {}, {}
    sizes = sorted(map(abs, curve.strengths))
    around = min(curve.strengths) < 0 < max(curve.strengths) and len(sizes) >= INNERMOST
    for axis in AXES if around else ():
        if values[axis].shape[1]:
            slopes[axis], bends[axis] = near_zero(curve.strengths, values[axis], within=sizes[INNERMOST - 1], seed=seed)
    return slopes, bends


def _fits(found: Comparison, curve: Curve, draws: Mapping[str, np.ndarray]) -> dict[str, Verdict]:
    if len(curve.strengths) < FEWEST or not curve.writes:
        return {}
    options = {len(item.words) for item in found.asked["helpfulness"].items}
    floor = next(iter(options)) if len(options) == 1 and found.settings.helpfulness != "raw" else 0
    fits = {}
    for axis, fit in (("alignment", tanh_fit), ("helpfulness", lambda x, y: rational_fit(x, y, options=floor))):
        if draws[axis].shape[1]:
            means = draws[axis][:, 0].tolist()
            try:
                own = published_fit(curve.strengths, means) if axis == "helpfulness" and floor == 4 else None
                fits[axis] = judge(fit(curve.strengths, means), curve.strengths, means, published=own)
            except (SteeringError, ValueError, np.linalg.LinAlgError):
                continue  # a flat or degenerate curve has no fit
    return fits


def unsteered_points(found: Comparison) -> dict[str, Estimate]:
    """The unsteered model by role, with intervals over the items read so far."""
    values = {role: found.unsteered(role) for role in found.asked}
    return {
        role: estimate(each @ _weights(len(each), found.settings.seed, role))
        for role, each in values.items()
        if len(each)
    }
