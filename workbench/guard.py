"""What stands before the page: who may speak to it, under which name, and how much may be sent.

A page on 127.0.0.1 can be reached by any other page that its visitor opens: by a request across origins, or by a name
that is bound anew to 127.0.0.1 while that page is open. So every request says under which name it came (Host) and,
where a browser sends it for a page, which page that was (Origin, Sec-Fetch-Site). And other users of the machine reach
it as well, so that only who was let in (`workbench.doors`) gets anything of it. All this is checked here, before all of
Gradio.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from workbench.doors import answers, pages
from workbench.doors.answers import API, Out
from workbench.doors.at_hand import take_up
from workbench.doors.door import Door
from workbench.doors.inside import UNCLEAR, Inside, takes_session
from workbench.doors.rooms import Rooms
from workbench.doors.signing import Signing, answer_signing_out, way_on
from workbench.doors.visits import FRAMES, VISIT, Visit, Visits
from workbench.host_names import Names, bare_name, is_loopback


_log = logging.getLogger(__name__)
LONGEST_ADDRESS = 8192
"""Characters of a path and its query, as many servers take."""
_OPEN = frozenset(
    {
        "app_id",
        "cancel",
        "component_server",
        "custom_component",
        "heartbeat",
        "info",
        "login_check",
        "queue",
        "reset",
        "run",
        "startup-events",
        "theme.css",
        "token",
        "upload",
        "upload_progress",
        "user",
    }
)
"""What the page itself asks for below `API`, beside files. The rest, such as calling events by their name or number and
fetching pages of other servers, nobody needs."""
_ANYBODYS = (
    "/assets/",
    "/static/",
    "/svelte/",
    "/theme.css",
    "/favicon.ico",
    "/manifest.json",
    "/robots.txt",
    "/pwa_icon",
)
"""Paths of Gradio's own files, which tell nothing; browsers ask for some of them without cookies."""
_STARTS = f"{API}startup-events"
"""Which the server asks itself for when it starts, and where nothing happens later."""
APP_ID = f"{API}app_id"
"""Where programs of the same user ask whether it is the page that they know, with a `PROOF`."""
PROOF = "x-steering-proof"
"""A header."""


