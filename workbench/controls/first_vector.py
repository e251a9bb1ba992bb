"""What stands where a panel needs a vector and the shelf holds none: one click extracts one and goes on with it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import gradio as gr

from steering.studies import STUDIES
from steering.vectors.vector import SteeringVector
from workbench.controls.offers import fitting
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs, coming
from workbench.page.markup import empty_state


_SET = "formality"
"""The built-in contrast set whose effect on a first reply is plain to see."""


class FirstVector:
    """A card with a button. It is there only while no vector on the shelf fits the model."""

    def __init__(self, ui: PanelContext, then: str, does: str, *, elem_id: str) -> None:
        """Place the card.

        Args:
            ui: Of the panel.
            then: What the click does afterwards, for the button.
            does: The same in a sentence.
            elem_id: The button's id.
        """
        self._ui = ui
        said = f"The shelf holds no vector for this model. One click extracts the {_SET} vector, which takes some "
        with gr.Column(elem_classes="sw-card", visible=False, elem_id=f"{elem_id}-card") as self.card:
            html_block(empty_state("Nothing to steer with yet", f"{said}seconds on a small model, and {does}."))
            with gr.Row(elem_classes="sw-actions"):
                self.button = gr.Button(f"Extract {_SET} and {then}", variant="primary", elem_id=elem_id)

    def offer(self) -> dict[Any, Any]:
        """Whether the card is there; its output is `card`."""
        return {self.card: gr.update(visible=self._ui.host is not None and not fitting(self._ui))}

    def extract(self, call: Call) -> Generator[Outputs | None, None, SteeringVector]:
        """Extract the vector and put it on the shelf, picked; the generator's value is the vector under its name there.

        Use as `vector = yield from first.extract(call)`; the output is `ui.page.picked`.
        """
        study = STUDIES["extract"]
        settings, count = study.parse({"contrast": _SET}), study.size
        coming(None if count is None else lambda host: count(host, settings))
        job = study.start(call.host, settings)
        yield from call.finish(job)
        (vector,) = job.result().vectors.values()
        name = call.workspace.put(vector)
        yield {self._ui.page.picked: name}
        return vector.renamed(name)
