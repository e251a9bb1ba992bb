"""Signing in and out: what the guard does for a page whose visitors have accounts."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.types import Receive, Scope, Send

from workbench.doors import answers, pages
from workbench.doors.accounts import Accounts
from workbench.doors.rates import Rate
from workbench.doors.visits import Visit


MOST_SENT = 8192
"""Bytes of a form that is sent to sign in."""
TRIES, OF_ONE_ADDRESS, OF_ALL, SECONDS = 10, 40, 400, 300.0
"""Wrong tries in so many seconds: with one name from one address, from one address, and altogether."""
_WRONG = "This name and password do not go together."
_TOO_MANY = "There were too many wrong tries. Wait five minutes, then try again."
_AT_ONCE = 2
"""Passwords that are looked at at one time; each takes 32 MB meanwhile."""


class Signing:
    """Lets users in who know their password; used by the server's own thread alone."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._rates = tuple(Rate(most, seconds=SECONDS) for most in (TRIES, OF_ONE_ADDRESS, OF_ALL))
        self._limiter: anyio.CapacityLimiter | None = None

    async def user(self, scope: Scope, receive: Receive) -> tuple[str, str, tuple[int, str] | None]:
        """The name that a form gives; where they want to go; and what is wrong, with its status: None lets them in."""
        said = await _form(receive)
        to, name, password = (said.get(field, "") for field in ("next", "name", "password"))
        address = scope["client"][0] if scope.get("client") else ""
        keys = (f"{address} {name[:64]}", address, "")
        if any(rate.full(key) for rate, key in zip(self._rates, keys, strict=True)):
            return name, to, (429, _TOO_MANY)
        for rate, key in zip(self._rates, keys, strict=True):  # before the look, or many could be sent at once
            rate.take(key)
        self._limiter = self._limiter or anyio.CapacityLimiter(_AT_ONCE)
        right = await anyio.to_thread.run_sync(self._accounts.admit, name, password, limiter=self._limiter)
        if not right:
            return name, to, (401, _WRONG)
        for rate, key in zip(self._rates, keys, strict=True):
            rate.give_back(key)
        return name, to, None


def way_on(to: str) -> str:
    """Where somebody goes who signed in, as a relative address of this server; its start page where that is none.

    Args:
        to: The path that was asked for, as the form sent it; never trusted.
    """
    try:
        there = urlsplit(to)
    except ValueError:
        return "./"
    fine = to.startswith("/") and not there.scheme and not there.netloc and to.isascii() and to.isprintable()
    return f"./{to.lstrip('/')}" if fine and "\\" not in to else "./"


async def answer_signing_out(
    visit: Visit, no_cookie: str, scope: Scope, receive: Receive, send: Send, *, ended: bool
) -> None:
    """Ask whether somebody wants to sign out, or say that they have."""
    if ended:
        headers = {"set-cookie": no_cookie, "clear-site-data": '"cache"'}
        await answers.page(200, pages.signed_out(), scope, receive, send, headers=headers)
    else:
        await answers.page(200, pages.sign_out(visit.user), scope, receive, send)


async def _form(receive: Receive) -> dict[str, str]:
    """The fields that were sent; nothing where it is too much, or no form."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False) and message["type"] == "http.request"
        if len(body) > MOST_SENT:
            return {}
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}
