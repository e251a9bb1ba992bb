"""What a page of a run can be asked: answered from what the run left in memory, or as it was kept with a run that is
shown again without computing anything.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import gradio as gr

from workbench.memory import Properties


if TYPE_CHECKING:
    from workbench.page.context import PanelContext

_log = logging.getLogger(__name__)
MOST = 2_000
"""Answers of one kind that are kept with a run."""
LONGEST = 10.0
"""Seconds that making those of one kind may take; the others are not kept."""
_BETWEEN = "\x1f"
Picks = Callable[..., Iterable[str]]
"""`picks(*states)` gives everything that could be chosen."""


@dataclass(frozen=True, eq=False)
class Question:
    """Something that can be asked of a run, for each of what could be chosen."""

    states: Sequence[gr.State]
    """What a run leaves for it; all are false before one."""
    picks: Picks
    plain: Callable[..., Any]
    """`plain(pick, *states)` gives the answer as plain data, which is kept; nothing where there is none."""


class Answers:
    """Of one panel's page."""

    def __init__(self, ui: PanelContext) -> None:
        self._ui = ui
        self._all: dict[str, Question] = {}
        self.run = gr.State("", render=False)
        """Id of the kept run that the page shows again; "" where it shows none."""

    def placed_run(self) -> gr.State:
        """`run`, placed on the page with the first that asks for it."""
        if not self.run.is_rendered:
            self.run.render()
        return self.run

    def add(self, name: str, question: Question) -> None:
        """Keep what a question gives with every run, under a name."""
        self.placed_run()
        self._all[name] = question

    def in_memory(self, run: str, values: Sequence[Any]) -> bool:
        """Whether what is asked is made from the states' values, and not read from a kept run."""
        return not run or any(values)

    def of(self, name: str, pick: str, run: str) -> Any:
        """As it was kept with a run; None where it was not.

        Raises:
            SteeringError: There is no such run.
        """
        return self._ui.workspace.runs.details(run, name).get(pick)

    def kept(self, view: Properties) -> Iterator[tuple[str, dict[str, Any]]]:
        """Everything that can be asked of a run that ended, as plain data: name of the question, and pick -> answer.

        Args:
            view: What the run changed, states among it.
        """
        for name, question in self._all.items():
            values = [view.get(state, {}).get("value", state.value) for state in question.states]
            if not any(values):
                continue
            try:
                found = dict(_given(question, values))
            except Exception:  # a third party's: the run is kept without it
                _log.exception("What can be asked of a run of %s is not kept", self._ui.title)
                continue
            if found:
                yield name, found


def selected(*values: Any) -> str:
    """The pick that the values of several lists are together."""
    return _BETWEEN.join("" if value is None else str(value) for value in values)


def parted(pick: str) -> list[str]:
    """The values of several lists, as texts, of a pick."""
    return pick.split(_BETWEEN)


def _given(question: Question, values: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    begun = time.monotonic()
    for pick in islice(question.picks(*values), MOST):
        if time.monotonic() - begun > LONGEST:
            return
        if answer := question.plain(pick, *values):
            yield pick, answer
