"""The controls of one intervention of a recipe, wired to one another and to the shelf."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from steering.errors import SteeringError
from steering.recipes.recipe import MODES, GateSettings, Intervention, parse_blocks, validation_error
from steering.vectors.strength import UNITS, Unit
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import SCOPES
from workbench.controls.strength_slider import converted, slider, told
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.markup import note


PICKED = "picked"
"""The choice of scope that stands for the tokens picked on the prompt."""
_FIELDS = (
    *("vector", "others", "mode", "blocks", "strength", "unit", "clamp", "scope"),
    *("gate", "threshold", "side", "per", "used"),
)
_CLAMPS = {"set": "hold it there", "floor": "no lower", "ceil": "no higher"}
_SIDES = {"above": "is above", "below": "is below"}
_PERS = {"prompt": "the prompt's last token, for the whole reply", "token": "each token, for itself"}
_ALWAYS = ""
"""The gate's choice that is no vector."""


@dataclass(frozen=True)
class Slot:
    """The controls of one intervention."""

    name: str
    """Of the recipe's letter and the slot's number, such as "a1"."""
    card: gr.Column
    used: gr.State
    """Whether the intervention is part of the recipe."""
    vector: gr.Dropdown
    others: gr.Dropdown
    """ablate: more vectors, whose span is removed with the first."""
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
    def inputs(self) -> dict[str, Any]:
        """Argument name -> component, for a handler's inputs and for `intervention_of`."""
        return {f"{field}_{self.name}": getattr(self, field) for field in _FIELDS}

    def showing(self, properties: Mapping[str, Mapping[str, Any]]) -> dict[Any, Any]:
        """Updates of the controls from what `strength_slider.slider` says."""
        seen = {self.unit_seen: properties["unit_seen"]["value"]}  # a state takes no update, only a value
        shown = {name: given for name, given in properties.items() if name != "unit_seen"}
        return {**seen, **{getattr(self, name): gr.update(**given) for name, given in shown.items()}}

    @property
    def tuned(self) -> list[Any]:
        """The components that depend on which vector is chosen."""
        return [
            *(self.others, self.mode, self.blocks, self.strength, self.unit, self.unit_seen),
            *(self.clamp, self.equals),
        ]

    @property
    def shown(self) -> list[Any]:
        """Every component that `show` may change."""
        gate = [self.gate, self.when, self.threshold, self.side, self.per]
        return [self.card, self.used, self.vector, *self.tuned, self.scope, *gate]

    def offer(self, names: list[str]) -> dict[Any, Any]:
        """Offer the vectors of the shelf and leave every choice as it is."""
        return {
            self.vector: gr.update(choices=names),
            self.others: gr.update(choices=names),
            self.gate: gr.update(choices=_gates(names)),
        }

    def tune(self, vector: SteeringVector | None) -> dict[Any, Any]:
        """Set the controls to a vector's own block and suggested strength."""
        if vector is None:
            return {self.equals: ""}
        return {
            self.mode: "add",
            self.others: gr.update(value=[], visible=False),
            self.clamp: gr.update(visible=False),
            self.blocks: gr.update(choices=_blocks(vector), value="default"),
            **self.showing(slider(vector, "add", "mean_difference", vector.suggested_strength)),
        }

    def show(self, given: Intervention | None, vector: SteeringVector | None, names: list[str]) -> dict[Any, Any]:
        """Set every control to an intervention; hide the slot where there is none. A vector that is gone is left open,
        so that nobody takes the recipe for another one."""
        if given is None:
            return {self.card: gr.update(visible=False), self.used: False}
        if vector is None:
            return {
                self.card: gr.update(visible=True),
                self.used: True,
                self.vector: gr.update(choices=names, value=None),
                self.equals: note(f"The recipe's vector, {given.vector}, is not on the shelf."),
            }
        gate = given.gate
        blocks = given.blocks if isinstance(given.blocks, str) else ", ".join(map(str, given.blocks))
        shown = {
            self.card: gr.update(visible=True),
            self.used: True,
            self.vector: gr.update(choices=names, value=given.vector),
            self.mode: given.mode,
            self.others: gr.update(choices=names, value=list(given.others), visible=given.mode == "ablate"),
            self.clamp: gr.update(visible=given.mode == "clamp", value=given.clamp),
            self.blocks: gr.update(choices=_blocks(vector), value=blocks),
            **self.showing(slider(vector, given.mode, given.unit, given.strength, blocks)),
            self.scope: PICKED if isinstance(given.scope, tuple) else given.scope,
            self.gate: gr.update(choices=_gates(names), value=gate.vector if gate else _ALWAYS),
            self.when: gr.update(visible=gate is not None),
        }
        if gate:
            shown |= {self.threshold: gate.threshold, self.side: gate.side, self.per: gate.per}
        return shown


