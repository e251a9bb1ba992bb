"""One number that was measured."""

from __future__ import annotations

from dataclasses import dataclass

from steering.numbers import spread, with_unit


@dataclass(frozen=True)
class Measure:
    """One number with its uncertainty."""

    name: str
    value: float
    low: float | None
    """Lower end of the 95 % interval, where there is one."""
    high: float | None
    n: int
    """Items behind the number."""
    unit: str = ""

    def __str__(self) -> str:
        value = with_unit(spread(self.value, self.low, self.high), self.unit)
        return f"{self.name}: {value}, n = {self.n}"
