"""A line of the table: what was measured beside what, and the aim that it has to meet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from bench.harness.profile import Profile


Status = Literal["measured", "skipped", "wrong", "failed"]
"""Wrong: an opponent whose results differ from those of plain hooks, which is therefore not timed."""


@dataclass(frozen=True)
class Aim:
    """The bound that a value has to keep."""

    bound: float
    least: bool = True
    """Whether the value has to be at least the bound; at most where False."""

    def met(self, value: float) -> bool:
        """Whether a value keeps it; what is not a number keeps nothing."""
        return value >= self.bound if self.least else value <= self.bound

    def missed_by(self, value: float) -> float:
        """By which share of the bound it is missed; 0 where it is met."""
        return 0.0 if self.met(value) else abs(value - self.bound) / abs(self.bound)


@dataclass(frozen=True)
class BenchRow:
    """One line."""

    section: str
    """The table that it stands in."""
    name: str
    """What is measured, and on which model."""
    ours: str
    """What the workbench does."""
    opponent: str
    """What it is held against; "" where the value is not a ratio."""
    value: float | None = None
    """The median: the opponent's time as a multiple of ours where `unit` is "x" (above 1, ours is faster). None where
    nothing was measured."""
    low: float | None = None
    """Its lower quartile."""
    high: float | None = None
    """Its upper quartile."""
    rounds: int = 0
    """Pairs, or repetitions, that it is the median of; those that warmed up are not counted."""
    unit: str = "x"
    computing: float | None = None
    """The same ratio of the processors' own time, which other programs on the machine disturb less."""
    aim: Aim | None = None
    note: str = ""
    """What else was found, such as by how much results differ."""
    why: str = ""
    """Why the aim is missed, where it is."""
    profile: Profile = ()
    """Where the time of ours goes, where the aim is missed."""
    status: Status = "measured"
    load: float | None = None
    """Load average of the last minute when the row was finished; the harness fills it in."""
    short: bool = False
    """Whether a short run measured it; the harness fills it in."""

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none, or nothing was measured."""
        return None if self.aim is None or self.value is None else self.aim.met(self.value)

    def as_data(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "met": self.met}

    @classmethod
    def of_data(cls, data: dict[str, Any]) -> Self:
        """From what `as_data` gave."""
        given = {name: value for name, value in data.items() if name != "met"}
        aim = Aim(**given["aim"]) if given["aim"] else None
        profile = tuple((where, share) for where, share in given.get("profile", ()))
        return cls(**{**given, "aim": aim, "profile": profile})


def skipped(section: str, name: str, ours: str, opponent: str, reason: str, **others: Any) -> BenchRow:
    """A row that was not measured, and why."""
    return BenchRow(section, name, ours, opponent, note=reason, **{"status": "skipped", **others})
