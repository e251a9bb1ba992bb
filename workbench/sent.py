"""What another panel or a file sends to a page: kept by a number that the address carries."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from pydantic import BaseModel


MOST = 200
"""So many are kept; of more, the oldest go."""


@dataclass(frozen=True)
class Taken:
    """What a page takes."""

    settings: BaseModel
    """Of a study; of Steer's, a prompt with recipes, which other panels take too."""
    said: tuple[str, ...] = ()
    """What is missing of it here, as sentences."""


class Sent:
    """Settings on their way."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Taken] = OrderedDict()
        self._kinds: dict[str, tuple[type[BaseModel], ...]] = {}
        self._lock = threading.Lock()

    def receives(self, panel: str, kind: type[BaseModel]) -> None:
        """Take down that a panel's page takes settings of a kind."""
        known = self.kinds(panel)
        self._kinds[panel] = known if kind in known else (*known, kind)

    def kinds(self, panel: str) -> tuple[type[BaseModel], ...]:
        """The kinds of settings that a panel's page takes, once it is laid out."""
        return self._kinds.get(panel, ())

    def put(self, settings: BaseModel, said: tuple[str, ...] = ()) -> str:
        """Take something in; gives the number under which it is fetched, which cannot be guessed."""
        number = secrets.token_urlsafe(12)
        with self._lock:
            self._waiting[number] = Taken(settings, said)
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)
        return number

    def taken(self, number: str) -> Taken | None:
        """What waits under a number, once; None where there is nothing."""
        with self._lock:
            return self._waiting.pop(number, None)
