"""The recipe editor: up to three stacked interventions, each with its vector, mode, blocks, strength and scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from steering.errors import SteeringError
from steering.interventions import SCOPES
from steering.recipes import MODES, GateSettings, Intervention, parse_blocks, validation_error
from steering.strength import UNITS, Unit
from steering.vectors import SteeringVector
from workbench.blocks import html_block
from workbench.context import PanelContext
from workbench.markup import heading
from workbench.strength_slider import converted, slider, told


MOST = 3
"""Interventions in one recipe."""
_FIELDS = ("vector", "mode", "blocks", "strength", "unit", "clamp", "scope", "gate", "threshold", "side", "per", "used")
_CLAMPS = {"set": "hold it there", "floor": "no lower", "ceil": "no higher"}
_SIDES = {"above": "is above", "below": "is below"}
_PERS = {"prompt": "the prompt's last token, for the whole reply", "token": "each token, for itself"}
_ALWAYS = ""
"""The gate's choice that is no vector."""


@dataclass(frozen=True)
class Slot:
    """The controls of one intervention."""

    number: int
    card: gr.Column
    used: gr.State
    """Whether the intervention is part of the recipe."""
    vector: gr.Dropdown
    mode: gr.Dropdown
    blocks: gr.Dropdown
    strength: gr.Slider
    unit: gr.Radio
    unit_seen: gr.State
    """The unit that the slider's value is in, so that a change of unit can convert it."""
    clamp: gr.Radio
    scope: gr.Dropdown
    equals: gr.HTML
    """The same strength in the other units."""
    gate: gr.Dropdown
    """The vector that decides, or `_ALWAYS`."""
    when: gr.Column
    """The rest of the condition, shown once a vector decides."""
    threshold: gr.Number
    side: gr.Radio
    per: gr.Radio

    @property
    def named(self) -> dict[str, Any]:
        """Argument name -> component, for a handler's inputs."""
        return {f"{field}_{self.number}": getattr(self, field) for field in _FIELDS}

    def showing(self, properties: Mapping[str, Mapping[str, Any]]) -> dict[Any, Any]:
        """Updates of the controls from what `strength_slider.slider` says."""
        seen = {self.unit_seen: properties["unit_seen"]["value"]}  # a state takes no update, only a value
        shown = {name: given for name, given in properties.items() if name != "unit_seen"}
        return {**seen, **{getattr(self, name): gr.update(**given) for name, given in shown.items()}}

    @property
    def tuned(self) -> list[Any]:
        """The components that depend on which vector is chosen."""
        return [self.mode, self.blocks, self.strength, self.unit, self.unit_seen, self.clamp, self.equals]


class RecipeCard:
    """One recipe's controls. Give `inputs` to a handler and its values to `interventions_of`."""

    def __init__(self, ui: PanelContext, *, title: str = "Recipe A", hue: str = "a") -> None:
        """Place the card and wire its controls to one another and to the shelf."""
        self._ui = ui
        with gr.Column(elem_classes="sw-card") as self.card:
            html_block(heading(title, hue=hue))
            self.slots = [_place_slot(number, ui) for number in range(1, MOST + 1)]
            add = gr.Button("+ add an intervention", size="sm", elem_classes="sw-link", elem_id="add-intervention")
        self.inputs: dict[str, Any] = {name: part for slot in self.slots for name, part in slot.named.items()}
        for slot in self.slots:
            _wire_slot(ui, slot)
        self._wire_add(add)
        self._wire_shelf()

    def _wire_add(self, add: gr.Button) -> None:
        def reveal(**used: bool) -> dict[Any, Any]:
            hidden = [slot for slot in self.slots if not used[f"used_{slot.number}"]]
            if not hidden:
                return {}
            shown = {hidden[0].card: gr.update(visible=True), hidden[0].used: True}
            return {**shown, add: gr.update(visible=len(hidden) > 1)}

        used = {name: part for name, part in self.inputs.items() if name.startswith("used_")}
        changed = [*(slot.card for slot in self.slots), *used.values(), add]
        self._ui.quick(add.click, reveal, inputs=used, outputs=changed)
        for slot in self.slots[1:]:
            with slot.card:
                remove = gr.Button("Remove this intervention", size="sm", elem_classes="sw-link")
            hide = {slot.card: gr.update(visible=False), slot.used: False, add: gr.update(visible=True)}
            self._ui.quick(remove.click, lambda hide=hide: hide, outputs=list(hide))

    def _wire_shelf(self) -> None:
        top, ui = self.slots[0], self._ui
        choosers = {f"vector_{slot.number}": slot.vector for slot in self.slots}
        tuned = [part for slot in self.slots for part in slot.tuned]

        def offer(**chosen: str | None) -> dict[Any, Any]:
            """Keep every choice that is still there; give the others the first vector that fits."""
            names = fitting(ui)
            changes: dict[Any, Any] = {}
            for slot in self.slots:
                # A choice that is kept is not sent again: this may run beside `take`, with a choice of a moment ago.
                changes |= {slot.vector: gr.update(choices=names), slot.gate: gr.update(choices=_gates(names))}
                if chosen[f"vector_{slot.number}"] not in names:
                    first = next(iter(names), None)
                    changes |= {slot.vector: gr.update(choices=names, value=first), **_tune(ui, slot, first)}
            return changes

        def take(picked: str | None) -> dict[Any, Any]:
            names = fitting(ui)
            if picked not in names:
                return {}
            return {top.vector: gr.update(choices=names, value=picked), **_tune(ui, top, picked)}

        changed = [*choosers.values(), *(slot.gate for slot in self.slots), *tuned]
        ui.watch("shelf", "model", call=offer, inputs=choosers, outputs=changed)
        ui.watch("picked", call=take, inputs={"picked": ui.page.picked}, outputs=[top.vector, *top.tuned])


