"""What a click opens on a panel's page: drawn from what its run left in memory, or as it was kept beside a run that is
shown again without computing anything.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.errors import SteeringError
from workbench.memory import Properties, changed
from workbench.page.blocks import EVENT
from workbench.page.cleaning import cleaned
from workbench.page.jobs import Outputs
from workbench.page.kept_view import shown_of


if TYPE_CHECKING:
    from workbench.page.context import PanelContext

_log = logging.getLogger(__name__)
MOST = 2_000
"""Choices of one kind that are kept with a run."""
LONGEST = 10.0
"""Seconds that drawing those of one kind may take; the others are not kept."""
_BETWEEN = "\x1f"
Draw = Callable[..., Outputs]
"""`draw(pick, *states)` gives what changes; nothing where there is no such pick."""
Picks = Callable[..., Iterable[str]]
"""`picks(*states)` gives everything that could be chosen."""


@dataclass(frozen=True, eq=False)
class Choice:
    """Something on a page that can be chosen."""

    name: str
    states: Sequence[gr.State]
    draw: Draw
    picks: Picks


class Choices:
    """All of one panel's page."""

    def __init__(self, ui: PanelContext) -> None:
        self._ui = ui
        self._all: dict[str, Choice] = {}
        self.run = gr.State("", render=False)
        """Id of the kept run that the page shows again; "" where it shows none."""

    def on_click(
        self,
        name: str,
        event: Any,
        draw: Draw,
        *,
        pick: Callable[[gr.EventData], str],
        picks: Picks,
        states: Sequence[gr.State],
        outputs: Sequence[Any],
    ) -> None:
        """Wire a click.

        Args:
            name: Of the choice on its panel, under which it is kept.
            event: Such as `block.choose`.
            draw: See `Draw`.
            pick: What was clicked, as `picks` names it.
            picks: See `Picks`.
            states: What a run leaves for it; all are false before one.
            outputs: Every component that may change; handlers change each of them, too.
        """
        choice = self._added(Choice(name, states, draw, picks))

        def handle(event: gr.EventData, run: str, *values: Any) -> Any:
            return self._answer(choice, pick(event), run, values)

        event(handle, inputs=[self.run, *states], outputs=list(outputs), **EVENT)

    def on_select(
        self,
        name: str,
        selects: Sequence[Any],
        draw: Draw,
        *,
        picks: Picks,
        states: Sequence[gr.State],
        outputs: Sequence[Any],
    ) -> None:
        """Wire choices from lists that count together; see `on_click`. A pick is their values (`selected`)."""
        choice = self._added(Choice(name, states, draw, picks))

        def handle(run: str, *values: Any) -> Any:
            return self._answer(choice, selected(*values[: len(selects)]), run, values[len(selects) :])

        given = [self.run, *selects, *states]
        gr.on([each.input for each in selects], handle, inputs=given, outputs=list(outputs), **EVENT)

    def kept(self, view: Properties, parts: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Everything that could be chosen on the page of a run that ended, as plain data: name of the choice, and pick
        -> name of a component -> properties.

        Args:
            view: What the run changed, states among it.
            parts: Name -> component, of those that can be kept.
        """
        for choice in self._all.values():
            values = [view.get(state, {}).get("value", state.value) for state in choice.states]
            if not any(values):
                continue
            try:
                found = dict(_drawn(choice, values, parts))
            except Exception:  # a third party's: the run is kept without it
                _log.exception("What a click opens on %s is not kept", self._ui.title)
                continue
            if found:
                yield choice.name, found

    def placed_run(self) -> gr.State:
        """`run`, placed on the page with the first that asks for it."""
        if not self.run.is_rendered:
            self.run.render()
        return self.run

    def _added(self, choice: Choice) -> Choice:
        self.placed_run()
        self._all[choice.name] = choice
        return choice

    def _answer(self, choice: Choice, pick: str, run: str, values: Sequence[Any]) -> Any:
        if run and not any(values):
            return self._again(choice, pick, run)
        return dict(choice.draw(pick, *values)) or gr.skip()  # Gradio takes an empty mapping for missing values

    def _again(self, choice: Choice, pick: str, run: str) -> dict[Any, Any]:
        found = self._ui.workspace.runs.details(run, choice.name).get(pick)
        if found is None:
            raise SteeringError(
                "What stands behind this was not kept with the run.",
                f"at most {MOST:,} things of a kind, drawn within {LONGEST:g} s; older versions kept none.",
                "Run it again: its settings stand in the form.",
            )
        parts = self._ui.runs.by_name()
        found = found if isinstance(found, dict) else {}  # they may come from anybody, as the view itself
        return {parts[name]: gr.update(**cleaned(parts[name], found[name])) for name in found if name in parts}


def selected(*values: Any) -> str:
    """The pick that the values of several lists are together."""
    return _BETWEEN.join("" if value is None else str(value) for value in values)


def parted(pick: str) -> list[str]:
    """The values of several lists, as texts, of a pick."""
    return pick.split(_BETWEEN)


def _drawn(choice: Choice, values: Sequence[Any], parts: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    begun = time.monotonic()
    for pick in islice(choice.picks(*values), MOST):
        if time.monotonic() - begun > LONGEST:
            return
        if shown := shown_of(parts, changed(choice.draw(pick, *values))):
            yield pick, shown
