"""The browser of a visitor of a storm: what a page sends, and what none does."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

import httpx

from workbench.doors.answers import API
from workbench.doors.limits import Limits
from workbench.doors.visits import Visit
from workbench.space.visitor import Visitor


LIMITS = Limits(tokens=60, rows=400, cells=8, prompt=2000, queue=8, requests=100_000, disk=10_000, vectors=60)
"""Of each visitor. What is pressed at random asks for little or is refused; nothing else is."""
WAIT = 300.0
"""Seconds for each word of the server, before what hangs is told as stuck."""
_TEXTS = (
    "",
    " ",
    "\0",
    "\ud800",
    "-1--5",
    "1e999",
    "{",
    "[" * 300,
    "../../etc/passwd",
    "hub:a/b",
    "nan",
    "x" * 100_000,
)
_NUMBERS = (0, -1, 2**63, 10**400, 1.5, float("inf"), float("nan"))
_OTHERS: tuple[Any, ...] = (None, True, [], {}, [None], {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}})
_LATER = ("load", "extract", "methods", "start", "grid-start")
"""Buttons that rude visitors leave alone: what they do is right, long and in nobody's way but the storm's."""


class Browser(Visitor):
    """A visitor whose page says that it is open, as a browser's does: without that the server keeps what it knows of
    a page for later."""

    def __init__(self, address: str) -> None:
        super().__init__(address, timeout=WAIT)
        self._alive: httpx.Response | None = None

    def open(self, path: str) -> str:
        self.leave()
        text = super().open(path)
        beat = self._client.build_request("GET", f"{API}heartbeat/{self._session}")
        self._alive = self._client.send(beat, stream=True)
        return text

    def leave(self) -> None:
        """Close the page's tab."""
        if self._alive is not None:
            self._alive.close()
        self._alive = None

    def close(self) -> None:
        """Close the browser."""
        self.leave()
        self._client.close()

    @property
    def visit(self) -> Visit:
        """As the server knows it."""
        number = next(iter(self._client.cookies.values())).partition(".")[0]
        return Visit(number, room=number, limits=LIMITS)

    def send(self, method: str, path: str, **given: Any) -> int:
        """Send anything at all; gives the status of the answer."""
        with self._client.stream(method, path, **given) as answer:
            return answer.status_code

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that the page can ask the server for."""
        buttons = {id for id, props in self._shown.items() if props.get("elem_id") in _LATER}
        dependencies = [each for each in self._config["dependencies"] if each["backend_fn"]]
        return [each for each in dependencies if not buttons & {target for target, _ in each["targets"]}]

    def hostile(self, event: Mapping[str, Any], values: Mapping[int, Any]) -> None:
        """Fire an event with other values than its controls have, and look at what changes.

        Args:
            event: One of `events`.
            values: By the place among its inputs.
        """
        inputs = [*event["inputs"]]
        before = {id: dict(self._shown.get(id, {})) for id in inputs}
        for place, value in values.items():
            self._shown.setdefault(inputs[place], {})["value"] = value
        try:
            for _ in itertools.islice(self._fired(event), 4):
                pass
        finally:
            self._shown.update(before)

    @property
    def session(self) -> str:
        return self._session


def nonsense(drawn: random.Random) -> Any:
    """A value that no control has."""
    many = (*_TEXTS, *_NUMBERS, *_OTHERS)
    value, other = drawn.choice(many), drawn.choice(many)
    return value if drawn.random() < 0.7 else drawn.choice([[value, other], {"name": value, "value": other}])
