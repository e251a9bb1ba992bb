"""Fits of the trade-off: the two formulas are recovered from noise, and refused where the data follow another law."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from steering.errors import SteeringError
from steering.studies.tradeoff.fits import (
    judge,
    near_zero,
    polynomial_fit,
    published_fit,
    rational_fit,
    tanh_fit,
)
from steering.studies.tradeoff.tables import fit_table


X = np.linspace(-2, 2, 21)


def noise(seed: int, size: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, len(X))


def rational(p0: float, b: float) -> np.ndarray:
    return p0 / (p0 + (1 - p0) * (1 + b**2 * X**2 / 2))


def test_a_theory_that_explains_little_does_not_hold_where_another_curve_explains_more() -> None:
    """A flat top with late, steep sides, as knowledge has it on the demo model."""
    values = 1 - 0.5 / (1 + np.exp(-6 * (np.abs(X) - 1.5))) + noise(0, 0.005)
    found = judge(rational_fit(X, values, options=4), X, values)
    assert found.theory.r2 < 0.9
    assert found.parabola.r2 > found.theory.r2
    assert not found.holds
    assert "does not fit" in found.reason


@pytest.mark.parametrize("seed", range(5))
def test_both_formulas_are_recovered_within_five_percent(seed: int) -> None:
    values = np.tanh(1.3 * X + 0.2) + noise(seed, 0.02)
    fit = tanh_fit(X, values)
    assert fit.parameters["a"] == pytest.approx(1.3, rel=0.05)
    assert judge(fit, X, values).holds
    values = rational(0.8, 2.0) + noise(seed, 0.01)
    fit = rational_fit(X, values)
    assert fit.parameters["b"] == pytest.approx(2.0, rel=0.05)
    assert fit.parameters["P0"] == pytest.approx(0.8, abs=0.02)
    assert judge(fit, X, values).holds


def test_with_options_it_falls_to_chance() -> None:
    values = 0.25 + 0.75 * rational(0.8, 2.0) + noise(1, 0.005)
    fit = rational_fit(X, values, options=4)
    assert fit.parameters["floor"] == 0.25
    assert fit.parameters["b"] == pytest.approx(2.0, rel=0.05)
    assert fit.parameters["P0"] == pytest.approx(0.85, abs=0.02)
    assert float(fit(np.array([1e6]))[0]) == pytest.approx(0.25, abs=1e-3)


def test_the_authors_form_is_theirs_and_another_writing_of_the_same_curve() -> None:
    """0.25 + 0.5 / (1 + a + a b^2 x^2 / 2), fitted here by scipy's `curve_fit` as their code does by its like."""
    values = 0.25 + 0.75 * rational(0.5, 2.0) + noise(1, 0.005)

    def theirs(x, a, b):
        return 0.5 / (1 + a + a * ((b**2 / 2) * x**2)) + 0.25

    (a, b), _ = curve_fit(theirs, X, values, p0=(1.0, 1.0))
    fit, ours = published_fit(X, values), rational_fit(X, values, options=4)
    assert (fit.parameters["a"], fit.parameters["b"]) == pytest.approx((a, abs(b)), rel=1e-4)
    np.testing.assert_allclose(fit(X), ours(X), atol=1e-6)
    p0 = ours.parameters["P0"]
    assert p0 == pytest.approx(float(theirs(0.0, a, b)), abs=1e-6)
    ratio = fit.parameters["b"] / ours.parameters["b"]
    assert ratio > 1.2, "so that b of one is not b of the other"
    assert ratio == pytest.approx(math.sqrt(2 * (1 - p0) / (3 * (0.75 - p0))), rel=1e-4)


def test_the_authors_form_cannot_follow_a_curve_that_starts_above_three_quarters() -> None:
    values = 0.25 + 0.75 * rational(0.95, 4.0)
    fit = published_fit(X, values)
    assert fit.at_bound == "a"
    assert float(fit(np.zeros(1))[0]) <= 0.75
    assert rational_fit(X, values, options=4).r2 > 0.999 > fit.r2


@pytest.mark.parametrize("p0", [0.7, 0.9999999])
def test_the_table_draws_a_fit_again_and_says_where_a_parameter_lies_at_its_bound(p0: float) -> None:
    """A flat top leaves only (1 - P0) b^2 determined: six digits of P0 would draw another curve."""
    a = (1 - p0) / (p0 - 0.25)
    values = 0.25 + 0.75 / (1 + a + 0.4 * X**2)
    verdict = judge(
        rational_fit(X, values, options=4), X, values, published=published_fit(X, values) if p0 < 0.9 else None
    )
    line = SimpleNamespace(curve=SimpleNamespace(title="t"), fits={"helpfulness": verdict})
    rows = fit_table([line]).set_index("fit")
    read = json.loads(rows.loc["rational", "parameters"])
    inside = (read["P0"] - 0.25) / 0.75
    again = 0.25 + 0.75 * inside / (inside + (1 - inside) * (1 + read["b"] ** 2 * X**2 / 2))
    np.testing.assert_allclose(again, verdict.theory(X), atol=1e-9)
    assert rows.loc["rational", "at_bound"] == ("P0" if p0 > 0.9 else "")
    assert ("b alone means nothing" in verdict.reason) == (p0 > 0.9)
    assert ("published" in rows.index) == (p0 < 0.9)


@pytest.mark.parametrize("seed", range(5))
def test_a_cost_that_grows_like_a_line_is_refused_in_words(seed: int) -> None:
    values = 0.9 - 0.3 * np.abs(X) + noise(seed, 0.01)
    verdict = judge(rational_fit(X, values), X, values)
    assert not verdict.holds
    assert "does not fit" in verdict.reason
    assert "line in |r|" in verdict.reason


def test_what_is_drawn_is_what_was_fitted() -> None:
    values = np.tanh(X) + noise(0, 0.05)
    for fit in (tanh_fit(X, values), polynomial_fit(X, values, 1), polynomial_fit(X, values, 2)):
        np.testing.assert_allclose(fit(X) + fit.residuals, values, atol=1e-12)
        expected = 1 - (fit.residuals**2).sum() / ((values - values.mean()) ** 2).sum()
        assert fit.r2 == pytest.approx(expected)
        assert fit.held_out > math.sqrt((fit.residuals**2).mean()) * 0.99


def test_slope_and_curvature_near_zero_with_intervals() -> None:
    """0.5 + 0.3 r - 0.2 r^2 near 0, a step far away from it; 40 items around it."""
    rng = np.random.default_rng(0)
    items = 0.5 + 0.3 * X[:, None] - 0.2 * X[:, None] ** 2 + 5 * (np.abs(X) > 1)[:, None] + rng.normal(0, 0.1, (21, 40))
    slope, curvature = near_zero(X, items, within=1.0)
    assert slope.low < 0.3 < slope.high
    assert curvature.low < -0.4 < curvature.high
    assert slope.low > 0
    with pytest.raises(SteeringError, match="strengths lie within"):
        near_zero(X, items, within=0.2)


@pytest.mark.parametrize(
    ("strengths", "values"), [([0, 1, 2, 3], [0, 0, 0, 0]), ([0] * 9, [0] * 9), ([0, 1, 2, 3, math.nan], [0] * 5)]
)
def test_too_few_or_no_numbers_are_refused(strengths, values) -> None:
    with pytest.raises(SteeringError):
        tanh_fit(strengths, values)
