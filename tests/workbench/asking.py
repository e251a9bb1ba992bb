"""A workbench without a page's server, and requests as the guard hands them on to a page's events."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr
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
