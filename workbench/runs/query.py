"""What is looked for among runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Query:
    """Which runs are looked for; empty fields ask for nothing."""

    search: str = ""
    """Words that stand somewhere in title, model, kind, note or tags."""
    kind: str = ""
    model: str = ""
    state: str = ""
    favourites: bool = False
    owner: str | None = None
    """Only this visitor's; everybody's where None."""

    @property
    def where(self) -> dict[str, Any]:
        """Columns of the list and their values."""
        given = {"kind": self.kind, "model": self.model, "state": self.state}
        found: dict[str, Any] = {name: value for name, value in given.items() if value}
        found |= {"favourite": True} if self.favourites else {}
        return found | ({} if self.owner is None else {"owner": self.owner})


EVERYTHING = Query()
