"""What the interventions do and cost, and the replies behind a number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from panels.refusal.effects_markup import costs_html, effects_html, pick_of, replies_html
from steering.model.chat_settings import ChatSettings
from steering.studies.refusal import REFUSAL, Inquiry, figures
from steering.studies.refusal.arms import NONE
from steering.studies.refusal.outcomes import Rates
from steering.studies.refusal.report import caption
from steering.vectors.vector import SteeringVector
from workbench.page.blocks import html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.picks import PICK_SCRIPT
from workbench.page.pictures import place_picture


_DAMAGE = (
    "KL from the model as it is, over the first 32 tokens of its own replies to harmless requests; bars: 95 % "
    f"bootstrap over replies; grey: range over random directions; what lies under {figures.LEAST_NATS:g} nats stands "
    "there."
)


@dataclass(frozen=True, eq=False)
class Shown:
    """What clicks need of the inquiry on the page, with a target request for other panels; it holds no model."""

    rates: tuple[Rates, ...]
    vector: SteeringVector | None
    prompt: str
    system: str
    chat: ChatSettings

    @classmethod
    def of(cls, inquiry: Inquiry) -> Shown:
        """What there is of an inquiry."""
        target = inquiry.prepared.requests.test.target[0][-1].content if inquiry.prepared else ""
        vector, system = inquiry.vectors.get(REFUSAL), inquiry.settings.system
        return cls(tuple(inquiry.rates), vector, target, system, inquiry.host.chat)

    def replies(self, pick: str) -> str:
        """The replies behind a share as HTML; empty where there is none of that name."""
        found = {pick_of(each): each for each in self.rates}
        rates = found.get(pick)
        return replies_html(rates, found.get(pick_of(replace(rates, arm=NONE)))) if rates else ""


class EffectsView:
    """Shares of refusals as a picture and a table, with the replies behind each."""

    def __init__(self, ui: PanelContext, state: gr.State) -> None:
        """Lay them out; all show nothing until there is something to show.

        Args:
            ui: Of the panel.
            state: Holds a `Shown`, or None before anything was.
        """
        self._state = state
        self._rates = place_picture("refusal-rates", title="Requests refused", card=True)
        self._effects = streamed_block(elem_id="refusal-effects", script=PICK_SCRIPT)
        self._replies = html_block("", elem_id="refusal-replies")
        self.outputs = [self._rates, self._effects, self._replies]
        ui.choices.on_click(
            "replies",
            self._effects.choose,
            lambda pick, shown: {self._replies: shown.replies(pick) if shown else ""},
            pick=lambda event: text_of(event, "pick"),
            picks=lambda shown: map(pick_of, shown.rates),
            states=[self._state],
            outputs=[self._replies],
        )
        ui.reveal(self._effects.choose, "refusal-replies", always=True)

    def begun(self) -> Outputs:
        """Replies of an earlier run belong to none of the shares to come."""
        return {self._replies: ""}

    def shown(self, inquiry: Inquiry, *, running: bool) -> Outputs:
        """What was measured so far."""
        changes: dict[Any, Any] = {self._state: Shown.of(inquiry)}
        if inquiry.rates:
            system = all(each.system for each in inquiry.rates)
            changes[self._rates] = figures.refusal_rates(inquiry.rates, system=system), caption(inquiry)
            changes[self._effects] = effects_html(inquiry, running=running)
        return changes


class CostsView:
    """What the interventions cost, as a picture and a table."""

    def __init__(self) -> None:
        """Lay them out."""
        title = "What every intervention costs"
        self._damage = place_picture("refusal-damage", title=title, note=_DAMAGE, card=True)
        self._costs = html_block("", elem_id="refusal-costs")
        self.outputs = [self._damage, self._costs]

    def shown(self, inquiry: Inquiry) -> Outputs:
        """What was measured."""
        if not inquiry.costs:
            return {}
        damage = figures.damage(inquiry.costs) if len(inquiry.costs) > 1 else None
        return {self._damage: damage, self._costs: costs_html(inquiry)}
