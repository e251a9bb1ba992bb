"""The right side of the Refusal panel: what an inquiry has found so far, and what can be done with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import gradio as gr

from panels.grid.exports import spreadsheet
from panels.refusal.direction_view import CandidatesView, PlaceView
from panels.refusal.effects_view import CostsView, EffectsView, Shown
from panels.refusal.markup import found_html, tokens_html
from steering.errors import SteeringError
from steering.studies.refusal import RECIPE, REFUSAL, Inquiry
from steering.studies.refusal.inquiry import Part
from steering.studies.steer import SteerSettings
from steering.studies.study import Result
from workbench.page.blocks import html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import READY
from workbench.page.sending import Sendable


_WAITING = "Reading the requests …"
_EARLIER = "What stands below is from the run before, until this one has something in its place."


_ORDER: tuple[Part, ...] = ("effects", "choice", "place", "requests")
"""What was asked for comes first, then what it rests on."""


class RefusalView:
    """Places the results; `shown` fills them from an inquiry."""

    def __init__(self, ui: PanelContext, empty: str) -> None:
        """Lay out everything: nothing is shown until there is something to show."""
        self._ui = ui
        self.state = gr.State(None)
        """A `Shown`, None before anything was."""
        self._found = streamed_block(empty, elem_id="refusal-found")
        self._place_actions()
        self._effects, self._costs = EffectsView(ui, self.state), CostsView()
        self._candidates, self._located = CandidatesView(), PlaceView(ui)
        self._tokens = html_block("", elem_id="refusal-token-table")
        self.table = self._candidates.table
        parts = (self._effects, self._costs, self._candidates, self._located)
        actions = [self._ready, self._report, self._csv]
        self.outputs = [
            self.state,
            self._found,
            *actions,
            *(each for part in parts for each in part.outputs),
            self._tokens,
        ]

    def begun(self, before: Shown | None) -> Outputs:
        """A run has begun; what an earlier one showed stays until something takes its place."""
        notes = [_WAITING, *([_EARLIER] if before else [])]
        return {self._found: found_html(notes), **self._effects.begun()}

    def shown(self, inquiry: Inquiry, drawn: set[str], *, running: bool = False) -> dict[Any, Any]:
        """Everything that the inquiry has found so far; what says where refusal lives at the end.

        Args:
            inquiry: Perhaps still going on.
            drawn: What this run has drawn already and need not draw again; the view keeps it.
            running: Whether more is to come.
        """
        chosen = inquiry.choice is not None  # looked up once: the job may choose while this is drawn
        changes: dict[Any, Any] = {self._found: found_html([*(_notes(inquiry) or [_WAITING]), *inquiry.host.warnings])}
        if inquiry.prepared and "tokens" not in drawn:
            drawn.add("tokens")
            changes[self._tokens] = tokens_html(inquiry.prepared.tokens)
        if "candidates" not in drawn:
            changes |= self._candidates.shown(inquiry)
        if chosen:
            drawn.add("candidates")
            changes[self._ready] = READY
        if inquiry.rates or not running:
            changes |= self._effects.shown(inquiry, running=running)
        if not running:
            changes |= {**self._costs.shown(inquiry), **self._located.shown(inquiry)}
        return changes

    def downloads(self, inquiry: Inquiry, result: Result) -> Outputs:
        """The files of what was measured.

        Raises:
            SteeringError: They cannot be written.
        """
        if not inquiry.rates:
            return {}
        stamp, workspace = f"{datetime.now(UTC):%Y-%m-%d %H%M%S}", self._ui.workspace
        page = workspace.export(f"refusal {stamp}.html", result.files["report.html"])
        replies = spreadsheet(result.tables["replies"], inquiry.host.warnings)
        table = workspace.export(f"refusal replies {stamp}.csv", replies)
        files = {self._report: page, self._csv: table}
        return {button: gr.update(value=str(path), interactive=True) for button, path in files.items()}

    def _place_actions(self) -> None:
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._ready = html_block("", elem_classes="sw-flag")
            with gr.Row(elem_classes="sw-actions"):
                self._report, self._csv = (
                    gr.DownloadButton(label, size="sm", interactive=False, elem_id=f"refusal-{name}")
                    for name, label in (("report", "Download the report"), ("csv", "Download all replies"))
                )
                shelf = gr.Button("Put it on the shelf", size="sm", elem_id="refusal-shelf")
                self._ui.sending.place_found(self._sent, [self.state])
        self._ui.quick(shelf.click, self._put, inputs={"shown": self.state}, outputs=[self._ui.page.picked])

    def _put(self, shown: Shown | None) -> Outputs:
        return {self._ui.page.picked: self._ui.workspace.put(shown.vector)} if shown and shown.vector else {}

    def _sent(self, pick: str, shown: Shown | None) -> Sendable:
        if shown is None or shown.vector is None:
            raise SteeringError("There is no direction to send yet.", remedy="Score the candidates first.")
        settings = SteerSettings(user=shown.prompt, system=shown.system, recipes=(RECIPE,)).under(shown.chat)
        return Sendable(settings, {REFUSAL: shown.vector})


def _notes(inquiry: Inquiry) -> list[str]:
    known = inquiry.notes_by_part
    return list(dict.fromkeys(note for part in _ORDER for note in known.get(part, ())))