def intervention_of(values: Mapping[str, Any], name: str, picked: tuple[int, ...] = ()) -> Intervention | None:
    """The intervention from the values of a slot's `inputs`; None where the slot is not used.

    Args:
        values: Of this and perhaps other slots.
        name: The slot's.
        picked: Positions of the prompt that were picked.

    Raises:
        SteeringError: No vector, no or no finite strength, no picked token, or blocks that cannot be read.
    """
    given = {field: values[f"{field}_{name}"] for field in _FIELDS}
    if not given["used"]:
        return None
    if not given["vector"]:
        raise SteeringError(
            "The recipe has an intervention without a vector.", remedy="Choose a vector from the shelf."
        )
    if given["strength"] is None:
        raise SteeringError("The strength is empty.", "a finite number.", "Type a number such as 1.5.")
    if given["scope"] == PICKED and not picked:
        raise SteeringError(
            f"'{given['vector']}' writes at the picked tokens, and none is picked.",
            "at least one token of the prompt.",
            "Click or drag over the prompt's tokens, or choose another place under “Write at”.",
        )
    plain = {field: given[field] for field in ("vector", "mode", "strength", "unit", "clamp")}
    gate = {"vector": given["gate"], **{field: given[field] for field in ("threshold", "side", "per")}}
    try:
        return Intervention(
            **plain,
            others=tuple(given["others"] or ()) if given["mode"] == "ablate" else (),
            blocks=parse_blocks(str(given["blocks"] or "")),
            scope=picked if given["scope"] == PICKED else given["scope"],
            gate=GateSettings(**gate) if given["gate"] else None,
        )
    except ValidationError as error:
        raise validation_error("The recipe", error) from error


def place_slot(ui: PanelContext, name: str, *, used: bool, names: list[str], picking: bool) -> Slot:
    """Lay out the controls of one intervention and wire them.

    Args:
        ui: Of the panel.
        name: Letter of the recipe and number of the slot.
        used: Whether the intervention is part of the recipe from the start.
        names: Vectors to offer.
        picking: Whether tokens of the prompt can be picked.
    """
    defaults = Intervention(vector="-")
    state = gr.State(used)
    with gr.Column(visible=used, elem_classes="sw-slot", min_width=0) as card:
        vector = gr.Dropdown(names, value=None, label="Vector", elem_id=f"vector-{name}")
        with gr.Row(elem_classes="sw-pair"):
            modes = [(label, mode) for mode, label in MODES.items()]
            mode = gr.Dropdown(modes, value=defaults.mode, label="Mode", min_width=0, elem_id=f"mode-{name}")
            blocks = gr.Dropdown(["default"], value="default", label="Block", allow_custom_value=True, min_width=0)
        others = gr.Dropdown(
            names, value=[], multiselect=True, label="Together with (their span is removed)", visible=False
        )
        strength = gr.Slider(
            -4,
            4,
            value=defaults.strength,
            step=0.02,
            label="Strength",
            buttons=[],
            elem_id=f"strength-{name}",
        )
        units = [(label, unit) for unit, label in UNITS.items()]
        unit = gr.Radio(units, value=defaults.unit, label="Unit of strength", elem_classes="sw-units", show_label=False)
        clamp = gr.Radio(_choices(_CLAMPS), value=defaults.clamp, label="The projection", visible=False)
        equals = html_block("")
        scopes = [*_choices(SCOPES), *([("the picked prompt tokens", PICKED)] if picking else [])]
        scope = gr.Dropdown(scopes, value=defaults.scope, label="Write at", elem_id=f"scope-{name}")
        with gr.Accordion("Condition", open=False, elem_classes="sw-more"):
            gate = _place_gate(names)
    seen = gr.State(defaults.unit)
    slot = Slot(name, card, state, vector, others, mode, blocks, strength, unit, seen, clamp, scope, equals, **gate)
    _wire(ui, slot)
    return slot


