"""Who a visitor is: the number in the cookie that opening the page set."""

from __future__ import annotations

import gradio as gr


COOKIE = "sw-visit-"
"""How the cookie's name begins; a port follows."""


def visitor_of(request: gr.Request) -> str:
    """A visitor's number, the same on all pages; "" where the browser sends no cookies."""
    cookies, headers = dict(request.cookies), dict(request.headers)  # Gradio gives them as pairs within an event
    port = str(headers.get("host", "")).rpartition(":")[2]
    names = sorted(name for name in cookies if name.startswith(COOKIE))
    own = [name for name in names if name == f"{COOKIE}{port}"] or names[:1]
    return str(cookies[own[0]]) if own else ""
