"""What a request is answered: with the visit's cookie, files to be saved and not shown, or a sentence instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from workbench.doors.pages import HEADERS


API = "/gradio_api/"
_SHOWN = re.compile(r"image/(png|jpeg|gif|webp)\b")
"""Files that a browser may show; all others it saves, since a page among them would be of this origin."""


class Out:
    """What is sent: with the visit's cookie, files to be saved and not shown, and perhaps something else instead.

    An answer that tells of a fault of the server is held back until its request is over, for then it may be known that
    the request itself was at fault.
    """

    def __init__(
        self, send: Send, path: str, cookie: str, more: Mapping[str, str] | None = None, *, unknown: str = ""
    ) -> None:
        """Nothing was sent yet.

        Args:
            send: As ASGI has it.
            path: That was asked for.
            cookie: The header's value; "" for none.
            more: Further headers of what is no file.
            unknown: The page that stands for an answer that there is none; "" where that goes as it is.
        """
        self._send, self._path, self._cookie, self._unknown = send, path, cookie, unknown
        self._more = more or {}
        self._begun = self._over = False
        self._held: list[Message] = []

    async def __call__(self, message: Message) -> None:
        if self._over:
            return
        fault = False
        if message["type"] == "http.response.start" and message["status"] == 404 and self._unknown:
            await self._instead(HTMLResponse(self._unknown, 404, {**HEADERS, **self._own()}))
            return
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
            await self._instead(PlainTextResponse(text, status, {"connection": "close"}))
        self._over = True

    async def end(self) -> None:
        """The request is over: what was held back is sent."""
        if not self._over:
            for message in self._held:
                await self._send(message)

    async def _instead(self, answer: Response) -> None:
        await answer({"type": "http"}, _nothing, self._send)
        self._over = True

    def _own(self) -> dict[str, str]:
        return {"x-content-type-options": "nosniff"} | ({"set-cookie": self._cookie} if self._cookie else {})

    def _changed(self, headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
        is_file = self._path.startswith(f"{API}file=")
        kind = next((value.decode("latin-1") for name, value in headers if name.lower() == b"content-type"), "")
        for name, value in headers:
            if is_file and name.lower() == b"content-disposition" and not _SHOWN.match(kind):
                value = re.sub(rb"^\s*inline", b"attachment", value)
            yield name, value
        more = {"content-security-policy": "sandbox"} if is_file else self._more
        yield from ((name.encode(), value.encode()) for name, value in {**more, **self._own()}.items())


async def answer(status: int, text: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a sentence."""
    await PlainTextResponse(text, status, {"x-content-type-options": "nosniff"})(scope, receive, send)


async def page(
    status: int, html: str, scope: Scope, receive: Receive, send: Send, *, headers: Mapping[str, str] | None = None
) -> None:
    """Answer with one of the pages of `workbench.doors.pages`."""
    await HTMLResponse(html, status, {**HEADERS, **(headers or {})})(scope, receive, send)


async def go(to: str, cookie: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a browser to another address of this server, with a cookie where there is one.

    Args:
        to: As a relative address, which holds behind a proxy's prefix, too.
        cookie: The header's value.
        scope: Of the request.
        receive: As ASGI has it.
        send: As ASGI has it.
    """
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    headers |= {"set-cookie": cookie} if cookie else {}
    await RedirectResponse(to, 303, headers)(scope, receive, send)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
