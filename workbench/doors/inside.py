"""What those who were let in may send: so much, so often, and in a session of their own; and which files they get."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qs

from starlette.types import Message, Receive, Scope

from steering.errors import SteeringError
from steering.extraction.sources import VECTOR_ENDINGS
from steering.texts.formats import TAKEN
from workbench.doors.answers import API, Out
from workbench.doors.limits import Limits
from workbench.doors.rates import Rate
from workbench.doors.rooms import Rooms
from workbench.doors.sessions import Sessions, session_in
from workbench.doors.visits import VISIT, Visit
from workbench.uploads import MOST_BYTES, Parts, too_large


UNCLEAR = "This request is none that the page sends, and could not be understood. Load the page again."
KINDS = (*TAKEN, *VECTOR_ENDINGS, ".zip")
"""What names of files may end in on a public page: those that some control reads."""
_FILE = f"{API}file="
_EVENTS = re.compile(rf"{API}(queue/join|run(/.*)?|component_server|cancel)/?")
"""What is sent a session in its body."""
_HEARTBEAT = re.compile(rf"{API}heartbeat/([^/]+)/?")
_STRANGE = (403, "This belongs to another visit of the page. Load the page again.")
_NOT_YOURS = (403, "There is no such file here.")
_TOO_OFTEN = (429, "Too much was asked for within a minute; this page is public. Wait a little, then go on.")


def takes_session(scope: Scope) -> bool:
    """Whether a request names a session in its body."""
    return scope["method"] == "POST" and bool(_EVENTS.fullmatch(scope["path"]))


def too_much(upload: bool) -> str:
    """What is said where more is sent than may be."""
    most = MOST_BYTES[upload] // 1024**2
    return f"More than {most} MB were sent at once. Send less, or give a path to the command line."


class Inside:
    """Looks at the requests of those who were let in; used by the server's own thread alone."""

    def __init__(self, limits: Limits | None, rooms: Rooms | None) -> None:
        self._rooms, self._limits = rooms, limits
        self._sessions = Sessions()
        self._rate = Rate(limits.requests) if limits else None

    def wrong(self, scope: Scope, headers: dict[str, str], *, upload: bool) -> tuple[int, str] | None:
        """Status and sentence where something is wrong with a request itself."""
        path, visit = scope["path"], scope.get(VISIT)
        if too_large(headers.get("content-length", "0"), upload=upload):
            return 413, too_much(upload)
        if self._rate and visit and (upload or takes_session(scope)) and not self._rate.take(visit.number):
            return _TOO_OFTEN
        if not self._has_session(scope, visit):
            return _STRANGE
        if path.startswith(_FILE) and self._rooms and not self._rooms.offers(Path(path[len(_FILE) :])):
            return _NOT_YOURS
        if upload and self._rooms and self._limits:
            try:
                self._limits.check_disk(self._rooms.use())
            except SteeringError as error:
                return 413, str(error)
        return None

    def reading(self, headers: dict[str, str], receive: Receive, out: Out, *, upload: bool) -> Receive:
        """What receives a request's body, and ends it where something is wrong with that.

        Args:
            headers: Of the request.
            receive: As ASGI has it.
            out: Answers what is wrong.
            upload: Whether files are sent.
        """
        parts = Parts(headers.get("content-type", ""), KINDS if self._limits else ()) if upload else None
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            chunk = message.get("body", b"")
            read += len(chunk)
            if upload and self._rooms and self._limits and chunk:
                self._rooms.send(len(chunk))
            wrong = (413, too_much(upload)) if read > MOST_BYTES[upload] else parts.wrong(chunk) if parts else None
            if wrong:
                await out.instead(*wrong)
                return {"type": "http.disconnect"}
            return message

        return counted

    async def with_session(self, scope: Scope, receive: Receive, out: Out) -> Receive | None:
        """Read an event's body, and look whose session it names; gives what receives it once more, None where the
        request is answered already.
        """
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        session, visit = session_in(body), scope.get(VISIT)
        if not session or not visit:
            await out.instead(400, UNCLEAR)
            return None
        if not self._sessions.take(session, visit.number):
            await out.instead(*_STRANGE)
            return None
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again

    def _has_session(self, scope: Scope, visit: Visit | None) -> bool:
        """Whether the session that an address names, where it names one, is the visit's own."""
        path = scope["path"]
        if found := _HEARTBEAT.fullmatch(path):
            named = found[1]
        elif path.startswith(f"{API}queue/data"):
            named = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash", [""])[-1]
        else:
            return True
        return visit is not None and self._sessions.take(named, visit.number)
