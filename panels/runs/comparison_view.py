"""Runs side by side on the page, as its address names them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from panels.runs.comparison_markup import head_html, measures_html
from steering.studies.overlays import dots, overlays
from workbench.page.blocks import event_of, html_block, streamed_block
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs
from workbench.page.pictures import place_picture
from workbench.runs.comparison import compare


_SCRIPT = "window.comparedRuns(element, trigger); /* 'close' */"
_CURVES = 3
"""Charts of curves at most, as many as the studies have."""


class ComparisonView:
    """Places the cards, which are empty until runs are compared."""

    def __init__(self, ui: PanelContext) -> None:
        self._ui = ui
        self._head = html_block("", elem_id="runs-compared", js_on_load=_SCRIPT)
        self._dots = place_picture("runs-dots", title="Measures with their intervals", card=True)
        self._curves = [place_picture(f"runs-curves-{n}", card=True) for n in range(1, _CURVES + 1)]
        self._measures = streamed_block("", elem_id="runs-measures")
        self._parts = [self._head, self._dots, *self._curves, self._measures]
        ui.quick(event_of(self._head, "close"), self._close, outputs=self._parts)

    def follow(self, listed: gr.HTML) -> None:
        """Compare what is chosen in a list."""
        chosen = event_of(listed, "compare")
        self._ui.quick(chosen, self._compare, outputs=self._parts, of_event=True)
        self._ui.reveal(event_of(listed, "compare"), "runs-compared", always=True)

    def _compare(self, event: gr.EventData) -> Outputs:
        # Whoever knows a run's number may see it, as on its own page.
        found = compare(self._ui.workspace.runs, text_of(event, "picks").split(","))
        charts: list[Any] = [
            (figure.update_layout(title={"text": title}), caption)
            for title, figure, caption in overlays(found.results, found.labels)
        ]
        charts += [None] * (_CURVES - len(charts))
        drawn = dict(zip(self._curves, charts, strict=True))
        both = {self._head: head_html(found), self._measures: measures_html(found)}
        return {**both, self._dots: dots(found.measures, found.labels), **drawn}

    def _close(self) -> dict[Any, Any]:
        return {self._head: "", self._measures: "", self._dots: None, **dict.fromkeys(self._curves)}
