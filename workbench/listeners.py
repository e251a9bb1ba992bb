"""Which visitors have the page open, so that work for nobody can end."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from starlette.types import Scope


PATIENCE = 30.0
"""Seconds without an open page after which nobody is taken to listen: a page that is loaded again, or a network that
changes, needs some.
"""
_HEARTBEAT = re.compile(r"/gradio_api/heartbeat/([\w-]+)")


class Listeners:
    """Sessions whose page holds a stream open: its heartbeat, or that of its events."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._heard: dict[str, float] = {}
        # Guards both: streams open and close on the server's thread, jobs ask from Gradio's.
        self._lock = threading.Lock()

    @contextmanager
    def heard(self, scope: Scope) -> Iterator[None]:
        """While a request is answered: its session is there, where the request is one of the streams above."""
        session = _session(scope)
        if not session:
            yield
            return
        with self._lock:
            self._open[session] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[session] -= 1
                if self._open[session] <= 0:
                    del self._open[session]
                    self._forget()
                    self._heard[session] = time.monotonic()

    def listens(self, session: str, since: float) -> bool:
        """Whether a session has the page open, had it a moment ago, or began a moment ago, at `since`."""
        with self._lock:
            last = max(self._heard.get(session, 0.0), since)
            return self._open[session] > 0 or time.monotonic() - last < PATIENCE

    def _forget(self) -> None:
        now = time.monotonic()
        for session in [session for session, at in self._heard.items() if now - at > PATIENCE]:
            del self._heard[session]


def _session(scope: Scope) -> str:
    found = _HEARTBEAT.fullmatch(scope["path"])
    if found:
        return found[1]
    if scope["path"].rstrip("/") == "/gradio_api/queue/data":
        return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
    return ""
