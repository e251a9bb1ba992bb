"""On whose behalf something is done: the visit at hand.

The guard takes up a visit for what a request does itself. Gradio's queue runs events outside of the request that sent
them, so the page takes it up again from the event's own request (`workbench.page.inputs.Page`); a run's thread and a
job get a copy of that context. So whatever asks whose it is (`visit_at_hand`) gets the one who asked, or nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from steering.job import asked_by
from workbench.doors.limits import Limits
from workbench.doors.visits import Visit


_visit: ContextVar[Visit | None] = ContextVar("visit", default=None)


def visit_at_hand() -> Visit | None:
    """The visit on whose behalf this context does something; None where it does so for nobody in particular."""
    return _visit.get()


def limits_at_hand() -> Limits | None:
    """How much whoever is at hand may ask for; None where they may ask for anything."""
    visit = _visit.get()
    return visit.limits if visit else None


def allowed(value: Any, unit: str) -> Any:
    """A field's value, where whoever is at hand may ask for it.

    Args:
        value: Of any kind; texts and numbers of tokens have limits.
        unit: The field's, such as "tokens".

    Raises:
        SteeringError: They may not.
    """
    limits = limits_at_hand()
    if limits and isinstance(value, str):
        limits.check_text(value)
    if limits and isinstance(value, int | float) and unit.startswith("tokens"):
        limits.check_tokens(value)
    return value


def take_up(visit: Visit | None) -> None:
    """Do the rest of this context (see `contextvars`) on behalf of a visit."""
    _visit.set(visit)
    asked_by(visit.room if visit else "")


@contextmanager
def on_behalf_of(visit: Visit | None) -> Iterator[None]:
    """Do something on behalf of a visit, and then go on for whom it was done before."""
    before = _visit.get()
    take_up(visit)
    try:
        yield
    finally:
        take_up(before)
