"""The left side of the Trade-off panel: what is compared, what is measured, and how much there is to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.names import upper_first
from steering.recipes.recipe import Recipe
from steering.studies import find_study
from steering.studies.tradeoff import TradeoffSettings, recipe_title, size_ahead
from steering.studies.tradeoff.findings import source_name
from steering.studies.tradeoff.measures import MEASURES
from steering.texts.questions import PAIR_SETS
from workbench.controls.estimate_words import estimate
from workbench.controls.judge_fields import place_judge
from workbench.controls.offers import fitting, vector_named
from workbench.controls.recipe_editor import follow_shelf, place_recipe, received
from workbench.controls.recipe_reading import Draft
from workbench.controls.upload_field import Named, place_upload
from workbench.generation import SteerSettings
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import READY, escape, heading, note


_FIELDS = TradeoffSettings.model_fields
_BY_VECTOR = "What the recipe's vector is about"
_QUESTIONS = [("Knowledge", "knowledge"), ("Truth", "truth")]
_COMPARED = {
    "ablation": "Ablation, by its share",
    "prompt": "System prompt",
    "examples": "In-context examples",
    "pca": "PCA",
    "affine": "Affine edit",
    "shuffled": "Shuffled labels (control)",
}
_COUNTED = (
    *("strengths", "compare", "random", "n", "examples", "alignment", "alignment_by", "helpfulness", "questions"),
    *("also", "n_replies", "reply_tokens"),
)
"""What the size of a run depends on."""
_STEPS = 10
_REACH = 3
"""Suggested strengths to either side of 0."""


class TradeoffControls:
    """Places the controls; `settings` reads them."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay out both cards, the buttons, and the line that says how much there is to read."""
        self._ui = ui
        self._parts: dict[str, Any] = {}
        self._more = gr.State(())
        """Further recipes of another panel, beside the card's."""
        self._recipe = place_recipe(ui, "t", title="Recipe", hue="a")
        with gr.Column(elem_classes="sw-card sw-until", min_width=0):
            self._sent = html_block("", elem_classes="sw-flag")
            html_block(heading("Sent recipes"))
            self._others = html_block("", elem_id="tradeoff-others")
            self._clear = gr.Button("Remove them", size="sm", elem_classes="sw-link", elem_id="tradeoff-clear")
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("What is compared"))
            self._place_compared()
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("What is measured"))
            self._place_measured()
        with gr.Row(elem_classes="sw-actions"):
            self.run = gr.Button("Run", variant="primary", elem_id="tradeoff-run")
            self.stop = gr.Button("Stop", interactive=False, elem_id="tradeoff-stop")
            self.size = html_block("", elem_id="tradeoff-size")
        self.inputs: dict[str, Any] = {**self._parts, "recipe": self._recipe, "more": self._more}
        self._wire()

    def settings(self, values: Mapping[str, Any]) -> TradeoffSettings:
        """The page's values as settings.

        Raises:
            SteeringError: Naming the field that is wrong.
        """
        return _parsed({name: values[name] for name in self._parts}, values["recipe"].recipe(), values["more"])

    def _place_compared(self) -> None:
        self._parts["strengths"] = gr.Textbox(
            _FIELDS["strengths"].default,
            label="Strengths",
            info="in place of the recipe's own, in its unit; an ablation takes those from 0 to 1",
            elem_id="tradeoff-strengths",
        )
        self._parts["compare"] = gr.CheckboxGroup(
            [(label, key) for key, label in _COMPARED.items()],
            value=list(_FIELDS["compare"].default),
            label="Beside it",
            elem_id="tradeoff-compare",
            elem_classes="sw-stacked",
        )
        with gr.Row(elem_classes="sw-pair"):
            self._number("random", "Random floor", "directions")
            self._number("n", "Items", "an axis")
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            self._text("instruction", "System prompt, strength 1", "the set's own")
            self._text("opposite", "Its opposite, strength −1", "the set's own")
            self._number("examples", "In-context examples", "at most")
            self._number("seed", "Seed", "of bootstrap and random directions")

    def _place_measured(self) -> None:
        self._parts["alignment"] = gr.Dropdown(
            _sets(self._ui),
            value="",
            label="Alignment: answer pairs",
            info="or hub:owner/name",
            allow_custom_value=True,
            elem_id="tradeoff-alignment",
        )
        self._own_pairs = place_upload(
            self._ui, self._parts["alignment"], "Upload answer pairs", "pairs", sets=lambda: _sets(self._ui)
        )
        self._parts["alignment_by"] = _measure("alignment", "read by", "tradeoff-alignment-by")
        self._parts["helpfulness"] = _measure("helpfulness", "Helpfulness", "tradeoff-helpfulness")
        self._parts["questions"] = gr.Dropdown(
            _QUESTIONS,
            value=_FIELDS["questions"].default,
            label="Questions",
            info="or a file of MMLU, TruthfulQA or BBQ, or hub:owner/name",
            allow_custom_value=True,
            elem_id="tradeoff-questions",
        )
        place_upload(self._ui, self._parts["questions"], "Upload questions", "questions", sets=lambda: _QUESTIONS)
        self._parts["also"] = gr.CheckboxGroup(
            [(upper_first(measure.title), name) for name, measure in MEASURES.items() if _may_be_further(name)],
            value=list(_FIELDS["also"].default),
            label="Also",
            elem_id="tradeoff-also",
            elem_classes="sw-stacked",
        )
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            with gr.Row(elem_classes="sw-pair"):
                self._number("n_replies", "Replies", "generated, a measure")
                self._number("reply_tokens", "Tokens", "a reply, at most")
            self._number("cost_weight", "Lambda", "alignment that one unit of helpfulness is worth", step=0.5)
            self._text("classifier", "A text classifier as the judge", "a folder or Hub id")
            self._text("classifier_label", "Its label that means aligned", "found by its name")
            place_judge(self._parts, "tradeoff")

    def _text(self, name: str, label: str, placeholder: str) -> None:
        self._parts[name] = gr.Textbox(
            _FIELDS[name].default,
            label=label,
            placeholder=placeholder,
            max_lines=3,
            elem_id=f"tradeoff-{name.replace('_', '-')}",
        )

    def _number(self, name: str, label: str, info: str, *, step: float = 1) -> None:
        self._parts[name] = gr.Number(
            _FIELDS[name].default,
            label=label,
            info=info,
            step=step,
            precision=0 if step == 1 else None,
            min_width=0,
            elem_id=f"tradeoff-{name.replace('_', '-')}",
        )

    def _wire(self) -> None:
        ui = self._ui
        # The pairs that there are depend on the model.
        ui.watch("model", call=self._offer, inputs={"own": self._own_pairs}, outputs=[self._parts["alignment"]])
        # Only what the size depends on: for every input of an event the browser searches all components of the page.
        counted = {name: self._parts[name] for name in _COUNTED} | {"more": self._more, "recipe": self._recipe}
        triggers = [*(part.change for part in counted.values()), ui.job_id.change]
        ui.watch("model", *triggers, call=self._tell, inputs=counted, outputs=[self.size])
        first = gr.State(_FIELDS["strengths"].default)
        strengths = self._parts["strengths"]
        follow = {"recipe": self._recipe, "strengths": strengths, "first": first}
        ui.watch(
            self._recipe.change,
            call=lambda **given: self._first_strengths(strengths, first, **given),
            inputs=follow,
            outputs=[strengths, first],
        )
        follow_shelf(ui, [self._recipe])
        ui.receive(self._take, [self._recipe, self._more, self._sent, self._others])
        cleared = {self._more: (), self._sent: ""}
        ui.quick(self._clear.click, lambda: cleared, outputs=list(cleared))

    def _offer(self, own: Named) -> Outputs:
        return {self._parts["alignment"]: gr.update(choices=[*_sets(self._ui), *own.items()])}

    def _tell(self, recipe: Draft, more: tuple[Recipe, ...], **values: Any) -> Outputs:
        host, own = self._ui.host, recipe.found
        if host is None or own is None or not own.interventions:
            return {self.size: ""}
        try:
            settings = _parsed(values, own, more)
            vectors = {name: self._ui.workspace.get(name).vector for name in fitting(self._ui)}
            size = size_ahead(host, settings, self._ui.workspace.cells, vectors)
        except SteeringError as error:
            return {self.size: note(str(error))}
        pairs = settings.on(host, vectors).subject
        return {self.size: note(f"Alignment on {source_name(pairs)}. {estimate(size, host)}")}

    def _first_strengths(self, part: Any, state: Any, *, recipe: Draft, strengths: str, first: str) -> Outputs:
        """Strengths that nobody changed follow the vector."""
        kept = vector_named(self._ui, next(iter(recipe.ready.vectors), None))
        if strengths != first or kept is None:
            return {}
        reach = _REACH * kept.suggested_strength
        text = f"-{reach:g}..{reach:g} step {reach / _STEPS:g}"
        return {part: text, state: text} if text != strengths else {}

    def _take(self, sent: SteerSettings) -> Outputs:
        """The recipes of another panel: the first one into the card, the others beside it."""
        first, *more = sent.recipes
        lines = "".join(
            f'<li><b class="sw-letter sw-{letter.lower()}">{letter}</b> {escape(recipe_title(recipe))}</li>'
            for letter, recipe in zip("BC", more, strict=False)
        )
        ready = READY if more else ""
        shown = {self._recipe: received(self._ui, first), self._more: tuple(more), self._sent: ready}
        return {**shown, self._others: f'<ul class="sw-found">{lines}</ul>'}


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
    return find_study("tradeoff").parse({**given, "recipes": (own, *more)})  # type: ignore[return-value]


def _sets(ui: PanelContext) -> list[tuple[str, str]]:
    host = ui.host
    only_demo = {name for name, text in PAIR_SETS.items() if text.endswith("demo models only")}
    there = [name for name in PAIR_SETS if host is None or host.info.demo or name not in only_demo]
    return [(_BY_VECTOR, ""), *((upper_first(name), name) for name in there)]


def _measure(axis: str, label: str, elem_id: str) -> gr.Dropdown:
    choices = [(upper_first(measure.title), name) for name, measure in MEASURES.items() if measure.axis == axis]
    field = "alignment_by" if axis == "alignment" else "helpfulness"
    return gr.Dropdown(choices, value=_FIELDS[field].default, label=upper_first(label), elem_id=elem_id)


def _may_be_further(name: str) -> bool:
    return MEASURES[name].axis == "further" or name == "sums"
