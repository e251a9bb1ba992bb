"""Which visit a page's session belongs to: a page names its session itself, and could name another's."""

from __future__ import annotations

import json
from collections import OrderedDict


MOST = 10_000
"""Sessions that are known; of more, those go first that were used longest ago. Gradio remembers far fewer."""
LONGEST = 64
"""Characters of a session's name; Gradio's have about 11."""


class Sessions:
    """Whose sessions are; used by the server's own thread alone."""

    def __init__(self) -> None:
        self._whose: OrderedDict[str, str] = OrderedDict()

    def take(self, session: str, visit: str) -> bool:
        """Note that a visit uses a session; says whether it may: the first one that does has it.

        Args:
            session: As the page names it.
            visit: The visit's number.
        """
        if not session or len(session) > LONGEST:
            return False
        owner = self._whose.setdefault(session, visit)
        self._whose.move_to_end(session)
        while len(self._whose) > MOST:
            self._whose.popitem(last=False)
        return owner == visit


def session_in(body: bytes) -> str:
    """The session that an event's body names; "" where it names none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    session = said.get("session_hash") if isinstance(said, dict) else None
    return session if isinstance(session, str) else ""
