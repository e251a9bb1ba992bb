"""What one panel sends to another, which opens on a page of its own: kept by a number that the address carries."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

from steering.studies.steer import SteerSettings


MOST = 200
"""So many are kept; of more, the oldest go."""


class Sent:
    """Prompts with recipes on their way."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, SteerSettings] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, settings: SteerSettings) -> str:
        """Take something in; gives the number under which it is fetched, which cannot be guessed."""
        number = secrets.token_urlsafe(12)
        with self._lock:
            self._waiting[number] = settings
            while len(self._waiting) > MOST:
                self._waiting.popitem(last=False)
        return number

    def taken(self, number: str) -> SteerSettings | None:
        """What waits under a number, once; None where there is nothing."""
        with self._lock:
            return self._waiting.pop(number, None)
