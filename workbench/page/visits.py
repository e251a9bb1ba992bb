"""Who a visitor is: the visit that opening the page began."""

from __future__ import annotations

from typing import Any

import gradio as gr

from workbench.doors.visits import VISIT, Visit


def visit_of(request: Any) -> Visit | None:
    """The visit that an event belongs to, as the guard found it; None where no browser asks.

    Args:
        request: Gradio's own object, or Starlette's, which functions of controls are given.
    """
    scope = getattr(getattr(request, "request", request), "scope", None)
    found = scope.get(VISIT) if isinstance(scope, dict) else None
    return found if isinstance(found, Visit) else None


def visitor_of(request: gr.Request) -> str:
    """A visitor's number, the same on all pages; "" where no browser asks."""
    visit = visit_of(request)
    return visit.number if visit else ""


def query_of(request: gr.Request) -> dict[str, str]:
    """What the page's address says behind the question mark."""
    return _pairs(request, "query_params")


def _pairs(request: gr.Request, name: str) -> dict[str, str]:
    """Gradio's own object, which gives pairs, within an event; nothing where no browser asks."""
    try:
        return {str(key): str(value) for key, value in dict(getattr(request, name)).items()}
    except AttributeError:
        return {}
