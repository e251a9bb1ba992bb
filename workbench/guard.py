"""What stands before the page: who may speak to it, under which name, and how much may be sent.

A page on 127.0.0.1 can be reached by any other page that its visitor opens: by a request across origins, or by a name
that is bound anew to 127.0.0.1 while that page is open. So every request says under which name it came (Host) and,
where a browser sends it for a page, which page that was (Origin, Sec-Fetch-Site). Both are checked here, before all of
Gradio.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets
from collections.abc import Iterable, Iterator
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from workbench.host_names import Names, bare_name
from workbench.uploads import MOST_BYTES, Parts, too_large


_log = logging.getLogger(__name__)
API = "/gradio_api/"
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
_OF_A_VISIT = re.compile(rf"{API}(queue/join|run(/.*)?|component_server|upload|cancel|reset)/?")
"""What only somebody may ask for who has opened the page."""
_SHOWN = re.compile(r"image/(png|jpeg|gif|webp)\b")
"""Files that a browser may show; all others it saves, since a page among them would be of this origin."""


class Guard:
    """ASGI middleware that lets through what `Names` allow and answers the rest with 403 and a sentence."""

    def __init__(self, app: ASGIApp, names: Names, port: int) -> None:
        self._app = app
        self._names = names
        # Cookies do not tell ports apart, so that two workbenches on one machine would take each other's.
        self._cookie = f"sw-visit-{port}"
        self._secret = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = _headers(scope)
        reason = self._refusal(scope, headers)
        if reason and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
        elif reason:
            await _answer(403, reason, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._let_in(scope, headers, receive, send)

    async def _let_in(self, scope: Scope, headers: dict[str, str], receive: Receive, send: Send) -> None:
        path = scope["path"]
        upload = path.rstrip("/") == f"{API}upload"
        if too_large(headers.get("content-length", "0"), upload=upload):
            await _answer(413, _too_much(upload), scope, receive, send)
            return
        if len(path) + len(scope.get("query_string", b"")) > LONGEST_ADDRESS:
            await _answer(414, _TOO_LONG, scope, receive, send)
            return
        visit = "" if self._visits(headers) or not _is_page(scope) else self._new_visit()
        out = _Out(send, path, self._set_cookie(visit, headers) if visit else "")
        parts = Parts(headers.get("content-type", "")) if upload else None
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            chunk = message.get("body", b"")
            read += len(chunk)
            wrong = (413, _too_much(upload)) if read > MOST_BYTES[upload] else parts.wrong(chunk) if parts else None
            if wrong:
                await out.instead(*wrong)
                return {"type": "http.disconnect"}
            return message

        try:
            await self._app(scope, counted, out)
        except Exception as error:  # of a request that no page sends: nothing of it is in an event's own hands
            _log.warning("%s %s failed: %s: %.200s", scope["method"], path[:200], type(error).__name__, error)
            _log.debug("Where it failed", exc_info=error)  # should the fault be ours after all
            await out.instead(400, _UNCLEAR)
        else:
            await out.end()

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> str:
        """Why a request is not let in, "" where it is."""
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
        if _OF_A_VISIT.fullmatch(path) and not self._visits(headers):
            return "This works from the opened page alone. Open it, or load it again where it was open already."
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

    def _new_visit(self) -> str:
        number = secrets.token_hex(16)
        return f"{number}.{self._sign(number)}"

    def _sign(self, number: str) -> str:
        return hmac.new(self._secret, number.encode(), "sha256").hexdigest()

    def _visits(self, headers: dict[str, str]) -> bool:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        number, _, signature = morsel.value.partition(".") if morsel else ("", "", "")
        return hmac.compare_digest(self._sign(number).encode(), signature.encode())

    def _set_cookie(self, visit: str, headers: dict[str, str]) -> str:
        # A Space is shown inside a page of huggingface.co, where only such a cookie is sent.
        inside = headers.get("x-forwarded-proto") == "https"
        kind = "SameSite=None; Secure; Partitioned" if inside else "SameSite=Strict"
        return f"{self._cookie}={visit}; Path=/; HttpOnly; {kind}"


_TOO_LONG = f"The address is longer than {LONGEST_ADDRESS:,} characters. Send long texts as a file, or paste them."
_UNCLEAR = "This request is none that the page sends, and could not be understood. Load the page again."


class _Out:
    """What is sent: with the visit's cookie, files to be saved and not shown, and perhaps something else instead.

    An answer that tells of a fault of the server is held back until its request is over, for then it may be known that
    the request itself was at fault.
    """

    def __init__(self, send: Send, path: str, cookie: str) -> None:
        self._send, self._path, self._cookie = send, path, cookie
        self._begun = self._over = False
        self._held: list[Message] = []

    async def __call__(self, message: Message) -> None:
        if self._over:
            return
        fault = False
        if message["type"] == "http.response.start":
            fault = message["status"] == 500
            self._begun = not fault
            message = {**message, "headers": list(self._changed(message.get("headers", ())))}
        if fault or self._held:
            self._held.append(message)
        else:
            await self._send(message)

    async def instead(self, status: int, text: str) -> None:
        """Answer with an error, and with nothing else after it."""
        if not self._begun and not self._over:
            answer = PlainTextResponse(text, status, {"connection": "close"})
            await answer({"type": "http"}, _nothing, self._send)
        self._over = True

    async def end(self) -> None:
        """The request is over: what was held back is sent."""
        if not self._over:
            for message in self._held:
                await self._send(message)

    def _changed(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        is_file = self._path.startswith(f"{API}file=")
        kind = next((value.decode("latin-1") for name, value in headers if name.lower() == b"content-type"), "")
        for name, value in headers:
            if is_file and name.lower() == b"content-disposition" and not _SHOWN.match(kind):
                value = re.sub(rb"^\s*inline", b"attachment", value)
            yield name, value
        yield b"x-content-type-options", b"nosniff"
        if is_file:
            yield b"content-security-policy", b"sandbox"
        if self._cookie:
            yield b"set-cookie", self._cookie.encode()


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _answer(status: int, text: str, scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse(text, status, {"x-content-type-options": "nosniff"})(scope, receive, send)


def _too_much(upload: bool) -> str:
    most = MOST_BYTES[upload] // 1024**2
    return f"More than {most} MB were sent at once. Send less, or give a path to the command line."


def _headers(scope: Scope) -> dict[str, str]:
    """By their names in small letters; of a name that comes twice, such as a second Host, both."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        joint = "; " if key == "cookie" else ", "
        found[key] = f"{found[key]}{joint}{text}" if key in found else text
    return found


def _is_page(scope: Scope) -> bool:
    return scope["method"] == "GET" and not scope["path"].startswith((API, "/assets", "/static"))


def _is_open(rest: str) -> bool:
    if rest.startswith("file="):
        return not re.match(r"file=\w+:/", rest)
    return rest.partition("/")[0] in _OPEN


def _shown(text: str) -> str:
    return repr(text[:80])
