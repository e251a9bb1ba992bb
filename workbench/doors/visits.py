"""Visits: who was let in, kept in a signed cookie."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from workbench.doors.limits import Limits


_FORM = re.compile(r"(([0-9a-f]{32})\.([a-z0-9_-]*)\.(\d{1,12}))\.([0-9a-f]{64})")
DAYS = 7
"""After which who signed in has to do so again."""
MOST_ENDED = 10_000
VISIT = "steering.visit"
"""Under which a request's scope has the visit that it belongs to, None where it belongs to none."""
FRAMES = frozenset({"iframe", "frame", "embed", "object"})
"""What a browser says a page is for (Sec-Fetch-Dest) that stands inside another one."""


@dataclass(frozen=True)
class Visit:
    """Somebody's browser that was let in."""

    number: str
    """Which nobody can guess."""
    user: str = ""
    """Who signed in; "" where nobody has to."""
    since: int = 0
    """When it began, in seconds of a clock that nobody puts forward or back; only this server knows what they mean."""
    room: str = ""
    """Whose workspace is theirs; "" where all share one."""
    limits: Limits | None = None
    """How much they may ask for; anything where None."""


LAYOUT = Visit("layout", room="layout")
"""Of nobody: on its behalf a page is laid out that everybody gets, so that nothing of anybody stands in it."""


class Visits:
    """Makes the cookies of one server and knows them again; those of an earlier one it does not."""

    def __init__(self, port: int, limits: Limits | None = None) -> None:
        """None has begun yet.

        Args:
            port: Of the server.
            limits: Of every visitor of a public page, where each has a workspace of their own.
        """
        # Cookies do not tell ports apart, so that two workbenches on one machine would take each other's.
        self._cookie = f"sw-visit-{port}"
        self._limits = limits
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._secret = secrets.token_bytes(32)

    def begin(self, user: str = "") -> Visit:
        """A visit of somebody who was let in.

        Args:
            user: Who signed in; "" where nobody has to.
        """
        return self._visit(secrets.token_hex(16), user, int(time.monotonic()))

    def end(self, visit: Visit) -> None:
        """Let nobody in for a visit any more."""
        self._ended[visit.number] = None
        while len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)

    def of(self, cookies: str) -> Visit | None:
        """The visit that a request's cookies tell of; None where they tell of none that this server began.

        Args:
            cookies: As the header has them. A page that also stands in a frame may have two of one name.
        """
        for value in self._values(cookies):
            found = _FORM.fullmatch(value)
            if not found or not hmac.compare_digest(self._sign(found[1]).encode(), found[5].encode()):
                continue
            visit = self._visit(found[2], found[3], int(found[4]))
            old = visit.user and time.monotonic() - visit.since > DAYS * 86_400
            if not old and visit.number not in self._ended:
                return visit
        return None

    def cookie(self, visit: Visit, *, https: bool, framed: bool) -> str:
        """The header that keeps a visit.

        Args:
            visit: It.
            https: Whether the browser's way to the page is encrypted.
            framed: Whether the page stands in a frame of another server's page, such as a notebook's or that of a
                Space: there a browser sends no cookie that does not say that it may go there, and takes such a one only
                over https and on this machine.
        """
        said = f"{visit.number}.{visit.user}.{visit.since}"
        kind = "SameSite=None; Secure; Partitioned" if framed else f"SameSite=Lax{'; Secure' if https else ''}"
        return f"{self._cookie}={said}.{self._sign(said)}; Path=/; HttpOnly; {kind}"

    @property
    def no_cookie(self) -> str:
        """The header that takes a visit from a browser."""
        return f"{self._cookie}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"

    def _visit(self, number: str, user: str, since: int) -> Visit:
        room = user or (number if self._limits else "")
        return Visit(number, user=user, since=since, room=room, limits=self._limits)

    def _sign(self, said: str) -> str:
        return hmac.new(self._secret, said.encode(), "sha256").hexdigest()

    def _values(self, cookies: str) -> Iterator[str]:
        for each in cookies.split(";"):
            name, _, value = each.strip().partition("=")
            if name == self._cookie:
                yield value.strip('"')
