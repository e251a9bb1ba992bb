"""Numbers in a report, as a person reads them."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from steering.forms.tables import table_html
from steering.numbers import number


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2.22e-16, "0"),
        (-1e-17, "0"),
        (0.0, "0"),
        (3e-5, "&lt; 0.0001"),
        (-3e-5, "&gt; −0.0001"),
        (0.000123, "0.000123"),
        (0.123456, "0.123"),
        (-12.345, "-12.3"),
        (151936.2, "151,936"),
        (math.nan, "–"),
        (math.inf, "inf"),
    ],
)
def test_a_number_has_three_digits_and_no_exponent(value: float, said: str) -> None:
    assert number(value) == said


def test_what_rounding_left_of_zero_is_zero_in_its_interval_too() -> None:
    shown = table_html(pd.DataFrame([{"lost": 2.22e-16, "lost_low": -2.22e-16, "lost_high": 0.25}]))
    assert "0 [0, 0.25]" in shown
