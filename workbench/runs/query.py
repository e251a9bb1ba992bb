"""What is looked for among runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from steering.errors import SteeringError


@dataclass(frozen=True)
class Query:
    """Which runs are looked for; empty fields ask for nothing."""

    search: str = ""
    """Words that stand somewhere in title, model, kind, note or tags."""
    kind: str = ""
    model: str = ""
    state: str = ""
    favourites: bool = False
    vector: str = ""
    """One that it used, by its name then."""
    tag: str = ""
    since: str = ""
    """Day on which it began or after which, as 2026-01-31, by the clock here."""
    until: str = ""
    """Day on which it began or before which."""
    owner: str | None = None
    """Only this visitor's; everybody's where None."""

    @property
    def where(self) -> dict[str, Any]:
        """What `Index.find` is asked for.

        Raises:
            SteeringError: A day that is none.
        """
        given = {name: getattr(self, name) for name in ("kind", "model", "state", "vector", "tag")}
        found: dict[str, Any] = {name: value for name, value in given.items() if value}
        found |= {"favourite": True} if self.favourites else {}
        found |= {"since": day_begins(self.since)} if self.since.strip() else {}
        found |= {"until": day_begins(self.until, later=1)} if self.until.strip() else {}
        return found | ({} if self.owner is None else {"owner": self.owner})


EVERYTHING = Query()


def day_begins(text: str, *, later: int = 0) -> str:
    """When a day begins here, or one so many days later, as the list has times.

    Raises:
        SteeringError: It is none.
    """
    try:
        day = datetime.combine(date.fromisoformat(text.strip()) + timedelta(days=later), time.min)
        return day.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError) as error:
        raise SteeringError(
            f"The day '{text[:40]}'.", "a day as 2026-01-31.", "Correct it, or leave it empty."
        ) from error
