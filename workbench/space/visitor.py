"""A visitor of a page without a browser: opens it, presses its buttons and sees what changes."""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import httpx
from gradio_client.utils import apply_diff

from steering.errors import SteeringError


_CONFIG = re.compile(r"window\.gradio_config\s*=\s*(\{.*?\});</script>", re.DOTALL)
_CARD = re.compile(r'<div class="sw-error".*?</div>', re.DOTALL)
_MARK = "__type__"


def text_of(markup: str) -> str:
    """Markup as somebody reads it."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", markup)).split())


class Visitor:
    """One browser's worth of cookies, at one page at a time."""

    def __init__(self, address: str, *, headers: Mapping[str, str] | None = None, timeout: float = 120.0) -> None:
        """Nobody yet: `open` a page first.

        Args:
            address: Of the server, such as "http://127.0.0.1:7860".
            headers: Sent with everything, as a proxy in front would add them.
            timeout: Seconds to wait for each word of the server.
        """
        self._client = httpx.Client(base_url=address, headers=dict(headers or {}), timeout=timeout, trust_env=False)
        self._session = ""
        self._config: dict[str, Any] = {}
        self._shown: dict[int, dict[str, Any]] = {}

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def open(self, path: str) -> str:
        """Open a page, such as "/steer", with all that happens then; gives its markup.

        Raises:
            SteeringError: It is not there, or is no page of Gradio's.
        """
        try:
            answer = self._client.get(path, follow_redirects=True)
        except httpx.HTTPError as error:
            raise SteeringError(f"The page {path} does not answer: {type(error).__name__}.") from error
        found = _CONFIG.search(answer.text)
        if answer.status_code != 200 or found is None:
            raise SteeringError(
                f"The page {path} answers {answer.status_code}: {answer.text[:200]}", "a page of the workbench."
            )
        self._config, self._session = json.loads(found[1]), secrets.token_hex(8)
        self._shown = {each["id"]: dict(each["props"]) for each in self._config["components"]}
        for event in self._events("load"):
            for _ in self._fired(event):
                pass
        return answer.text

    def fetch(self, path: str) -> httpx.Response:
        """Ask for anything else, such as a file."""
        return self._client.get(path)

    @property
    def pages(self) -> list[str]:
        """The paths of all pages, "" the first."""
        return [str(path) for path, *_ in self._config["pages"]]

    def value(self, id: str) -> Any:
        """What a part of the page shows now.

        Raises:
            SteeringError: There is no such part.
        """
        return self._shown[self._number(id)].get("value")

    def markup(self) -> str:
        """What all parts of the page show."""
        return "\n".join(str(props.get("value") or "") for props in self._shown.values())

    def errors(self) -> list[str]:
        """What the page's error cards say."""
        return [text_of(card) for card in _CARD.findall(self.markup())]

    def press(self, id: str, values: Mapping[str, Any] | None = None) -> Iterator[None]:
        """Press a button; yields after each change of the page.

        Args:
            id: Of the button.
            values: Id of a part -> what is typed there before.

        Raises:
            SteeringError: There is no such button, or the server answers with an error.
        """
        for name, value in (values or {}).items():
            self._shown[self._number(name)]["value"] = value
        for event in self._events("click", self._number(id)):
            yield from self._fired(event)

    def push(self, id: str) -> None:
        """Press a button while something else goes on, such as Stop; what changes is seen there."""
        for event in self._events("click", self._number(id)):
            self._send(event)

    def _number(self, id: str) -> int:
        for number, props in self._shown.items():
            if props.get("elem_id") == id:
                return number
        raise SteeringError(f"The page has no part '{id}'.", "a part that is laid out there.")

    def _events(self, name: str, target: int | None = None) -> list[dict[str, Any]]:
        """Those that the server does, of a component or of the page itself."""
        events = [each for each in self._config["dependencies"] if each["backend_fn"]]
        return [
            each
            for each in events
            if any(event == name and (target is None or id == target) for id, event in each["targets"])
        ]

    def _fired(self, event: Mapping[str, Any]) -> Iterator[None]:
        id_of_event = self._send(event)
        last: list[Any] = []
        for said in self._said(id_of_event):
            if said["msg"] == "process_completed" and not said["success"]:
                raise SteeringError(f"The server says: {said['output'].get('error')}")
            if said["msg"] == "process_generating":
                given = said["output"]["data"]
                last = given if not last else [apply_diff(*each) for each in zip(last, given, strict=True)]
            elif said["msg"] == "process_completed":
                last = said["output"]["data"]
            else:
                continue
            for id, change in zip(event["outputs"], last, strict=False):
                self._change(id, change)
            yield

    def _send(self, event: Mapping[str, Any]) -> str:
        sent = {
            "data": [self._shown.get(id, {}).get("value") for id in event["inputs"]],
            "fn_index": event["id"],
            "session_hash": self._session,
            "event_data": None,
        }
        answer = self._client.post("/gradio_api/queue/join", json=sent)
        if answer.status_code != 200:
            raise SteeringError(f"The server answers {answer.status_code}: {answer.text[:300]}")
        return str(answer.json()["event_id"])

    def _change(self, id: int, change: Any) -> None:
        props = self._shown.setdefault(id, {})
        if isinstance(change, dict) and change.get(_MARK) == "update":
            props.update({name: value for name, value in change.items() if name != _MARK})
        else:
            props["value"] = change

    def _said(self, event_id: str) -> Iterator[dict[str, Any]]:
        with self._client.stream("GET", "/gradio_api/queue/data", params={"session_hash": self._session}) as lines:
            for line in lines.iter_lines():
                said = json.loads(line[5:]) if line.startswith("data:") else {}
                if said.get("event_id") == event_id:
                    yield said
                if said.get("msg") == "close_stream" or (
                    said.get("event_id") == event_id and said["msg"] == "process_completed"
                ):
                    return
