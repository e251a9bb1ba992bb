"""The left side of the Trade-off panel: recipes, the form, Run, and how much a run reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from pydantic import ValidationError

from panels.tradeoff.form import SIZED, pair_sets, sections
from steering.errors import SteeringError
from steering.recipes.recipe import Recipe
from steering.studies import STUDIES, find_study
from steering.studies.size import Size
from steering.studies.tradeoff import TradeoffSettings, recipe_title, size_ahead, size_of
from steering.studies.tradeoff.findings import source_name
from steering.vectors.vector import SteeringVector
from workbench.controls.estimate_words import estimate
from workbench.controls.extent import Extent
from workbench.controls.fields import Filled, WrongField, place_fields
from workbench.controls.offers import fitting, vector_named
from workbench.controls.recipe_editor import follow_shelf, place_recipe, received
from workbench.controls.recipe_reading import Draft
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import card, escape, heading, note


_STEPS = 10
_REACH = 3
"""Suggested strengths to either side of 0."""


class TradeoffControls:
    """Places the controls; `settings` reads them."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay out the recipe, the form, the buttons, and the line that says how much there is to read."""
        self._ui = ui
        self._more = gr.State(())
        """Further recipes of another panel, beside the card's."""
        self._recipe = place_recipe(ui, "t", title="Recipe", hue="a")
        self._others = html_block("", elem_id="tradeoff-others")
        self._clear = gr.Button(
            "Remove them", visible=False, size="sm", elem_classes="sw-link", elem_id="tradeoff-clear"
        )
        self._form = place_fields(
            ui, "tradeoff", sections(), settings=TradeoffSettings, check=_checked, events={"sized": SIZED}
        )
        with gr.Row(elem_classes="sw-actions"):
            self.run = gr.Button("Run", variant="primary", elem_id="tradeoff-run")
            self.stop = gr.Button("Stop", interactive=False, elem_id="tradeoff-stop")
            self._extent = Extent(
                self._form, STUDIES["tradeoff"], elem_id="tradeoff-extent", leave=("strengths",)
            )  # they follow the vector
            self._size = html_block("", elem_id="tradeoff-size", elem_classes="sw-estimate")
        self.inputs: dict[str, Any] = {"form": self._form, "recipe": self._recipe, "more": self._more}
        self._wire()

    def settings(self, form: Filled, recipe: Draft, more: tuple[Recipe, ...]) -> TradeoffSettings:
        """The page's values as settings.

        Raises:
            SteeringError: Naming the field that is wrong.
        """
        return _parsed(form.values(), recipe.recipe(), more)

    def vectors(self) -> dict[str, SteeringVector]:
        """Those of the shelf that fit the model, by name."""
        return {name: self._ui.workspace.get(name).vector for name in fitting(self._ui)}

    def _wire(self) -> None:
        ui, form = self._ui, self._form
        # The pairs that there are depend on the model.
        ui.watch("model", call=self._offer, outputs=[form])
        told = [self._size, self._extent.block]
        # Once the page stands: counting what is kept takes a moment.
        triggers = [ui.page.model_seen.change, form.sized, self._recipe.change, self._more.change, ui.job_id.change]
        ui.watch(*triggers, call=self._tell, inputs={**self.inputs, "job": ui.job_id}, outputs=told)
        first = gr.State(form.fields["strengths"].default)
        ui.watch(
            self._recipe.change,
            call=lambda **given: self._first_strengths(first, **given),
            inputs={"recipe": self._recipe, "form": form, "first": first},
            outputs=[form, first],
        )
        follow_shelf(ui, [self._recipe])
        shown = [self._recipe, self._more, self._others, self._clear]
        ui.receive(lambda sent: self._take(sent.recipes), shown)
        # Strengths that come with them are somebody's own, whatever they are.
        ui.receive(lambda own: {**self._take(own.recipes), first: ""}, [*shown, first], TradeoffSettings)
        cleared = {self._more: (), self._others: "", self._clear: gr.update(visible=False)}
        ui.quick(self._clear.click, lambda: cleared, outputs=list(cleared))

    def _offer(self) -> Outputs:
        host = self._ui.host
        sets = pair_sets(demo=host is None or host.info.demo)
        return {self._form: self._form.offering({"alignment": sets})}

    def _tell(self, form: Filled, recipe: Draft, more: tuple[Recipe, ...], job: int | None) -> Outputs:
        """How much a run reads and about how long that takes: what stands there, quickly, and fully."""
        host = self._ui.host
        if job is not None:  # what is kept is counted when it has ended
            return {}
        said: dict[Any, Any] = {self._size: "", self._extent.block: ""}
        if host is None or recipe.found is None or not recipe.found.interventions:
            return said
        own, vectors = recipe.found, self.vectors()
        try:
            values = form.values()
            settings = _parsed(values, own, more)
            size = size_ahead(host, settings, self._ui.workspace.cells, vectors)

            def count(other: dict[str, Any]) -> Size:
                return size if other == values else size_of(host, _parsed(other, own, more), vectors)

            extents = self._extent.html(host, values, count)
        except SteeringError as error:
            return said | {self._size: note(str(error))}
        pairs = settings.on(host, vectors).subject
        return {
            self._size: note(f"Alignment on {source_name(pairs)}. {estimate(size, host)}"),
            self._extent.block: extents,
        }

    def _first_strengths(self, state: Any, *, recipe: Draft, form: Filled, first: str) -> Outputs:
        """Strengths that nobody changed follow the vector."""
        kept = vector_named(self._ui, next(iter(recipe.ready.vectors), None))
        strengths = form.ready["strengths"]
        if strengths != first or kept is None:
            return {}
        reach = _REACH * kept.suggested_strength
        text = f"-{reach:g}..{reach:g} step {reach / _STEPS:g}"
        return {self._form: {"strengths": text}, state: text} if text != strengths else {}

    def _take(self, recipes: Sequence[Recipe]) -> Outputs:
        """Recipes that come here: the first one into the card, the others beside it."""
        first, *more = recipes
        return {
            self._recipe: received(self._ui, first),
            self._more: tuple(more),
            self._others: _others_html(more),
            self._clear: gr.update(visible=bool(more)),
        }