def vector_named(ui: PanelContext, name: str | None) -> SteeringVector | None:
    """A vector of the shelf, None where none is named or it was removed meanwhile."""
    try:
        return ui.workspace.get(name).vector if name else None
    except SteeringError:
        return None


def _place_gate(names: list[str]) -> dict[str, Any]:
    """Which vector decides, and the controls that show once one does."""
    gate = gr.Dropdown(_gates(names), value=_ALWAYS, label="Where the projection on")
    with gr.Column(visible=False, min_width=0) as when:
        side = gr.Radio(_choices(_SIDES), value="above", label="Side of the threshold", show_label=False)
        threshold = gr.Number(0.5, label="× mean difference from the negative side; 0.5 is half-way", min_width=0)
        per = gr.Radio(_choices(_PERS), value="prompt", label="At")
    return {"gate": gate, "when": when, "threshold": threshold, "side": side, "per": per}


def _gates(names: list[str]) -> list[tuple[str, str]]:
    return [("– (always)", _ALWAYS), *((name, name) for name in names)]


def _blocks(vector: SteeringVector) -> list[Any]:
    return [(f"default ({vector.default_block})", "default"), "all", "everywhere", *map(str, range(vector.n_blocks))]


def _choices(labels: Mapping[Any, str]) -> list[tuple[str, str]]:
    return [(label, name) for name, label in labels.items()]


def _wire(ui: PanelContext, slot: Slot) -> None:
    controls = {name: getattr(slot, name) for name in ("vector", "mode", "blocks", "strength", "unit")}

    def choose(vector: str | None) -> dict[Any, Any]:
        return slot.tune(vector_named(ui, vector))

    def switch(vector: str | None, mode: str) -> dict[Any, Any]:
        kept = vector_named(ui, vector)
        fitted = slot.showing(slider(kept, mode, "mean_difference", None)) if kept else {}
        return {
            slot.clamp: gr.update(visible=mode == "clamp"),
            slot.others: gr.update(visible=mode == "ablate"),
            **fitted,
        }

    def convert(
        vector: str, mode: str, blocks: str, strength: float | None, unit: Unit, unit_seen: Unit
    ) -> dict[Any, Any]:
        kept = vector_named(ui, vector)
        if kept is None or strength is None:
            return {slot.unit_seen: unit}
        return slot.showing(converted(kept, mode, blocks, strength, unit, unit_seen))

    def condition(gate: str) -> dict[Any, Any]:
        return {slot.when: gr.update(visible=bool(gate))}

    def tell(vector: str, mode: str, blocks: str, strength: float | None, unit: str) -> dict[Any, Any]:
        return {slot.equals: told(vector_named(ui, vector), mode, blocks, strength, unit)}

    ui.quick(slot.vector.input, choose, inputs={"vector": slot.vector}, outputs=slot.tuned)
    ui.quick(slot.mode.input, switch, inputs={"vector": slot.vector, "mode": slot.mode}, outputs=slot.tuned)
    seen = {**controls, "unit_seen": slot.unit_seen}
    ui.quick(slot.unit.input, convert, inputs=seen, outputs=slot.tuned)
    ui.quick(slot.gate.input, condition, inputs={"gate": slot.gate}, outputs=[slot.when])
    ui.quick([slot.strength.input, slot.blocks.input], tell, inputs=controls, outputs=[slot.equals])