def interventions_of(values: Mapping[str, Any]) -> tuple[Intervention, ...]:
    """The recipe's interventions from the values of `RecipeCard.inputs`.

    Raises:
        SteeringError: No vector, no or no finite strength, or blocks that cannot be read.
    """
    used = [number for number in range(1, MOST + 1) if values[f"used_{number}"]]
    return tuple(_intervention({field: values[f"{field}_{number}"] for field in _FIELDS}) for number in used)


def suggested(vector: SteeringVector) -> Intervention:
    """What a vector's card starts with: its own block and strength."""
    return Intervention(vector=vector.name, strength=vector.suggested_strength)


def fitting(ui: PanelContext) -> list[str]:
    """Names on the shelf that fit the loaded model, newest first; all of them while nothing is loaded."""
    host = ui.host
    names = ui.workspace.names()
    return [name for name in names if host is None or not ui.workspace.get(name).vector.misfit(host)]


def _intervention(given: Mapping[str, Any]) -> Intervention:
    if not given["vector"]:
        raise SteeringError(
            "The recipe has an intervention without a vector.", remedy="Choose a vector from the shelf."
        )
    if given["strength"] is None:
        raise SteeringError("The strength is empty.", "a finite number.", "Type a number such as 1.5.")
    plain = {name: given[name] for name in ("vector", "mode", "strength", "unit", "clamp", "scope")}
    gate = {"vector": given["gate"], **{name: given[name] for name in ("threshold", "side", "per")}}
    try:
        return Intervention(
            **plain,
            blocks=parse_blocks(str(given["blocks"] or "")),
            gate=GateSettings(**gate) if given["gate"] else None,
        )
    except ValidationError as error:
        raise validation_error("The recipe", error) from error


def _place_slot(number: int, ui: PanelContext) -> Slot:
    first = number == 1
    defaults = Intervention(vector="-")
    used = gr.State(first)
    with gr.Column(visible=first, elem_classes="sw-slot", min_width=0) as card:
        vector = gr.Dropdown(fitting(ui), value=None, label="Vector", elem_id=f"vector-{number}")
        with gr.Row(elem_classes="sw-pair"):
            modes = [(label, name) for name, label in MODES.items()]
            mode = gr.Dropdown(modes, value=defaults.mode, label="Mode", min_width=0, elem_id=f"mode-{number}")
            blocks = gr.Dropdown(["default"], value="default", label="Block", allow_custom_value=True, min_width=0)
        strength = gr.Slider(
            -4,
            4,
            value=defaults.strength,
            step=0.02,
            label="Strength",
            buttons=[],
            elem_id=f"strength-{number}",
        )
        units = [(label, name) for name, label in UNITS.items()]
        unit = gr.Radio(units, value=defaults.unit, label="Unit of strength", elem_classes="sw-units", show_label=False)
        clamp = gr.Radio(_choices(_CLAMPS), value=defaults.clamp, label="The projection", visible=False)
        equals = html_block("")
        scope = gr.Dropdown(_choices(SCOPES), value=defaults.scope, label="Write at")
        with gr.Accordion("Condition", open=False, elem_classes="sw-more"):
            gate = _place_gate(fitting(ui))
    seen = gr.State(defaults.unit)
    return Slot(number, card, used, vector, mode, blocks, strength, unit, seen, clamp, scope, equals, **gate)


