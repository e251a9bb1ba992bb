"""What one panel sends to another: from its form, from what a run left, or as it was kept with a run shown again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.errors import SteeringError
from steering.studies.steer import SteerSettings
from steering.validation import validated
from steering.vectors.vector import SteeringVector
from workbench.generation import on_the_shelf
from workbench.page.answers import Picks, Question, selected
from workbench.page.jobs import Outputs


if TYPE_CHECKING:
    from workbench.page.context import PanelContext

_KEPT = "sent"
"""How names begin under which it is kept with a run."""


@dataclass(frozen=True, eq=False)
class Sendable:
    """A prompt with recipes."""

    settings: SteerSettings
    vectors: Mapping[str, SteeringVector] = field(default_factory=dict)
    """Those that its recipes name; what the shelf does not have is put there."""


class Sending:
    """Of one panel's page."""

    def __init__(self, ui: PanelContext) -> None:
        self._ui = ui
        self._makers: dict[str, Callable[..., Sendable]] = {}

    def place(self, make: Callable[..., Sendable], inputs: Mapping[str, Any]) -> None:
        """Place a button for every other panel that takes a prompt with recipes.

        Args:
            make: `make(**values)` gives what is sent.
            inputs: Argument name -> component.
        """
        for panel in self._ui.bench.catalogue.panels:
            if not panel.receives or panel.id == self._ui.panel:
                continue
            button = gr.Button(f"Send to {panel.title}", size="sm", elem_id=f"{self._ui.panel}-to-{panel.id}")

            def send(to: str = panel.id, **values: Any) -> Outputs:
                return self.going(to, make(**values))

            self._ui.quick(button.click, send, inputs=inputs, outputs=[self._ui.page.go])

    def place_found(
        self,
        make: Callable[..., Sendable],
        states: Sequence[gr.State],
        *,
        selects: Sequence[Any] = (),
        picks: Picks = lambda *states: [""],
    ) -> None:
        """Place such buttons for what a run found; it is kept with the run.

        Args:
            make: `make(pick, *states)`; a pick is the values of the lists together (`choices.selected`).
            states: What a run leaves for it; all are false before one.
            selects: Lists from which is chosen what is sent.
            picks: `picks(*states)` gives everything that can be chosen.
        """
        self.source("found", make, states, picks=picks)
        names = [f"value_{n}" for n in range(len(selects) + len(states))]

        def found(run: str, **values: Any) -> Sendable:
            given = [values[name] for name in names]
            return self.of("found", selected(*given[: len(selects)]), run, given[len(selects) :])

        parts = dict(zip(names, [*selects, *states], strict=True))
        self.place(found, {"run": self._ui.answers.placed_run(), **parts})

    def source(
        self,
        name: str,
        make: Callable[..., Sendable],
        states: Sequence[gr.State],
        *,
        picks: Picks,
    ) -> None:
        """Keep with every run what `of` gives under a name; see `place_found`."""
        self._makers[name] = make
        self._ui.answers.add(f"{_KEPT}-{name}", Question(states, picks, lambda *given: _plain(make, *given)))

    def of(self, name: str, pick: str, run: str, values: Sequence[Any]) -> Sendable:
        """What is sent: from the states' values, or as it was kept with a run that is shown again.

        Raises:
            SteeringError: There is nothing.
        """
        if self._ui.answers.in_memory(run, values):
            return self._makers[name](pick, *values)
        kept = self._ui.answers.of(f"{_KEPT}-{name}", pick, run)
        if kept is None:
            raise SteeringError(
                "There is nothing to send: the run found none, or it was not kept.", remedy="Run it again."
            )
        result, used = self._ui.workspace.runs.result(run), self._ui.workspace.runs.used(run)
        vectors = {**(result.vectors if result is not None else {}), **used}
        settings = validated(SteerSettings, kept, "What was kept with the run")
        missing = [name for each in settings.recipes for name in each.vectors if name not in vectors]
        missing = [name for name in missing if name not in self._ui.workspace.names()]
        if missing:
            raise SteeringError(
                f"The vector {', '.join(missing)} was not kept with the run.", "a vector of that name on the shelf."
            )
        return Sendable(settings, vectors)

    def going(self, to: str, sent: Sendable) -> dict[Any, Any]:
        """The changes that send something to a panel and open its page; for the output `page.go`.

        Recipes carry chat settings: their own, or those that hold on the page.
        """
        ui, settings = self._ui, sent.settings
        recipes = tuple(on_the_shelf(ui.workspace, each, sent.vectors) for each in settings.recipes)
        settings = settings.model_copy(update={"recipes": recipes})
        settings = settings.under(ui.host.chat) if ui.host else settings
        return {ui.page.go: f"./{to}?take={ui.bench.sent.put(settings)}"}


def _plain(make: Callable[..., Sendable], pick: str, *values: Any) -> dict[str, Any] | None:
    try:
        return make(pick, *values).settings.model_dump(mode="json", exclude_defaults=True)
    except SteeringError:  # there is nothing to send of it
        return None
