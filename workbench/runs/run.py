"""A run: what was asked of which model, how it ended, and what somebody noted of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from steering.errors import SteeringError


State = Literal["queued", "running", "done", "stopped", "failed", "interrupted"]
"""A run is interrupted where the program that it ran in is gone; its finished parts are kept."""
OPEN: tuple[State, ...] = ("queued", "running")
LONGEST = {"title": 200, "note": 20_000}
"""Characters of what somebody writes about a run."""
_NOTED = ("title", "note", "tags", "favourite")


@dataclass(frozen=True)
class Run:
    """One run as the workspace knows it; its result and what the page showed lie beside it."""

    id: str
    """16 hexadecimal digits that nobody can guess."""
    kind: str
    """A study's name, "steer" or "grid", or a third party's panel."""
    title: str
    model: str
    """The model's name, for lists."""
    panel: str = ""
    """Id of the panel whose page shows it; "" where it ran without a page."""
    state: State = "running"
    begun: str = ""
    """When, as ISO 8601 in UTC."""
    ended: str = ""
    """When; "" while it goes on."""
    owner: str = ""
    """The visitor who asked; "" for whoever is at the machine."""
    error: str = ""
    """Why it failed."""
    note: str = ""
    tags: tuple[str, ...] = ()
    favourite: bool = False
    size: int = 0
    """Bytes on the disk."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """As `about` gives it."""

    @property
    def over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.state not in OPEN


def check_noted(values: Mapping[str, Any]) -> None:
    """Refuse what nobody may change of a run, and texts that are too long.

    Raises:
        SteeringError: A text is too long.
    """
    for name, value in values.items():
        if name not in _NOTED:
            raise ValueError(name)
        if isinstance(value, str) and len(value) > LONGEST[name]:
            raise SteeringError(
                f"The {name} has {len(value):,} characters.", f"at most {LONGEST[name]:,}.", "Shorten it."
            )


def titled(what: str, text: str, longest: int = 60) -> str:
    """A run's title: what it is, and how the text that it is about begins."""
    text = " ".join(text.split())
    return f"{what}: {text if len(text) <= longest else f'{text[: longest - 1]}…'}"


def now() -> str:
    """The time, as runs say it: behind what was said before, so that runs stand in the order in which they began and
    none ends before it began, although the clock was put back meanwhile.
    """
    with _saying:
        _said[0] = max(datetime.now(UTC), _said[0] + timedelta(milliseconds=1))
        return _said[0].isoformat(timespec="milliseconds")


_saying = threading.Lock()
_said = [datetime.min.replace(tzinfo=UTC)]
"""What `now` said last."""
