"""The left side of the Refusal panel: three steps, each with what it needs, a button and a Stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from steering.studies import find_study
from steering.studies.refusal import ARMS, Inquiry, RefusalSettings
from steering.studies.refusal.arms import FLOORS
from steering.texts.contrast_files import presets
from workbench.controls.judge_fields import place_judge
from workbench.controls.upload_field import place_upload
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import heading, note


_OWN = "The model's own"
_FIELDS = RefusalSettings.model_fields


@dataclass(frozen=True, eq=False)
class Step:
    """One step: how far it goes, and its buttons."""

    until: str
    title: str
    run: gr.Button
    stop: gr.Button


class RefusalControls:
    """Places the controls; `inputs` are the fields of `RefusalSettings` by name."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay out the three steps."""
        self._ui = ui
        self.inputs: dict[str, Any] = {}
        steps = []
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("1  Requests and tokens"))
            self._place_requests()
            steps.append(_buttons("tokens", "Find tokens", "finding the tokens", primary=False))
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("2  Candidates"))
            self._place_rules()
            steps.append(_buttons("candidates", "Score candidates", "scoring the candidates", primary=False))
        with gr.Column(elem_classes="sw-card"):
            html_block(heading("3  Effects"))
            self._place_effects()
            steps.append(_buttons("effects", "Measure effects", "measuring the effects", primary=True))
            self._size = html_block("", elem_id="refusal-size")
        self.steps = tuple(steps)
        self.candidate = self.inputs["candidate"]
        self._tokens = self.inputs["tokens"]
        self.outputs = [self._tokens]
        self._wire()

    def settings(self, values: Mapping[str, Any], until: str) -> RefusalSettings:
        """The page's values as settings.

        Raises:
            SteeringError: Naming the field that is wrong.
        """
        given = {name: value for name, value in values.items() if value is not None}
        given["prompts"] = [line for line in (given.get("prompts") or "").splitlines() if line.strip()]
        parsed = find_study("refusal").parse({**given, "until": until})
        assert isinstance(parsed, RefusalSettings)
        return parsed

    def shown(self, inquiry: Inquiry) -> Outputs:
        """The tokens that were found, to be changed."""
        if inquiry.prepared is None:
            return {}
        tokens = inquiry.prepared.tokens
        choices = [
            (f"{each.text!r} {100 * each.target:.0f} % / {100 * each.control:.0f} %", f"#{each.id}")
            for each in tokens.known
        ]
        return {self._tokens: gr.update(choices=choices, value=[f"#{token}" for token in tokens.chosen])}

    def _place_requests(self) -> None:
        sets = [(_OWN, ""), ("demo", "demo"), ("general", "general"), *((name, name) for name in presets())]
        self.inputs["data"] = gr.Dropdown(
            sets,
            value="",
            label="Requests, target against control",
            info="demo models have their own, others the general set",
            elem_id="refusal-data",
            allow_custom_value=True,
        )
        place_upload(self._ui, self.inputs["data"], "Upload a contrast set", "contrast", sets=lambda: sets)
        self.inputs["tokens"] = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label="First tokens of a refusal",
            info="found from the model where empty; type a text, or #id",
            elem_id="refusal-tokens",
        )
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            self._text("system", "System prompt before every request", "none")
            with gr.Row(elem_classes="sw-pair"):
                self._number("n_train", "For the means", "a side")
                self._number("n_validation", "To choose on", "a side")
            for name, label, upload in (
                ("target", "Your own targets", "Upload targets"),
                ("control", "Your own controls", "Upload controls"),
                ("borderline", "Your own borderline requests", "Upload borderline requests"),
            ):
                self.inputs[name] = gr.Dropdown(
                    [],
                    value=None,
                    label=label,
                    info="hub:owner/name, or upload a file",
                    allow_custom_value=True,
                    elem_id=f"refusal-{name}",
                )
                place_upload(self._ui, self.inputs[name], upload, "texts")
            self._text("column", "Column that holds the texts", "text, prompt, instruction, goal …")

    def _place_rules(self) -> None:
        self.inputs["by"] = gr.Radio(
            [("Bypass", "bypass"), ("COSMIC", "cosmic")],
            value="bypass",
            label="Choose by",
            info="Bypass: least refusal left when ablated. COSMIC: by states alone, without refusal tokens.",
            elem_id="refusal-by",
        )
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            with gr.Row(elem_classes="sw-pair"):
                self._number("min_induce", "Least induce", "log-odds", step=0.5)
                self._number("max_kl", "Most KL", "nats", step=0.05)
            self._number("max_depth", "Blocks up to", "share of the depth", step=0.05)
            self._check("last_only", "Read at the last token only: fewer candidates")
            self._check("complete", "Score dropped candidates too, for the maps")

    def _place_effects(self) -> None:
        self._text("candidate", "Candidate", "the chosen one; or click a row of the table")
        self.inputs["arms"] = gr.CheckboxGroup(
            [(title[0].upper() + title[1:], key) for key, title in ARMS.items() if key != "none"],
            value=[key for key in ARMS if key != "none"],
            label="Interventions to compare",
            elem_id="refusal-arms",
            elem_classes="sw-stacked",
        )
        with gr.Row(elem_classes="sw-pair"):
            self._number("n_test", "Requests", "of a kind")
            self._number("reply_tokens", "Tokens", "a reply")
            self._number("random", "Random", "directions")
        self._check("both_systems", "With and without a system prompt")
        with gr.Accordion("More", open=False, elem_classes="sw-more"):
            with gr.Row(elem_classes="sw-pair"):
                self._number("share", "Partial ablation", "share", step=0.1)
                self._number("directions", "Several directions", "count")
            self._number("questions", "Questions", "a set: knowledge, truth, sums")
            self._text("classifier", "A text classifier as a further judge", "a folder or Hub id")
            self._text("classifier_label", "Its label that means refusal", "found by its name")
            place_judge(self.inputs, "refusal")
            self.inputs["prompts"] = gr.Textbox(
                "",
                label="Prompts to follow along the direction",
                placeholder="one a line; two of each kind where empty",
                lines=1,
                max_lines=6,
                elem_id="refusal-prompts",
            )
            self._text("reference", "Aligned model to show drift from", "such as demo")

    def _text(self, name: str, label: str, placeholder: str) -> None:
        self.inputs[name] = gr.Textbox(
            _FIELDS[name].default, label=label, placeholder=placeholder, max_lines=2, elem_id=f"refusal-{name}"
        )

    def _number(self, name: str, label: str, info: str, *, step: float = 1) -> None:
        self.inputs[name] = gr.Number(
            _FIELDS[name].default,
            label=label,
            info=info,
            step=step,
            precision=0 if step == 1 else None,
            min_width=0,
            elem_id=f"refusal-{name.replace('_', '-')}",
        )

    def _check(self, name: str, label: str) -> None:
        self.inputs[name] = gr.Checkbox(_FIELDS[name].default, label=label, elem_id=f"refusal-{name}")

    def _wire(self) -> None:
        """Found tokens belong to one model and one set of requests; the size of the run is told beforehand."""
        cleared = {self._tokens: gr.update(choices=[], value=[]), self.candidate: ""}
        changes = [self.inputs[name].change for name in ("data", "target", "control", "system")]
        self._ui.watch("model", *changes, call=lambda: cleared, outputs=list(cleared))
        counted = ("arms", "n_test", "random", "both_systems", "questions")
        given = {name: self.inputs[name] for name in counted}
        triggers = [part.change for part in given.values()]
        self._ui.watch("model", *triggers, call=self._tell, inputs=given, outputs=[self._size])

    def _tell(self, **values: Any) -> Outputs:
        if any(values[name] is None for name in ("n_test", "random", "questions")):
            return {self._size: ""}
        arms = ["none", *values["arms"]]
        floors = {FLOORS[key] for key in arms if key in FLOORS}
        requests, systems = int(values["n_test"]), 2 if values["both_systems"] else 1
        each = [(len(arms), 3), (len(floors) * int(values["random"]), 3)]
        replies = sum(count * (kinds * requests * systems + int(values["questions"])) for count, kinds in each)
        return {self._size: note(f"Up to {replies:,} replies; what is known already is not generated again.")}


def _buttons(until: str, label: str, title: str, *, primary: bool) -> Step:
    with gr.Row(elem_classes="sw-actions"):
        run = gr.Button(label, variant="primary" if primary else "secondary", elem_id=f"refusal-{until}-run")
        stop = gr.Button("Stop", interactive=False, elem_id=f"refusal-{until}-stop")
    return Step(until, title, run, stop)
