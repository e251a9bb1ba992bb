"""The candidates, the chosen direction, and where in the model refusal lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from panels.refusal.candidates_markup import candidates_html
from steering.studies.refusal import Inquiry, figures, location_figures
from steering.studies.refusal.candidates import cosines
from steering.studies.refusal.location import Projection
from steering.studies.refusal.report import framing
from workbench.page.blocks import streamed_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.picks import PICK_SCRIPT
from workbench.page.pictures import place_picture


_CROSSES = "Rows: template tokens. Crosses: dropped. Ring: chosen. On validation requests."
_PROBES = (
    "By mean difference: 0 where harmless requests lie on average, 1 where harmful ones do. Filled: the model refused."
)
_BLOCKS = (
    "F1 of a linear head on the model's own refusals, five folds, 95 % bootstrap; dotted: 0.8. Dashed: cosines with "
    "the aligned model, where one is named."
)
_COSINES = "Named by token and block. Empty: no difference between the sides there."
_ALONG = "Cosine of the state at every block's input with the direction."


class CandidatesView:
    """Every candidate as a table, and each of its scores as a map."""

    def __init__(self) -> None:
        """Lay them out."""
        self.table = streamed_block(elem_id="refusal-candidates", script=PICK_SCRIPT)
        self._maps: dict[str, Any] = {}
        self._read: dict[str, str] = {}
        with gr.Row(elem_classes="sw-two"):
            for name, (title, unit, reading) in figures.SCORES.items():
                self._maps[name] = place_picture(f"refusal-map-{name}", title=title, card=True)
                self._read[name] = f"In {unit}; {reading}. {_CROSSES}"
        self.outputs = [self.table, *self._maps.values()]

    def shown(self, inquiry: Inquiry) -> Outputs:
        """What is scored so far; maps once one is chosen."""
        changes: dict[Any, Any] = {self.table: candidates_html(inquiry)} if inquiry.scores else {}
        if inquiry.choice is None:
            return changes
        settings, blocks = inquiry.settings, inquiry.host.info.blocks
        scores = list(inquiry.scores.values())
        for name, picture in self._maps.items():
            figure = figures.score_map(name, scores, settings.rules, blocks, settings.by, inquiry.choice)
            changes[picture] = figure, f"{self._read[name]} {framing(inquiry)}"
        return changes


class PlaceView:
    """Where refusal lives: two probes, the blocks, the candidates beside each other, and prompts token by token."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay them out."""
        with gr.Row(elem_classes="sw-two"):
            title = "Harmfulness and refusal: two probes"
            self._probes = place_picture("refusal-probes", title=title, card=True)
            title = "Cosine of every two candidates"
            self._cosines = place_picture("refusal-cosines", title=title, note=_COSINES, card=True)
        title = "Where the decision can be read"
        self._blocks = place_picture("refusal-blocks", title=title, card=True)
        self._which = gr.Dropdown(
            [], label="Prompt to follow along the direction", visible=False, elem_id="refusal-which"
        )
        title = "Along the direction, token by token"
        self._along = place_picture("refusal-along", title=title, note=_ALONG, card=True, texts=True)
        self._projections = gr.State(())
        self.outputs = [self._probes, self._cosines, self._blocks, self._which, self._along, self._projections]
        ui.choices.on_select(
            "prompt",
            [self._which],
            lambda which, projections: {self._along: _drawn(int(which), projections)} if which.isdigit() else {},
            picks=lambda projections: map(str, range(len(projections))),
            states=[self._projections],
            outputs=[self._along],
        )

    def shown(self, inquiry: Inquiry) -> Outputs:
        """What was located, once the effects are measured."""
        place = inquiry.place
        if place is None:
            return {}
        candidates, found, under = list(inquiry.scores), inquiry.directions, framing(inquiry)
        asked = [_asked(each.prompt.tokens, each.prompt.roles) for each in place.projections]
        probes = location_figures.two_probe_chart(place.probes, place.asked) if place.probes else None
        blocks = place.surrogate.f1 or place.drift
        return {
            self._probes: (probes, f"{_PROBES} {under}") if probes else None,
            self._cosines: location_figures.cosine_map(candidates, cosines(found, candidates)) if found else None,
            self._blocks: (location_figures.by_block(place.surrogate, place.drift), f"{_BLOCKS} {under}")
            if blocks
            else None,
            self._which: gr.update(
                choices=[(text, index) for index, text in enumerate(asked)],
                value=0 if asked else None,
                visible=len(asked) > 1,
            ),
            self._along: _drawn(0, place.projections),
            self._projections: place.projections,
        }


def _drawn(which: int, projections: Sequence[Projection]) -> Any:
    """The picture of one prompt; none where there is none of that number."""
    return location_figures.projection_map(projections[which]) if 0 <= which < len(projections) else None


def _asked(tokens: tuple[str, ...], roles: tuple[str, ...]) -> str:
    return "".join(token for token, role in zip(tokens, roles, strict=True) if role == "user").strip()