def _place_gate(names: list[str]) -> dict[str, Any]:
    """Which vector decides, and the controls that show once one does."""
    gate = gr.Dropdown(_gates(names), value=_ALWAYS, label="Where the projection on")
    with gr.Column(visible=False, min_width=0) as when:
        side = gr.Radio(_choices(_SIDES), value="above", show_label=False, container=False)
        threshold = gr.Number(0.5, label="× mean difference from the negative side; 0.5 is half-way", min_width=0)
        per = gr.Radio(_choices(_PERS), value="prompt", label="At")
    return {"gate": gate, "when": when, "threshold": threshold, "side": side, "per": per}


def _gates(names: list[str]) -> list[tuple[str, str]]:
    return [("– (always)", _ALWAYS), *((name, name) for name in names)]


def _choices(labels: Mapping[Any, str]) -> list[tuple[str, str]]:
    return [(label, name) for name, label in labels.items()]


def _wire_slot(ui: PanelContext, slot: Slot) -> None:
    controls = {name: getattr(slot, name) for name in ("vector", "mode", "blocks", "strength", "unit")}

    def choose(vector: str | None) -> dict[Any, Any]:
        return _tune(ui, slot, vector)

    def switch(vector: str | None, mode: str) -> dict[Any, Any]:
        kept = _vector(ui, vector)
        fitted = slot.showing(slider(kept, mode, "mean_difference", None)) if kept else {}
        return {slot.clamp: gr.update(visible=mode == "clamp"), **fitted}

    def convert(
        vector: str, mode: str, blocks: str, strength: float | None, unit: Unit, unit_seen: Unit
    ) -> dict[Any, Any]:
        kept = _vector(ui, vector)
        if kept is None or strength is None:
            return {slot.unit_seen: unit}
        return slot.showing(converted(kept, mode, blocks, strength, unit, unit_seen))

    def condition(gate: str) -> dict[Any, Any]:
        return {slot.when: gr.update(visible=bool(gate))}

    def tell(vector: str, mode: str, blocks: str, strength: float | None, unit: str) -> dict[Any, Any]:
        return {slot.equals: told(_vector(ui, vector), mode, blocks, strength, unit)}

    ui.quick(slot.vector.input, choose, inputs={"vector": slot.vector}, outputs=slot.tuned)
    ui.quick(slot.mode.input, switch, inputs={"vector": slot.vector, "mode": slot.mode}, outputs=slot.tuned)
    seen = {**controls, "unit_seen": slot.unit_seen}
    ui.quick(slot.unit.input, convert, inputs=seen, outputs=slot.tuned)
    ui.quick(slot.gate.input, condition, inputs={"gate": slot.gate}, outputs=[slot.when])
    ui.quick([slot.strength.input, slot.blocks.input], tell, inputs=controls, outputs=[slot.equals])


def _tune(ui: PanelContext, slot: Slot, name: str | None) -> dict[Any, Any]:
    """Set a slot's controls to a vector's own block and suggested strength."""
    vector = _vector(ui, name)
    if vector is None:
        return {slot.equals: ""}
    blocks = [(f"default ({vector.default_block})", "default"), "all", "everywhere", *map(str, range(vector.n_blocks))]
    return {
        slot.mode: "add",
        slot.clamp: gr.update(visible=False),
        slot.blocks: gr.update(choices=blocks, value="default"),
        **slot.showing(slider(vector, "add", "mean_difference", vector.suggested_strength)),
    }


def _vector(ui: PanelContext, name: str | None) -> SteeringVector | None:
    try:
        return ui.workspace.get(name).vector if name else None
    except SteeringError:  # removed meanwhile
        return None
