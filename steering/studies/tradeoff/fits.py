"""What the theory says of alignment and helpfulness over strength, fitted to what was measured, and whether it holds.

Wolf et al. 2024, "Tradeoffs Between Alignment and Helpfulness in Language Models with Steering Methods", arXiv
2401.16332: alignment follows tanh(a r + b0), helpfulness P0 / (P0 + (1 - P0) (1 + b^2 r^2 / 2)), so that near zero
steering gains linearly and costs quadratically. A fit is drawn as it was fitted, on all points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steering.errors import SteeringError
from steering.lane import look_for_stop
from steering.statistics import Estimate


FEWEST = 5
"""Strengths under which nothing is fitted."""
FAILS = 1.25
"""The theory does not fit where its held-out error is this many times that of the better polynomial."""
GOOD_R2 = 0.9
"""Nor where it explains less of the variance, and a polynomial more."""
_BOUND = 12.0
"""Logarithms of odds and of b times the largest strength that a rational fit may reach."""
_NEAR = 1e-3
"""So close to the least or greatest value that its form allows, a curve leaves b undetermined."""
_NOTHING = 1e-6
"""A held-out error that is none."""
_RESAMPLES = 200
Curve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Fit:
    """One curve through measured points."""

    name: str
    """tanh, rational, line or parabola."""
    parameters: dict[str, float]
    r2: float
    """Share of the points' variance that it explains."""
    residuals: np.ndarray
    """Measured less fitted, (strength,)."""
    held_out: float
    """Root mean squared error at each strength of the curve fitted to all others."""
    curve: Curve
    at_bound: str = ""
    """The parameter that lies at its bound, where one does; where it is P0 or a, b means nothing by itself."""

    def __call__(self, strengths: np.ndarray) -> np.ndarray:
        """The fitted curve."""
        return self.curve(np.asarray(strengths, dtype=float))


@dataclass(frozen=True, eq=False)
class Verdict:
    """The theory's curve beside a line and a parabola."""

    theory: Fit
    line: Fit
    parabola: Fit
    holds: bool
    reason: str
    """In words, why it holds or does not."""
    published: Fit | None = None
    """The theory's curve in the form that its authors fit to questions of four options, to compare."""


