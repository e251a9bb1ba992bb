"""Numbers as people type them: `3-6, 9` for whole ones, `-2..2 step 0.5` for a sweep."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from steering.bounds import LARGEST_COUNT, MOST_TYPED
from steering.errors import SteeringError


_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})(?:\s+step\s+({_NUMBER}))?")
_MOST = 1000
"""Numbers of a sweep."""
MOST_NUMBERS = 100_000
"""Whole numbers at once; contexts and models have fewer places."""


def whole_numbers(text: str) -> tuple[int, ...]:
    """`4`, `2,5`, `3-6`, or a mixture, each number once, in the order given; nothing in an empty text.

    Raises:
        ValueError: Anything else.
        SteeringError: Numbers, or more of them, than any model has places for.
    """
    _check_length(text)
    found: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        low, dash, high = part.partition("-")
        found += span(int(low), int(high if dash else low), room=MOST_NUMBERS - len(found))
    return tuple(dict.fromkeys(found))


def span(low: int, high: int, *, room: int = MOST_NUMBERS) -> range:
    """The whole numbers from `low` to `high`.

    Raises:
        SteeringError: There are more than `room`, or one is larger than any place in a text.
    """
    if max(abs(low), abs(high)) > LARGEST_COUNT or high - low >= room:
        raise SteeringError(
            f"The numbers {low} to {high} were asked for.",
            f"at most {MOST_NUMBERS:,} numbers, each up to {LARGEST_COUNT:,}.",
            "Ask for fewer.",
        )
    return range(low, high + 1)


def _check_length(text: str) -> None:
    if len(text) > MOST_TYPED:
        raise SteeringError(
            f"Numbers of {len(text):,} characters were typed.", f"at most {MOST_TYPED:,}.", "Shorten it."
        )


def compact(numbers: Iterable[int]) -> str:
    """Whole numbers as `whole_numbers` reads them, with runs as ranges: (3, 4, 5, 9) is `3-5, 9`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in runs)


def sweep(text: str, *, repeats: bool = False) -> tuple[float, ...]:
    """Numbers of a sweep: `-2..2 step 0.5`, `0, 1, 4`, or a mixture; a range without a step goes by 1. A number that
    comes twice counts once, unless `repeats`.

    Steps are counted in decimal, so that 0 to 1 by 0.1 has 0.3 in it and not 0.30000000000000004.

    Raises:
        SteeringError: Anything else, a step that leads away from the end, or more than a thousand numbers.
    """
    _check_length(text)
    found: list[Decimal] = []
    for part in (part.strip() for part in text.split(",")):
        found += _range(part) if ".." in part else [_number(part)]
        if len(found) > _MOST:
            raise SteeringError(f"More than {_MOST} numbers were given.", f"at most {_MOST}.", "Take fewer.")
    numbers = [float(number) for number in found]
    return tuple(numbers if repeats else dict.fromkeys(numbers))


def _range(part: str) -> list[Decimal]:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise _unreadable(part)
    low, high, step = (_number(number) if number else Decimal(1) for number in match.groups())
    if step == 0 or (high - low) / step < 0:
        raise SteeringError(
            f"The range '{part[:60]}' was given.", f"a step that leads from {low} to {high}.", "Correct the step."
        )
    count = int((high - low) / step) + 1
    if count > _MOST:
        raise SteeringError(f"The range '{part[:60]}' has {count} numbers.", f"at most {_MOST}.", "Take a larger step.")
    return [low + step * n for n in range(count)]


def _number(part: str) -> Decimal:
    try:
        number = Decimal(part)
    except InvalidOperation:
        raise _unreadable(part) from None
    if not number.is_finite():
        raise _unreadable(part)
    # Exponents of a million digits would be counted with; so would steps that are as small.
    if number and not -9 <= number.adjusted() <= 9:
        raise SteeringError(f"The number '{part[:60]}' was given.", "0, or a size from 1e-9 to 1e9.", "Correct it.")
    return number


def _unreadable(part: str) -> SteeringError:
    return SteeringError(
        f"'{part[:60]}' is no number and no range.",
        "numbers such as 0, 0.5, 1, or a range such as -2..2 step 0.5.",
        "Correct it.",
    )