class Guard:
    """ASGI middleware that lets through what `Names` and `Door` allow and answers the rest with a sentence."""

    def __init__(self, app: ASGIApp, names: Names, port: int, door: Door, rooms: Rooms | None = None) -> None:
        self._app = app
        self._names, self._door = names, door
        self._visits = Visits(port, door.public)
        self._inside = Inside(door.public, rooms)
        self._signing = Signing(door.accounts) if door.accounts else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        visit = self._visits.of(headers.get("cookie", ""))
        _take_up(visit, scope)
        reason = self._refusal(scope, headers)
        if scope["type"] == "websocket":
            if reason or not visit:
                await send({"type": "websocket.close", "code": 1008, "reason": (reason or _NOT_OPENED)[:120]})
            else:
                await self._app(scope, receive, send)
        elif reason:
            await answers.answer(403, reason, scope, receive, send)
        elif len(scope["path"]) + len(scope.get("query_string", b"")) > LONGEST_ADDRESS:
            await answers.answer(414, _TOO_LONG, scope, receive, send)
        elif visit or _is_anybodys(scope["path"]):
            await self._asked(scope, headers, receive, send)
        else:
            await self._at_the_door(scope, headers, receive, send)

    async def _asked(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Answer somebody who was let in."""
        visit = scope[VISIT]
        if visit and visit.user and scope["path"] == pages.SIGN_OUT and scope["method"] in ("GET", "POST"):
            if ended := scope["method"] == "POST":
                self._visits.end(visit)
            await answer_signing_out(visit, self._visits.no_cookie, scope, receive, send, ended=ended)
        elif visit and visit.user and scope["path"] == pages.SIGN_IN:
            await answers.go("./", "", scope, receive, send)
        elif "token" in (query := _query(scope)) and _is_page(scope):  # the link, opened once more
            await answers.go(_without_token(scope, query), "", scope, receive, send)
        else:
            await self._let_through(scope, headers, receive, send, cookie="")

    async def _at_the_door(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Answer somebody who has no visit yet."""
        query, page = _query(scope), _is_page(scope)
        token = _bare_token(query.get("token", ""))
        if scope["path"] == APP_ID and self._door.knows(headers.get(PROOF, "")):
            await self._let_through(scope, headers, receive, send, cookie="")
        elif self._signing and scope["path"] == pages.SIGN_IN and scope["method"] == "POST":
            await self._sign_in(self._signing, scope, headers, receive, send)
        elif not page:
            await answers.answer(403, _NOT_OPENED, scope, receive, send)
        elif not self._door.asks:
            _take_up(visit := self._visits.begin(), scope)
            await self._let_through(scope, headers, receive, send, cookie=self._cookie(visit, scope, headers))
        elif self._door.opens(token):
            cookie = self._cookie(self._visits.begin(), scope, headers)
            await answers.go(_without_token(scope, query), cookie, scope, receive, send)
        elif self._signing:
            to = "/" if scope["path"] in (pages.SIGN_IN, pages.SIGN_OUT) else _asked_for(scope)
            await answers.page(401, pages.sign_in(to), scope, receive, send)
        else:
            shown = pages.missing_token(scope["path"], wrong=bool(token))
            await answers.page(401, shown, scope, receive, send)

    async def _sign_in(
        self, signing: Signing, scope: Scope, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        user, to, wrong = await signing.user(scope, receive)
        if wrong:
            again = pages.sign_in(to or "/", said=wrong[1], name=user)
            await answers.page(wrong[0], again, scope, receive, send)
            return
        cookie = self._cookie(self._visits.begin(user), scope, headers)
        await answers.go(way_on(to), cookie, scope, receive, send)

    async def _let_through(
        self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send, *, cookie: str
    ) -> None:
        path = scope["path"]
        upload = path.rstrip("/") == f"{API}upload"
        unknown = pages.unknown(path) if _is_page(scope) else ""
        out = Out(send, path, cookie, pages.ALONE if self._signing else None, unknown=unknown)
        if wrong := self._inside.wrong(scope, headers, upload=upload):
            await out.instead(*wrong)
            return
        counted = self._inside.reading(headers, receive, out, upload=upload)
        if takes_session(scope):
            if (again := await self._inside.with_session(scope, counted, out)) is None:
                return
            counted = again
        try:
            await self._app(scope, counted, out)
        except Exception as error:  # of a request that no page sends: nothing of it is in an event's own hands
            _log.warning("%s %s failed: %s: %.200s", scope["method"], path[:200], type(error).__name__, error)
            _log.debug("Where it failed", exc_info=error)  # should the fault be ours after all
            await out.instead(400, UNCLEAR)
        else:
            await out.end()

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> str:
        """Why a request is not let in, whoever sends it; "" where it is."""
        host, origin = headers.get("host", ""), headers.get("origin")
        # A proxy in front says under which name it was asked; Gradio builds its addresses from it.
        for name in (host, *(each for each in (headers.get("x-forwarded-host"),) if each is not None)):
            bare = bare_name(name)
            if not self._names.has(bare):
                return (
                    f"This workbench does not answer to the name {_shown(bare)}. If it should, whoever runs it "
                    f"can allow that name: workbench serve --allow-host NAME."
                )
        if origin is not None and not self._is_own(origin, host):
            return f"This workbench takes no requests from the page {_shown(origin)}; open it at its own address."
        path = scope["path"]
        elsewhere = headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
        if elsewhere and (path.startswith(API) or headers.get("sec-fetch-mode") != "navigate"):
            return "This workbench takes no requests from pages of other servers; open it at its own address."
        if path.startswith(API) and not _is_open(path[len(API) :]):
            return "This part of the server is not open: the page does not use it."
        return ""

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            there = urlsplit(origin)
            name = there.hostname or ""
        except ValueError:
            return False
        if there.scheme not in ("http", "https"):
            return False
        usual = {"http": ":80", "https": ":443"}[there.scheme]
        same = there.netloc.lower().removesuffix(usual) == host.lower().removesuffix(usual)
        return same or name in self._names.named

    def _cookie(self, visit: Visit, scope: Scope, headers: dict[str, str]) -> str:
        https = self._names.https or headers.get("x-forwarded-proto", scope.get("scheme")) == "https"
        # Browsers that do not say what a page is for are taken to show it in a frame where they may, as in a Space.
        framed = headers.get("sec-fetch-dest", "iframe" if https else "document") in FRAMES
        trusted = https or is_loopback(bare_name(headers.get("host", "")))
        return self._visits.cookie(visit, https=https, framed=framed and trusted)


_NOT_OPENED = "This works from the opened page alone. Open it, or load it again where it was open already."
_TOO_LONG = f"The address is longer than {LONGEST_ADDRESS:,} characters. Send long texts as a file, or paste them."


def _take_up(visit: Visit | None, scope: Scope) -> None:
    scope[VISIT] = visit
    take_up(visit)


def _headers(scope: Scope) -> dict[str, str]:
    """By their names in small letters; of a name that comes twice, such as a second Host, both."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joint = "; " if key == "cookie" else ", "
        found[key] = f"{found[key]}{joint}{text}" if key in found else text
    return found


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))


def _bare_token(given: str) -> str:
    """A token, also where somebody pasted the whole link."""
    return given.rpartition("token=")[2].partition("&")[0].strip()


def _without_token(scope: Scope, query: dict[str, str]) -> str:
    """The address that was asked for without the token, relative to itself."""
    rest = urlencode({name: value for name, value in query.items() if name != "token"})
    return f"./{scope['path'].rpartition('/')[2]}{f'?{rest}' if rest else ''}"


def _asked_for(scope: Scope) -> str:
    """The path with its query."""
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{quote(scope['path'])}{f'?{query}' if query else ''}"


def _is_page(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") and not scope["path"].startswith(API) and not _is_anybodys(scope["path"])


def _is_anybodys(path: str) -> bool:
    return path.startswith(_ANYBODYS) or path == _STARTS


def _is_open(rest: str) -> bool:
    if rest.startswith("file="):
        return not re.match(r"file=\w+:/", rest)
    return rest.partition("/")[0] in _OPEN


def _shown(text: str) -> str:
    return repr(text[:80])