def tanh_fit(strengths: Sequence[float], values: Sequence[float]) -> Fit:
    """tanh(a r + b0) for alignment in [-1, 1].

    Raises:
        SteeringError: Fewer than five strengths, or numbers that are not finite.
    """
    from scipy.optimize import least_squares  # takes long to import

    x, y = _checked(strengths, values)

    def solve(x: np.ndarray, y: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
        # Where the points are saturated the slope is known up to its order only, so it starts from the inner ones.
        start = np.polyfit(x, np.arctanh(np.clip(y, -0.99, 0.99)), 1) if near is None else near
        return least_squares(lambda p: np.tanh(p[0] * x + p[1]) - y, start).x

    return _fit("tanh", ("a", "b0"), x, y, solve, lambda p: lambda r: np.tanh(p[0] * r + p[1]))


def rational_fit(strengths: Sequence[float], values: Sequence[float], *, options: int = 0) -> Fit:
    """P0 / (P0 + (1 - P0) (1 + b^2 r^2 / 2)) for a probability of the right answer; with `options` answers to choose
    from it falls to 1 / options instead of 0: f + (1 - f) Q, where Q has that form and f is the floor.

    Only (1 - Q0) b^2 is determined where Q0, the value of Q at 0, goes to its bound at 1.

    Raises:
        SteeringError: As `tanh_fit`.
    """
    floor = 1 / options if options else 0.0
    return _odds_fit("rational", ("P0", "b"), strengths, values, floor, 1 - floor)


def published_fit(strengths: Sequence[float], values: Sequence[float]) -> Fit:
    """0.25 + 0.5 / (1 + a + a b^2 r^2 / 2), as the code of Wolf et al. fits it to questions of four options.

    It starts from at most 0.75. Below that it draws the curves of `rational_fit` with four options, by other numbers:
    with P0 the value at 0, its b is that of `rational_fit` times sqrt(2 (1 - P0) / (3 (0.75 - P0))).

    Raises:
        SteeringError: As `tanh_fit`.
    """
    return _odds_fit("published", ("a", "b"), strengths, values, 0.25, 0.5)


def _odds_fit(
    name: str, names: tuple[str, str], strengths: Sequence[float], values: Sequence[float], floor: float, share: float
) -> Fit:
    """floor + share / (1 + a + a b^2 r^2 / 2), by -ln a and ln(b x largest strength)."""
    from scipy.optimize import least_squares  # as above

    x, y = _checked(strengths, values)
    scale = float(np.abs(x).max()) or 1.0

    def named(p: np.ndarray) -> tuple[float, float]:
        return math.exp(-p[0]), math.exp(p[1]) / scale

    def curve(p: np.ndarray) -> Curve:
        a, b = named(p)
        return lambda r: floor + share / (1 + a + a * b**2 * r**2 / 2)

    def solve(x: np.ndarray, y: np.ndarray, near: np.ndarray | None = None) -> np.ndarray:
        top = float(np.clip((y.max() - floor) / share, 0.01, 0.99))
        starts = [np.array([math.log(top / (1 - top)), log_b]) for log_b in (-2.0, 0.0, 2.0)]
        starts = starts if near is None else [near]
        bounds = ([-_BOUND, -_BOUND], [_BOUND, _BOUND])
        found = [least_squares(lambda p: curve(p)(x) - y, start, bounds=bounds) for start in starts]
        return min(found, key=lambda each: each.cost).x

    fit = _fit(name, names, x, y, solve, curve)
    found = np.array([fit.parameters[each] for each in names])
    a, b = named(found)
    first = a if names[0] == "a" else floor + share / (1 + a)
    inside = _NEAR < 1 / (1 + a) < 1 - _NEAR
    at_bound = names[0] if not inside else names[1] if abs(found[1]) > _BOUND * (1 - _NEAR) else ""
    return replace(fit, parameters={names[0]: first, "b": b, "floor": floor}, at_bound=at_bound)


def polynomial_fit(strengths: Sequence[float], values: Sequence[float], degree: int) -> Fit:
    """A straight line (degree 1) or a parabola (degree 2).

    Raises:
        SteeringError: As `tanh_fit`.
    """
    x, y = _checked(strengths, values)
    names = tuple(f"c{power}" for power in range(degree, -1, -1))
    name = {1: "line", 2: "parabola"}[degree]
    return _fit(name, names, x, y, lambda x, y, _=None: np.polyfit(x, y, degree), lambda p: lambda r: np.polyval(p, r))


def judge(theory: Fit, strengths: Sequence[float], values: Sequence[float], *, published: Fit | None = None) -> Verdict:
    """Whether the theory's curve predicts strengths that it was not fitted on as well as a line and a parabola do.

    Alignment that rises like a line, or helpfulness that falls like one on each side, is told apart by the error at
    each strength of a curve fitted to the others.
    """
    line, parabola = (polynomial_fit(strengths, values, degree) for degree in (1, 2))
    bent = _bent(strengths, values) if theory.name == "rational" else None
    rivals = [each for each in (line, parabola, bent) if each is not None]
    best = min(rivals, key=lambda each: each.held_out)
    close = theory.held_out <= max(FAILS * best.held_out, _NOTHING)
    poor = theory.r2 < GOOD_R2 and max(each.r2 for each in rivals) > theory.r2
    holds = close and not poor
    reason = (
        f"{theory.name} predicts left-out strengths with an error of {theory.held_out:.3f}, the {best.name} with "
        f"{best.held_out:.3f} (R² {theory.r2:.2f} and {best.r2:.2f})"
    )
    said = f"The theory fits: {reason}." if holds else f"The theory does not fit: {reason}."
    return Verdict(theory, line, parabola, holds, said + _bound_words(theory), published)


def _bound_words(fit: Fit) -> str:
    if fit.at_bound == "P0":
        return " P0 lies at its bound: only the curve is determined, so b alone means nothing."
    if fit.at_bound:
        return f" {fit.at_bound} lies at its bound and means nothing by itself."
    return ""


def _bent(strengths: Sequence[float], values: Sequence[float]) -> Fit:
    """A cost that grows like a line on both sides: c0 + c1 |r|."""
    x, y = _checked(strengths, values)
    name, names = "line in |r|", ("c1", "c0")

    def solve(x: np.ndarray, y: np.ndarray, _: np.ndarray | None = None) -> np.ndarray:
        return np.polyfit(np.abs(x), y, 1)

    return _fit(name, names, x, y, solve, lambda p: lambda r: np.polyval(p, np.abs(r)))


def near_zero(
    strengths: Sequence[float], items: np.ndarray, *, within: float, seed: int = 0, resamples: int = _RESAMPLES
) -> tuple[Estimate, Estimate]:
    """Slope and curvature at 0 of the mean over items: c1 and 2 c2 of a parabola through the strengths near 0.

    Args:
        strengths: (strength,).
        items: Values of every item at every strength, (strength, item).
        within: Strengths up to this size on either side count; at least five of them.
        seed: Of the bootstrap over items, which are drawn together at all strengths.
        resamples: Bootstrap samples.

    Returns:
        Slope and curvature with 95 % bootstrap intervals, per unit and per unit squared of strength.

    Raises:
        SteeringError: Fewer than five strengths near 0.
    """
    x = np.asarray(strengths, dtype=float)
    near = np.abs(x) <= within * (1 + 1e-9)
    if near.sum() < FEWEST:
        raise SteeringError(
            f"{int(near.sum())} strengths lie within {within:g} of 0.", f"at least {FEWEST}.", "Add strengths near 0."
        )
    rng = np.random.default_rng(seed)
    n = items.shape[1]
    weights = np.vstack([np.full(n, 1 / n), rng.multinomial(n, np.full(n, 1 / n), resamples) / n])
    means = items[near] @ weights.T
    c2, c1, _ = np.polyfit(x[near], means, 2)
    return tuple(_interval(each) for each in (c1, 2 * c2))  # type: ignore[return-value]


def _interval(values: np.ndarray) -> Estimate:
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))


def _fit(
    name: str,
    names: Sequence[str],
    x: np.ndarray,
    y: np.ndarray,
    solve: Callable[..., np.ndarray],
    curve: Callable[[np.ndarray], Curve],
) -> Fit:
    found = solve(x, y)
    residuals = y - curve(found)(x)
    spread = float(((y - y.mean()) ** 2).sum())
    r2 = 1 - float((residuals**2).sum()) / spread if spread > 0 else math.nan
    left_out = []
    for index in range(len(x)):
        look_for_stop()
        rest = np.arange(len(x)) != index
        left_out.append(float(y[index] - curve(solve(x[rest], y[rest], found))(x[index : index + 1])[0]))
    held_out = math.sqrt(float(np.mean(np.square(left_out))))
    return Fit(name, dict(zip(names, map(float, found), strict=True)), r2, residuals, held_out, curve(found))


def _checked(strengths: Sequence[float], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(strengths, dtype=float), np.asarray(values, dtype=float)
    if len(np.unique(x)) < FEWEST or len(x) != len(y):
        raise SteeringError(
            f"{len(np.unique(x))} strengths with {len(y)} values were to be fitted.", f"at least {FEWEST} strengths."
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise SteeringError("Values that are not finite were to be fitted.", "finite numbers.")
    return x, y
