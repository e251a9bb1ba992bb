"""Several vectors beside one another on the Vectors page: those of the shelf, or every method on one contrast set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from panels.vectors.markup import comparison_html
from steering.errors import SteeringError
from steering.passes.pooling import parse_pooling
from steering.studies import STUDIES
from steering.studies.figures import auroc_of_several
from steering.vectors.vector import SteeringVector
from workbench.controls.offers import fitting, vector_named
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs
from workbench.page.markup import heading, note
from workbench.page.pictures import place_picture


class VectorComparison:
    """A card with a chart and a table; `methods` fills it from a contrast set."""

    def __init__(self, ui: PanelContext) -> None:
        """Place the card and wire the choice from the shelf."""
        self._ui = ui
        with gr.Column(elem_classes="sw-card", elem_id="comparison"):
            html_block(heading("Compare vectors"))
            self._chosen = gr.Dropdown(
                fitting(ui), value=[], multiselect=True, label="From the shelf, two or more", elem_id="compare"
            )
            self._title = html_block("")
            self._plot = place_picture("compare-plot")
            self._table = html_block("")
        self.outputs = [self._title, self._plot, self._table]
        ui.quick(self._chosen.input, self._choose, inputs={"names": self._chosen}, outputs=self.outputs)
        ui.watch("shelf", "model", call=self._offer, inputs={"names": self._chosen}, outputs=[self._chosen])

    def methods(self, call: Call, given: Mapping[str, Any]) -> Iterator[Outputs | None]:
        """Extract by every method that the set allows, and show them; none goes on the shelf."""
        study = STUDIES["methods"]
        settings = study.parse(given)
        call.begins("methods", f"Methods: {Path(given['contrast']).stem}", settings)
        job = study.start(call.host, settings)
        yield from call.finish(job)
        call.ends(job.result())
        vectors = {_in_words(name): vector for name, vector in job.result().vectors.items()}
        vectors = {name: vector.renamed(name) for name, vector in vectors.items()}
        first = next(iter(vectors.values()))
        yield self._shown(vectors, first, f"Every method on {first.provenance.contrast}")

    def _choose(self, names: list[str]) -> Outputs:
        vectors = {name: vector for name in names if (vector := vector_named(self._ui, name))}
        if len(vectors) < 2:
            return {self._title: "", self._plot: None, self._table: ""}
        return self._shown(vectors, next(iter(vectors.values())), "")

    def _shown(self, vectors: dict[str, SteeringVector], beside: SteeringVector, title: str) -> dict[Any, Any]:
        measured = any(vector.auroc is not None for vector in vectors.values())
        return {
            self._title: note(title) if title else "",
            self._plot: auroc_of_several(vectors) if measured else None,
            self._table: comparison_html(vectors, beside=beside),
        }

    def _offer(self, names: list[str]) -> Outputs:
        offered = fitting(self._ui)
        kept = [name for name in names if name in offered]
        # What is chosen is told only where something of it is gone: somebody may choose meanwhile.
        return {self._chosen: gr.update(choices=offered, **({} if kept == names else {"value": kept}))}


def _in_words(method: str) -> str:
    """A method's name as people write it: "centred PCA" for "centred_pca"."""
    return " ".join(word.upper() if word in _ACRONYMS else word for word in method.split("_"))


_ACRONYMS = ("pca", "lda", "leace")


def contrast_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an extraction from the page's values, without those left empty.

    Raises:
        SteeringError: No contrast set was chosen, or positions that cannot be read.
    """
    given = {name: value for name, value in values.items() if value is not None}
    if not given.get("contrast"):
        raise SteeringError("No contrast set was chosen.", remedy="Choose one from the list, or upload a file.")
    positions = given.pop("positions", "").strip()
    if not positions:
        return given
    picked = parse_pooling(positions)
    if isinstance(picked, str):
        raise SteeringError(
            f"The positions '{positions}' were given.", "numbers such as -1, or -3,-2,-1, or 4-7.", "Correct them."
        )
    return {**given, "pooling": picked}
