"""Who a visitor is: the number in the cookie that opening the page set."""

from __future__ import annotations

import gradio as gr


COOKIE = "sw-visit-"
"""How the cookie's name begins; a port follows."""


def visitor_of(request: gr.Request) -> str:
    """A visitor's number, the same on all pages; "" where the browser sends no cookies."""
    cookies, headers = _pairs(request, "cookies"), _pairs(request, "headers")
    port = headers.get("host", "").rpartition(":")[2]
    names = sorted(name for name in cookies if name.startswith(COOKIE))
    own = [name for name in names if name == f"{COOKIE}{port}"] or names[:1]
    return cookies[own[0]] if own else ""


def query_of(request: gr.Request) -> dict[str, str]:
    """What the page's address says behind the question mark."""
    return _pairs(request, "query_params")


def _pairs(request: gr.Request, name: str) -> dict[str, str]:
    """Gradio's own object, which gives pairs, within an event; nothing where no browser asks."""
    try:
        return {str(key): str(value) for key, value in dict(getattr(request, name)).items()}
    except AttributeError:
        return {}
