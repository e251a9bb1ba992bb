"""The right side of the Refusal panel: what an inquiry has found so far, and the replies behind a number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from panels.grid.exports import spreadsheet
from panels.refusal.markup import (
    candidates_html,
    caption_html,
    choice_html,
    effects_html,
    found_html,
    pick_of,
    replies_html,
    tokens_html,
)
from steering.errors import SteeringError
from steering.model.chat_settings import ChatSettings
from steering.studies.refusal import RECIPE, REFUSAL, Inquiry, figures, location_figures, result_of
from steering.studies.refusal.arms import NONE
from steering.studies.refusal.candidates import cosines
from steering.studies.refusal.outcomes import Rates
from steering.studies.refusal.report import framing
from steering.vectors.vector import SteeringVector
from workbench.generation import SteerSettings
from workbench.page.blocks import EVENT, html_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.markup import READY, heading, note
from workbench.page.picks import PICK_SCRIPT
from workbench.page.pictures import place_picture


_WAITING = "Reading the requests …"
_EARLIER = "What stands below is from the run before, until this one has something in its place."
_DAMAGE = (
    "KL from the model as it is, over the first 32 tokens of its own replies to harmless requests; bars: 95 % "
    "bootstrap over replies; grey: range over random directions."
)
_PROBES = (
    "By mean difference: 0 where harmless requests lie on average, 1 where harmful ones do. Filled: the model refused."
)
_BLOCKS = (
    "F1 of a linear head on the model's own refusals, five folds, 95 % bootstrap; dotted: 0.8. Dashed: cosines with "
    "the aligned model, where one is named."
)


@dataclass(frozen=True, eq=False)
class Shown:
    """What clicks need of the inquiry on the page, with a target request for other panels; it holds no model."""

    rates: tuple[Rates, ...]
    vector: SteeringVector | None
    prompt: str
    system: str
    chat: ChatSettings


class RefusalView:
    """Places the cards; `shown` fills them from an inquiry."""

    def __init__(self, ui: PanelContext, empty: str) -> None:
        """Lay out everything, hidden until there is something to show."""
        self._ui = ui
        self.state = gr.State(None)
        """A `Shown`, None before anything was."""
        self._found = html_block(empty, elem_id="refusal-found")
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._effects_card = html_block("", elem_classes="sw-flag")
            html_block(heading("Requests refused"))
            self._rates_plot = place_picture("refusal-rates")
            self._caption = html_block("")
            self._effects = html_block("", elem_id="refusal-effects", js_on_load=PICK_SCRIPT)
            with gr.Row(elem_classes="sw-actions"):
                self._report = gr.DownloadButton("Download the report", size="sm", elem_id="refusal-report")
                self._csv = gr.DownloadButton("Download all replies", size="sm", elem_id="refusal-csv")
        self._replies = html_block("", elem_id="refusal-replies")
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._choice_card = html_block("", elem_classes="sw-flag")
            self._choice = html_block("", elem_id="refusal-choice")
            with gr.Row(elem_classes="sw-actions"):
                self._shelf = gr.Button("Put it on the shelf", size="sm", elem_id="refusal-shelf")
                ui.place_send(self._sent, {"shown": self.state})
        with gr.Column(elem_classes="sw-stack sw-until", min_width=0):
            self._maps = html_block("", elem_classes="sw-flag")
            self._framed = html_block("")
            self._score_plots = []
            for names in (("bypass", "induce"), ("kl", "cosmic")):
                with gr.Row(elem_classes="sw-two"):
                    for name in names:
                        title, unit, reading = figures.SCORES[name]
                        under = f"In {unit}; {reading}. Rows: template tokens. Crosses: dropped."
                        self._score_plots.append(
                            place_picture(f"refusal-map-{name}", title=title, note=under, card=True)
                        )
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._candidates_card = html_block("", elem_classes="sw-flag")
            self._candidates = html_block("", elem_id="refusal-candidates", js_on_load=PICK_SCRIPT)
        with gr.Column(elem_classes="sw-stack sw-until", min_width=0):
            self._place = html_block("", elem_classes="sw-flag")
            self._placed = html_block("")
            self._place_charts()
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._tokens_card = html_block("", elem_classes="sw-flag")
            self._tokens = html_block("", elem_id="refusal-token-table")
        self.outputs = [
            self.state,
            self._found,
            self._effects_card,
            self._rates_plot,
            self._caption,
            self._effects,
            self._report,
            self._csv,
            self._replies,
            self._choice_card,
            self._choice,
            self._maps,
            self._framed,
            *self._score_plots,
            self._candidates_card,
            self._candidates,
            self._place,
            self._placed,
            *self._charts,
            self._tokens_card,
            self._tokens,
        ]
        ui.quick(self._shelf.click, self._put, inputs={"shown": self.state}, outputs=[ui.page.picked])

    def wire_picks(self, candidate: gr.Textbox) -> None:
        """A click on a share opens its replies; one on a candidate names it in its field."""
        self._effects.choose(self._read, inputs=[self.state], outputs=[self._replies], **EVENT)
        self._ui.reveal(self._effects.choose, "refusal-replies", always=True)
        self._candidates.choose(_picked, outputs=[candidate], **EVENT)

    def begun(self, before: Shown | None) -> Outputs:
        """A run has begun; what an earlier one showed stays until something takes its place."""
        return {self._found: found_html([_WAITING, *([_EARLIER] if before else [])]), self._replies: ""}

    def shown(self, inquiry: Inquiry, drawn: set[str], *, running: bool = False) -> dict[Any, Any]:
        """Everything that the inquiry has found so far; charts of where refusal lives, and files, at the end.

        Args:
            inquiry: Perhaps still going on.
            drawn: What this run has drawn already and need not draw again; the view keeps it.
            running: Whether more is to come.
        """
        changes: dict[Any, Any] = {self._found: found_html([*(inquiry.notes or [_WAITING]), *inquiry.host.warnings])}
        if inquiry.prepared:
            changes |= {self._tokens: tokens_html(inquiry.prepared.tokens)}
        if inquiry.scores and "candidates" not in drawn:
            changes |= {self._candidates: candidates_html(inquiry)}
        if inquiry.choice and "candidates" not in drawn:
            drawn.add("candidates")  # a figure that is sent twice in a row may not show at all
            changes |= self._chosen(inquiry)
        if inquiry.rates:
            changes |= self._measured(inquiry)
        if not running:
            changes |= self._ended(inquiry)
        return changes

    def cards(self, inquiry: Inquiry, *, running: bool = False) -> Outputs:
        """Which cards have something of this run to show; those that have nothing go at the end of the run.

        They are hidden by the style sheet, not by Gradio, which may lose a figure that comes soon after its hidden
        column is shown. To be sent before what stands in them, since a hidden figure has no size.
        """
        full = {
            self._effects_card: inquiry.rates,
            self._choice_card: inquiry.choice,
            self._maps: inquiry.choice,
            self._candidates_card: inquiry.scores,
            self._place: inquiry.place,
            self._tokens_card: inquiry.prepared,
        }
        return {part: READY if content else "" for part, content in full.items() if content or not running}

    def _place_charts(self) -> None:
        damage = place_picture("refusal-damage", title="What every intervention costs", note=_DAMAGE, card=True)
        with gr.Row(elem_classes="sw-two"):
            title = "Harmfulness and refusal: two probes"
            probes = place_picture("refusal-probes", title=title, note=_PROBES, card=True)
            title, named = "Cosine of every two candidates", "Named by token and block. Empty: no difference there."
            cosines = place_picture("refusal-cosines", title=title, note=named, card=True)
        blocks = place_picture("refusal-blocks", title="Where the decision can be read", note=_BLOCKS, card=True)
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("Along the direction, token by token"))
            self._which = gr.Radio([], label="Prompt", elem_id="refusal-which", elem_classes="sw-stacked")
            under = "Cosine of the state at every block's input with the direction."
            self._along = place_picture("refusal-along", note=under)
        self._maps_along = gr.State([])
        self._charts = [damage, probes, blocks, cosines, self._which, self._along, self._maps_along]
        self._which.input(
            lambda which, maps: maps[which] if maps else None,
            inputs=[self._which, self._maps_along],
            outputs=[self._along],
            **EVENT,
        )

    def _chosen(self, inquiry: Inquiry) -> Outputs:
        assert inquiry.choice is not None
        settings, blocks = inquiry.settings, inquiry.host.info.blocks
        scores = list(inquiry.scores.values())
        maps = {
            plot: figures.score_map(name, scores, settings.rules, blocks, settings.by, inquiry.choice)
            for plot, name in zip(self._score_plots, figures.SCORES, strict=True)
        }
        return {
            self._choice: choice_html(inquiry.choice, inquiry.truth),
            self._framed: note(f"Scored on validation requests. {framing(inquiry)}"),
            **maps,
        }

    def _measured(self, inquiry: Inquiry) -> Outputs:
        system = all(each.system for each in inquiry.rates)
        return {
            self._rates_plot: figures.refusal_rates(inquiry.rates, system=system),
            self._caption: caption_html(inquiry),
            self._effects: effects_html(inquiry),
            self.state: self._kept(inquiry),
        }

    def _ended(self, inquiry: Inquiry) -> Outputs:
        changes: dict[Any, Any] = {self.state: self._kept(inquiry)}
        if inquiry.place:
            changes |= self._located(inquiry)
        return changes

    def downloads(self, inquiry: Inquiry) -> Outputs:
        """The files of what was measured.

        Raises:
            SteeringError: They cannot be written.
        """
        if not inquiry.rates:
            return {}
        stamp = f"{datetime.now(UTC):%Y-%m-%d %H%M%S}"
        result, workspace = result_of(inquiry), self._ui.workspace
        page = workspace.export(f"refusal {stamp}.html", result.files["report.html"])
        replies = spreadsheet(result.tables["replies"], inquiry.host.warnings)
        table = workspace.export(f"refusal replies {stamp}.csv", replies)
        return {self._report: gr.update(value=str(page)), self._csv: gr.update(value=str(table))}

    def _located(self, inquiry: Inquiry) -> Outputs:
        place = inquiry.place
        assert place is not None
        candidates, found = list(inquiry.scores), inquiry.directions
        maps = [location_figures.projection_map(each) for each in place.projections]
        asked = [_asked(each.prompt.tokens, each.prompt.roles) for each in place.projections]
        damage, probes, blocks, alike, which, along, kept = self._charts
        return {
            self._placed: note(f"Measured on test requests. {framing(inquiry)}"),
            damage: figures.damage(inquiry.costs) if len(inquiry.costs) > 1 else None,
            probes: location_figures.two_probe_chart(place.probes, place.asked) if place.probes else None,
            blocks: location_figures.by_block(place.surrogate, place.drift),
            alike: location_figures.cosine_map(candidates, cosines(found, candidates)) if found else None,
            which: gr.update(choices=[(text, index) for index, text in enumerate(asked)], value=0 if maps else None),
            along: maps[0] if maps else None,
            kept: maps,
        }

    def _kept(self, inquiry: Inquiry) -> Shown:
        target = inquiry.prepared.requests.test.target[0][-1].content if inquiry.prepared else ""
        vector, system = inquiry.vectors.get(REFUSAL), inquiry.settings.system
        return Shown(tuple(inquiry.rates), vector, target, system, inquiry.host.chat)

    def _read(self, event: gr.EventData, shown: Shown | None) -> str:
        found = {pick_of(each): each for each in shown.rates} if shown else {}
        rates = found.get(text_of(event, "pick"))
        return replies_html(rates, found.get(pick_of(replace(rates, arm=NONE)))) if rates else ""

    def _put(self, shown: Shown | None) -> Outputs:
        return {self._ui.page.picked: self._ui.workspace.put(shown.vector)} if shown and shown.vector else {}

    def _sent(self, shown: Shown | None) -> SteerSettings:
        if shown is None or shown.vector is None:
            raise SteeringError("There is no direction to send yet.", remedy="Score the candidates first.")
        recipes = (RECIPE.renamed({REFUSAL: self._ui.workspace.put(shown.vector)}),)
        return SteerSettings(user=shown.prompt, system=shown.system, recipes=recipes).under(shown.chat)


def _picked(event: gr.EventData) -> str:
    return text_of(event, "pick")


def _asked(tokens: tuple[str, ...], roles: tuple[str, ...]) -> str:
    return "".join(token for token, role in zip(tokens, roles, strict=True) if role == "user").strip()
