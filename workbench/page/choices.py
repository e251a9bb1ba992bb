"""What a click opens on a panel's page, drawn anew or as it was kept with a run that is shown again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.errors import SteeringError
from workbench.memory import changed
from workbench.page.answers import LONGEST, MOST, Picks, Question, selected
from workbench.page.blocks import EVENT, LAST, unique
from workbench.page.cleaning import cleaned
from workbench.page.jobs import Outputs
from workbench.page.kept_view import shown_of
from workbench.page.watches import grouped


if TYPE_CHECKING:
    from workbench.page.context import PanelContext


Draw = Callable[..., Outputs]
"""`draw(pick, *states)` gives what changes; nothing where there is no such pick."""


@dataclass(frozen=True, eq=False)
class _Lists:
    """Lists that count together, and what a choice from them draws."""

    name: str
    selects: Sequence[Any]
    draw: Draw
    states: Sequence[gr.State]
    outputs: Sequence[Any]

    @property
    def events(self) -> list[Any]:
        return [each.input for each in self.selects]


@dataclass(frozen=True, eq=False)
class Choices:
    """All of one panel's page."""

    ui: PanelContext
    _lists: list[_Lists] = field(default_factory=list)

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
        self._keep(name, draw, picks, states)

        def handle(event: gr.EventData, run: str, *values: Any) -> Any:
            return self._answer(name, draw, pick(event), run, values) or gr.skip()

        event(handle, inputs=[self.ui.answers.run, *states], outputs=list(outputs), **EVENT)

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
        self._keep(name, draw, picks, states)
        self._lists.append(_Lists(name, selects, draw, states, outputs))

    def wire(self) -> None:
        """Listen to the lists, once the panel is laid out. Choices that share one share a listener, as watches do."""
        for group in grouped(self._lists):
            self._listen(group)

    def _listen(self, group: Sequence[_Lists]) -> None:
        given = unique([part for each in group for part in (*each.selects, *each.states)])
        last = gr.State(())  # of which results, and what; Gradio does not say from which list somebody chose

        def handle(run: str, before: Sequence[Sequence[Any]], *values: Any) -> Any:
            at, changes, missing = dict(zip(given, values, strict=True)), dict[Any, Any](), list[SteeringError]()
            results = (run, *(at[state] for each in group for state in each.states))
            picks = tuple(selected(*map(at.__getitem__, each.selects)) for each in group)
            for each, pick in _chosen(group, picks, before[1] if before and _same(before[0], results) else ()):
                try:
                    changes |= self._answer(each.name, each.draw, pick, run, [at[state] for state in each.states])
                except SteeringError as error:  # what was kept of the others is shown all the same
                    missing.append(error)
            if missing and not changes:
                raise missing[0]
            return {**changes, last: (results, picks)}

        events = list(dict.fromkeys(event for each in group for event in each.events))
        outputs = unique([part for each in group for part in each.outputs])
        gr.on(events, handle, inputs=[self.ui.answers.run, last, *given], outputs=[*outputs, last], **LAST)

    def _keep(self, name: str, draw: Draw, picks: Picks, states: Sequence[gr.State]) -> None:
        """Keep what it opens: pick -> name of a component -> properties."""

        def plain(pick: str, *values: Any) -> dict[str, Any]:
            return shown_of(self.ui.runs.by_name(), changed(draw(pick, *values)))

        self.ui.answers.add(name, Question(states, picks, plain))

    def _answer(self, name: str, draw: Draw, pick: str, run: str, values: Sequence[Any]) -> dict[Any, Any]:
        if self.ui.answers.in_memory(run, values):
            return dict(draw(pick, *values))
        found = self.ui.answers.of(name, pick, run)
        if found is None:
            raise SteeringError(
                "What stands behind this was not kept with the run.",
                f"at most {MOST:,} things of a kind, drawn within {LONGEST:g} s; older versions kept none.",
                "Run it again: its settings stand in the form.",
            )
        parts = self.ui.runs.by_name()
        found = found if isinstance(found, dict) else {}  # they may come from anybody, as the view itself
        return {parts[name]: gr.update(**cleaned(parts[name], found[name])) for name in found if name in parts}


def _same(before: Sequence[Any], results: Sequence[Any]) -> bool:
    """Whether these are the very results: others have set the lists anew, which no choice told of."""
    return all(old is new or (isinstance(new, str) and old == new) for old, new in zip(before, results, strict=True))


def _chosen(group: Sequence[_Lists], picks: Sequence[str], before: Sequence[str]) -> list[tuple[_Lists, str]]:
    """Those that stand otherwise than they did; all where nothing tells them apart, as after another run."""
    both = list(zip(group, picks, strict=True))
    if len(before) != len(picks):
        return both
    return [each for each, old in zip(both, before, strict=True) if each[1] != old] or both
