"""So many a minute, and no more."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable


MOST = 10_000
"""Keys that are remembered; of more, those go first that came longest ago."""


class Rate:
    """Counts what comes in, by key, each in windows of its own; for one thread."""

    def __init__(self, most: int, *, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing came in yet.

        Args:
            most: So many may come in a window.
            seconds: How long one is.
            clock: Gives the time in seconds.
        """
        self._most, self._seconds, self._clock = most, seconds, clock
        self._known: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Count one more; says whether it is not too many."""
        began, n = self._at(key)
        self._known[key] = (began, n + 1)
        self._known.move_to_end(key)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return n < self._most

    def give_back(self, key: str) -> None:
        """One that was counted does not count after all."""
        began, n = self._at(key)
        if n:
            self._known[key] = (began, n - 1)

    def full(self, key: str) -> bool:
        """Whether one more would be too many."""
        return self._at(key)[1] >= self._most

    def _at(self, key: str) -> tuple[float, int]:
        now = self._clock()
        began, n = self._known.get(key, (now, 0))
        return (began, n) if now - began < self._seconds else (now, 0)
