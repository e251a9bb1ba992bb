"""Numbers as people type them."""

from __future__ import annotations

import pytest

from steering.errors import SteeringError
from steering.ranges import compact, sweep, whole_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("-2..2 step 0.5", (-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2)),
        ("0..1 step 0.1", (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)),
        ("3..5", (3, 4, 5)),
        ("2 .. 0 step -1", (2, 1, 0)),
        ("0..1 step 0.4", (0, 0.4, 0.8)),
        ("1, 0.5,-3", (1, 0.5, -3)),
        ("0, 1..3, 2", (0, 1, 2, 3)),
        ("1e-2", (0.01,)),
    ],
)
def test_a_sweep_is_exact(text: str, numbers: tuple[float, ...]) -> None:
    assert sweep(text) == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no number"),
        ("a..b", "no number and no range"),
        ("1..", "no number and no range"),
        ("0..2 step 0", "leads from 0 to 2"),
        ("0..2 step -1", "leads from 0 to 2"),
        ("0..1 step 0.0001", "10001 numbers"),
        ("nan", "no number"),
        ("1, inf", "'inf'"),
    ],
)
def test_a_sweep_that_cannot_be_read_says_which_part(text: str, said: str) -> None:
    with pytest.raises(SteeringError, match=said):
        sweep(text)


def test_whole_numbers_are_read_and_written_as_runs() -> None:
    assert whole_numbers("9, 3-5, 4") == (9, 3, 4, 5)
    assert whole_numbers(" ") == ()
    assert compact([9, 5, 3, 4]) == "3-5, 9"
    assert compact([]) == ""
    assert set(whole_numbers(compact([1, 2, 3, 7, 9, 10]))) == {1, 2, 3, 7, 9, 10}
    with pytest.raises(ValueError, match="invalid literal"):
        whole_numbers("two")
