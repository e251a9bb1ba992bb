"""The view of Refusal, while the job that it draws goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from panels.refusal.view import RefusalView


def test_a_choice_that_falls_while_the_candidates_are_drawn_is_drawn_next() -> None:
    """Else their table would keep the marks of a moment before, to the end and in the kept run."""
    view, seen = object.__new__(RefusalView), []
    going = SimpleNamespace(
        choice=None, prepared=None, rates=(), notes_by_part={}, host=SimpleNamespace(warnings=()), scores={}
    )

    def draw(inquiry: Any) -> dict[Any, Any]:
        seen.append(inquiry.choice)
        inquiry.choice = "chosen"  # by the model's thread, in the middle of it
        return {}

    view._candidates = SimpleNamespace(shown=draw)  # type: ignore[assignment]
    view._found, view._ready = "found", "ready"  # type: ignore[assignment]
    drawn: set[str] = set()
    for _ in range(3):
        view.shown(going, drawn, running=True)  # type: ignore[arg-type]
    assert seen == [None, "chosen"]  # and not a third time, which would be for nothing
