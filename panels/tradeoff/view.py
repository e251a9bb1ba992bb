"""The right side of the Trade-off panel: the charts, where to stop, and the items behind a point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import gradio as gr
import plotly.graph_objects as go

from panels.grid.exports import spreadsheet
from panels.refusal.markup import found_html
from panels.tradeoff.markup import agreement_html, items_html, pick_of, points_html, stops_html
from steering.errors import SteeringError
from steering.studies.steer import SteerSettings
from steering.studies.study import Result
from steering.studies.tradeoff import NO_RECIPE, Picture, figures
from steering.studies.tradeoff.analysis import Point
from steering.studies.tradeoff.findings import caption, measured
from steering.studies.tradeoff.report import carried
from workbench.page.blocks import html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.markup import READY
from workbench.page.picks import PICK_SCRIPT
from workbench.page.pictures import place_picture
from workbench.page.sending import Sendable


_PLANE = (
    "One curve a method, a point a strength; up and right is better. Ringed: on the Pareto front, which no point beats "
    "on both axes."
)
_NATS = (
    "Solid: alignment gained. Dotted: helpfulness lost. On the side of each curve that gains alignment; KL from "
    "the unsteered model is read on its own replies; 95th percentile over tokens."
)


Charted = tuple[go.Figure, str]
"""A figure with its caption."""


@dataclass(frozen=True, eq=False)
class Shown:
    """What a page shows of a run."""

    picture: Picture


class TradeoffView:
    """Places the cards; `shown` fills them from a picture."""

    def __init__(self, ui: PanelContext, empty: str) -> None:
        """Lay out everything, hidden until there is something to show."""
        self._ui = ui
        self.state = gr.State(None)
        """A `Shown`, None before anything was."""
        self._found = streamed_block(empty, elem_id="tradeoff-found")
        with gr.Column(elem_classes="sw-stack sw-until", min_width=0):
            self._ready = html_block("", elem_classes="sw-flag")
            with gr.Row(elem_classes="sw-two sw-roomy"):
                with gr.Column(elem_classes="sw-card", min_width=0):
                    self.which = gr.Dropdown([], label="Method", visible=False, elem_id="tradeoff-which")
                    self._strength = place_picture("tradeoff-strength", title="What it gains and what it costs")
                title = "What each method pays for what it gains"
                self._plane = place_picture("tradeoff-plane", title=title, note=_PLANE, card=True)
            self._notes = streamed_block(elem_id="tradeoff-notes")
            self._place_stops()
            self._items = html_block("", elem_id="tradeoff-items")
            self._judges = html_block("", elem_id="tradeoff-judges")
            title = "Gain and cost by how far the model is moved"
            self._nats = place_picture("tradeoff-nats", title=title, note=_NATS, card=True)
            self._points = streamed_block(elem_id="tradeoff-points", script=PICK_SCRIPT)
        self._files = [self._csv, self._report, self._recipe, self._all]
        self.outputs = [
            self.state,
            self._found,
            self._ready,
            self.which,
            self._strength,
            self._plane,
            self._notes,
            self._stops,
            self._items,
            self._judges,
            self._nats,
            self._points,
            *self._files,
        ]
        self._wire()

    def begun(self, before: Shown | None) -> Outputs:
        """A run has begun; what an earlier one showed stays until something takes its place."""
        earlier = "What stands below is from the run before, until this one has something in its place."
        return {
            self._found: found_html(["Looking at vectors and items …", *([earlier] if before else [])]),
            self._items: "",
            self._judges: "",
        }

    def sized(self, text: str) -> Outputs:
        """How much there is to read, said before anything was read."""
        return {self._found: found_html([text])}

    def opened(self) -> Outputs:
        """There is something to show; to be sent before it, since a hidden figure has no size."""
        return {self._ready: READY}

    def shown(self, picture: Picture, which: str | None) -> Iterator[Outputs]:
        """Everything measured so far, in two parts, so that the browser may do something else between them.

        Args:
            picture: What was measured.
            which: Key of the curve whose scores are shown over strength; the first recipe's where None or unknown.
        """
        measures = picture.found.asked["alignment"].measure, picture.found.asked["helpfulness"].measure
        keys = [(line.curve.title, line.curve.key) for line in picture.shown]
        key = which if which in [key for _, key in keys] else keys[0][1]
        title = measured(picture.found)
        yield {
            self._found: "",
            self.which: gr.update(choices=keys, value=key, visible=len(keys) > 1),
            self._strength: _one(picture, key),
            self._plane: figures.joint_plane(picture.lines, picture.front, picture.unsteered, measures, title),
        }
        yield {
            self.state: Shown(picture),
            self._notes: found_html([*picture.notes, *picture.found.host.warnings]),
            self._stops: stops_html(picture),
            self._nats: figures.per_nat(picture.lines, title),
        }

    def ended(self, picture: Picture) -> Outputs:
        """What a run that is finished or stopped adds: every point, and how the judges agree."""
        return {self._points: points_html(picture), self._judges: agreement_html(picture.found)}

    def downloads(self, picture: Picture, result: Result) -> Outputs:
        """Its files.

        Raises:
            SteeringError: They cannot be written.
        """
        workspace = self._ui.workspace
        failed = picture.found.host.warnings
        name = f"tradeoff {datetime.now(UTC):%Y-%m-%d %H%M%S}"
        contents: dict[gr.DownloadButton, tuple[str, str | bytes]] = {
            self._csv: (".csv", spreadsheet(result.tables["points"], failed)),
            self._report: (".html", result.files["report.html"]),
            self._all: (".zip", result.archive(carried(picture))),
            **({self._recipe: (" recipe.json", recipe)} if (recipe := result.files.get("recipe.json")) else {}),
        }
        files = {
            button: gr.update(value=str(workspace.export(f"{name}{ending}", content)), interactive=True)
            for button, (ending, content) in contents.items()
        }
        if self._recipe in files:
            return files
        notes = [*picture.notes, NO_RECIPE, *failed]
        return {**files, self._recipe: gr.update(value=None, interactive=False), self._notes: found_html(notes)}

    def _place_stops(self) -> None:
        with gr.Column(elem_classes="sw-card", min_width=0):
            self._stops = streamed_block(elem_id="tradeoff-stops", script=PICK_SCRIPT)
            with gr.Row(elem_classes="sw-actions"):
                self._csv = gr.DownloadButton("Points, CSV", size="sm", elem_id="tradeoff-csv")
                self._report = gr.DownloadButton("Report, HTML", size="sm", elem_id="tradeoff-report")
                self._recipe = gr.DownloadButton("Recipe", size="sm", elem_id="tradeoff-recipe")
                self._all = gr.DownloadButton("All files and code, ZIP", size="sm", elem_id="tradeoff-all")
            with gr.Row(elem_classes="sw-actions"):
                self._ui.sending.place_found(self._sent, [self.state])

    def _wire(self) -> None:
        for table in (self._stops, self._points):
            self._ui.choices.on_click(
                "items",
                table.choose,
                self._read,
                pick=lambda event: text_of(event, "pick"),
                picks=_points,
                states=[self.state],
                outputs=[self._items],
            )
            self._ui.reveal(table.choose, "tradeoff-items", always=True)
        self._ui.choices.on_select(
            "curve",
            [self.which],
            lambda which, shown: {self._strength: _one(shown.picture, which)} if shown is not None else {},
            picks=lambda shown: [line.curve.key for line in shown.picture.shown],
            states=[self.state],
            outputs=[self._strength],
        )

    def _read(self, pick: str, shown: Shown | None) -> Outputs:
        point = _points(shown).get(pick) if shown else None
        return {self._items: items_html(shown.picture.found, point) if shown and point else ""}

    def _sent(self, pick: str, shown: Shown | None) -> Sendable:
        if shown is None:
            raise SteeringError("There is nothing to send yet.", remedy="Run the comparison first.")
        found = shown.picture.found
        recommended = shown.picture.recommended
        if recommended is None:
            raise SteeringError(
                "There is nothing to send: no strength of the first recipe is recommended.",
                remedy="Send the recipe from the page where it was made, or measure other strengths.",
            )
        user = found.asked["alignment"].items[0].messages[-1].content
        settings = SteerSettings(user=user, recipes=(recommended,)).under(found.host.chat)
        return Sendable(settings, {name: found.curves.vectors[name] for name in recommended.vectors})


def _points(shown: Shown) -> dict[str, Point]:
    """By what a click in the tables says."""
    return {pick_of(line, point): point for line in shown.picture.shown for point in line.points}


def _one(picture: Picture, key: str) -> Charted:
    """The chart of one curve over strength with its caption."""
    line = next((line for line in picture.shown if line.curve.key == key), picture.shown[0])
    title = measured(picture.found)
    figure = figures.over_strength(line, picture.floor, picture.best(line), picture.unsteered, title)
    return figure, caption(picture.found, picture.lines, line)