def _others_html(more: Sequence[Recipe]) -> str:
    """The recipes beside the card's."""
    if not more:
        return ""
    lines = "".join(
        f'<li><b class="sw-letter sw-{letter.lower()}">{letter}</b> {escape(recipe_title(recipe))}</li>'
        for letter, recipe in zip("BC", more, strict=False)
    )
    return card(heading("Sent recipes") + f'<ul class="sw-found">{lines}</ul>')


def _checked(values: dict[str, Any]) -> TradeoffSettings:
    """What stands in the form as settings, whatever the recipe is.

    Raises:
        SteeringError: Made of a report that names the wrong fields, or a `WrongField`, so that the form marks them.
    """
    try:
        return _parsed(values, TradeoffSettings.model_fields["recipes"].default[0], ())
    except SteeringError as error:
        if isinstance(error.__cause__, ValidationError):
            raise
        # A sweep is no matter of one value, so pydantic has not seen it.
        raise WrongField("strengths", error) from error


def _parsed(values: Mapping[str, Any], own: Recipe | None, more: Sequence[Recipe]) -> TradeoffSettings:
    """What stands on the page as settings.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    if not own or not own.interventions:
        raise SteeringError("The recipe is empty.", "an intervention.", "Extract a vector first, under Vectors.")
    given = {name: value for name, value in values.items() if value is not None}
    if own.chat:
        given["chat"] = own.chat
    found = find_study("tradeoff").parse({**given, "recipes": (own, *more)})
    assert isinstance(found, TradeoffSettings)
    _ = found.sweep  # a wrong one is told at its field
    return found
