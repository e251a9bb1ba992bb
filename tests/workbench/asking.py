"""A workbench without a page's server, and who asks its pages' events without a browser, as the guard hands them on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
from gradio.state_holder import SessionState
from starlette.requests import Request

from steering.model.host import Host
from tests.conftest import tiny_model
from workbench.bench import Workbench
from workbench.doors.visits import VISIT, Visit


def tiny_bench(folder: Path, tokenizer: Any) -> Workbench:
    """A workbench on a tiny model with random weights, 4 blocks of width 32."""
    bench = Workbench(workspace=folder)
    bench.model.host = Host.wrap(tiny_model("llama"), tokenizer, name="tiny", lane=bench.lane)
    return bench


def asked_by(visitor: str | Visit | None, **query: str) -> gr.Request:
    """The request of a visitor's event.

    Args:
        visitor: Their visit, or its number, which is that of their session, too; of nobody where it is None or empty.
        query: What the page's address says behind the question mark.
    """
    visit = Visit(visitor) if isinstance(visitor, str) and visitor else visitor or None
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/gradio_api/queue/join",
        "headers": [(b"host", b"localhost:1")],
        "query_string": urlencode(query).encode(),
        VISIT: visit,
    }
    return gr.Request(Request(scope), session_hash=visit.number if isinstance(visit, Visit) else "")


class Asker:
    """One session of a page: events go the way that the page sends them."""

    def __init__(self, page: Any, request: gr.Request) -> None:
        self.page, self.request, self.state = page, request, SessionState(page)

    def ask(self, name: str, what: str = "click", *, until: str = "", **given: Any) -> str:
        """All that an event shows, as JSON, or what it shows as far as `until` stands in it.

        Args:
            name: `elem_id` of what it is an event of.
            what: Which of its events.
            until: Where to leave, as a tab does that is closed.
            given: By `elem_id` what controls send; others send what stands in them when the page is made.
        """
        event = event_of(self.page, name, what)

        async def followed() -> str:
            shown = []
            async for data in self.answers(event, values_of(event, given)):
                shown.append(json.dumps(data, default=str))
                if until and until in shown[-1]:
                    break
            return "\n".join(shown)

        return asyncio.run(followed())

    async def answers(self, event: Any, values: list[Any], click: Any = None) -> AsyncIterator[Any]:
        """What an event gives the page, one answer after the other, until it has ended."""
        steps, request = None, self.request
        while True:
            given = {"state": self.state, "request": request, "session_hash": request.session_hash}
            data = gr.EventData(None, click)
            answer = await self.page.process_api(event, values, iterator=steps, event_data=data, **given)
            steps = answer["iterator"]
            yield answer["data"]
            if not answer["is_generating"]:
                return


def event_of(page: Any, name: str, what: str = "click") -> Any:
    """What a page does at an event of the component with this `elem_id`."""
    (part,) = (each for each in page.blocks.values() if each.elem_id == name)
    (event,) = (each for each in page.fns.values() if each.fn and (part._id, what) in each.targets)
    return event


def values_of(event: Any, given: dict[str, Any]) -> list[Any]:
    """What controls send: by `elem_id`, else what stands in them when the page is made."""
    return [given.get(str(part.elem_id), None if callable(part.value) else part.value) for part in event.inputs]
