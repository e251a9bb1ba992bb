"""The buttons of the three steps, with what each will do and about how long it takes, and how much is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import gradio as gr

from panels.refusal.controls import parsed
from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.refusal.settings import Until
from steering.studies.refusal.size import size_of, sizes
from workbench.controls.estimate_words import estimate, in_short
from workbench.controls.extent import Extent
from workbench.controls.fields import Fields, Filled
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import escape, note


_Variant = Literal["primary", "secondary"]
_WORDS: dict[Until, tuple[str, str, _Variant]] = {
    "tokens": ("Find tokens", "finding the tokens", "secondary"),
    "candidates": ("Score candidates", "scoring the candidates", "secondary"),
    "effects": ("Measure effects", "measuring the effects", "primary"),
}
"""What stands on each button, what it is doing, and how it looks."""


@dataclass(frozen=True, eq=False)
class Step:
    """One step: how far it goes, what it is doing, and its button."""

    until: Until
    title: str
    run: gr.Button


class Steps:
    """Places the buttons below the form, in sight wherever it is scrolled to."""

    def __init__(self, ui: PanelContext, form: Fields) -> None:
        """Lay them out.

        Args:
            ui: Of the panel.
            form: The settings that they run with.
        """
        self._ui = ui
        with gr.Column(elem_classes="sw-stages", min_width=0):
            self._extent = Extent(form, STUDIES["refusal"], elem_id="refusal-size")
            with gr.Row(elem_classes="sw-actions"):
                self.steps = tuple(
                    Step(until, title, gr.Button(label, variant=variant, min_width=0, elem_id=f"refusal-{until}-run"))
                    for until, (label, title, variant) in _WORDS.items()
                )
                self.stop = gr.Button("Stop", interactive=False, min_width=0, elem_id="refusal-stop")
        triggers = (form.changed, ui.job_id.change)
        ui.watch("model", *triggers, call=self._tell, inputs={"form": form}, outputs=[self._extent.block])

    def _tell(self, form: Filled) -> Outputs:
        """How much every step is, and how long the whole takes when it is measured quickly or fully."""
        host = self._ui.host
        return {self._extent.block: self._said(host, form) if host else ""}

    def _said(self, host: Host, form: Filled) -> str:
        kept = self._ui.workspace.cells
        try:
            values = form.values()
            found = sizes(host, parsed(values, "effects"), kept)
            extents = self._extent.html(host, values, lambda other: size_of(host, parsed(other, "effects"), kept))
        except SteeringError as error:
            return note(str(error))
        whole = list(found)[-1]
        lines = "".join(
            f"<dt>{_WORDS[until][0]}</dt><dd>{escape((estimate if until == whole else in_short)(size, host))}</dd>"
            for until, size in found.items()
        )
        return f'<dl class="sw-sizes">{lines}</dl>{extents}'
