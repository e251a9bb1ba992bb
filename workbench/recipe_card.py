"""The recipe editor: up to three stacked interventions, each with its vector, mode, blocks, strength and scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr
from pydantic import ValidationError

from steering.errors import SteeringError
from steering.interventions import SCOPES
from steering.recipes import MODES, Intervention, parse_blocks, validation_error
from steering.strength import LENGTH_UNITS, LengthUnit, in_all_units, unit_length
from steering.vectors import SteeringVector
from workbench.blocks import html_block
from workbench.context import PanelContext
from workbench.markup import heading, note


MOST = 3
"""Interventions in one recipe."""
_REACH = 4.0
"""The slider's ends, in mean differences; wider where a vector's suggested strength asks for it."""
_FIELDS = ("vector", "mode", "blocks", "strength", "unit", "scope", "used")


@dataclass(frozen=True)
class Slot:
    """The controls of one intervention."""

    number: int
    card: gr.Column
    used: gr.State
    """Whether the intervention is part of the recipe."""
    vector: gr.Dropdown
    mode: gr.Radio
    blocks: gr.Dropdown
    strength: gr.Slider
    unit: gr.Radio
    unit_seen: gr.State
    """The unit that the slider's value is in, so that a change of unit can convert it."""
    scope: gr.Dropdown
    equals: gr.HTML
    """The same strength in the other units."""

    @property
    def named(self) -> dict[str, Any]:
        """Argument name -> component, for a handler's inputs."""
        return {f"{field}_{self.number}": getattr(self, field) for field in _FIELDS}

    @property
    def tuned(self) -> list[Any]:
        """The components that depend on which vector is chosen."""
        return [self.mode, self.blocks, self.strength, self.unit, self.unit_seen, self.equals]


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
                changes[slot.vector] = gr.update(choices=names)
                if chosen[f"vector_{slot.number}"] not in names:
                    first = next(iter(names), None)
                    changes |= {slot.vector: gr.update(choices=names, value=first), **_tune(ui, slot, first)}
            return changes

        def take(picked: str | None) -> dict[Any, Any]:
            names = fitting(ui)
            if picked not in names:
                return {}
            return {top.vector: gr.update(choices=names, value=picked), **_tune(ui, top, picked)}

        ui.watch("shelf", "model", call=offer, inputs=choosers, outputs=[*choosers.values(), *tuned])
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
    try:
        return Intervention(
            vector=given["vector"],
            mode=given["mode"],
            blocks=parse_blocks(str(given["blocks"] or "")),
            strength=given["strength"],
            unit=given["unit"],
            scope=given["scope"],
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
            mode = gr.Radio(
                [(label, name) for name, label in MODES.items()], value=defaults.mode, label="Mode", min_width=0
            )
            blocks = gr.Dropdown(["default"], value="default", label="Block", allow_custom_value=True, min_width=0)
        strength = gr.Slider(
            -_REACH,
            _REACH,
            value=defaults.strength,
            step=0.02,
            label="Strength",
            buttons=[],
            elem_id=f"strength-{number}",
        )
        units = [(label, name) for name, label in LENGTH_UNITS.items()]
        unit = gr.Radio(units, value=defaults.unit, label="Unit of strength", elem_classes="sw-units", show_label=False)
        equals = html_block("")
        scope = gr.Dropdown([(label, name) for name, label in SCOPES.items()], value=defaults.scope, label="Write at")
    return Slot(number, card, used, vector, mode, blocks, strength, unit, gr.State(defaults.unit), scope, equals)


def _wire_slot(ui: PanelContext, slot: Slot) -> None:
    controls = {name: getattr(slot, name) for name in ("vector", "mode", "blocks", "strength", "unit")}

    def choose(vector: str | None) -> dict[Any, Any]:
        return _tune(ui, slot, vector)

    def switch(vector: str | None, mode: str) -> dict[Any, Any]:
        return _scale(ui, slot, vector, mode, "mean_difference", None)

    def convert(
        vector: str, blocks: str, strength: float | None, unit: LengthUnit, unit_seen: LengthUnit
    ) -> dict[Any, Any]:
        kept = _vector(ui, vector)
        if kept is None or strength is None:
            return {slot.unit_seen: unit}
        value = in_all_units(strength, unit_seen, kept, _block(kept, blocks)).get(unit, strength)
        return _scale(ui, slot, vector, "add", unit, value, blocks)

    def tell(vector: str, mode: str, blocks: str, strength: float | None, unit: str) -> dict[Any, Any]:
        return {slot.equals: _equals(_vector(ui, vector), mode, blocks, strength, unit)}

    ui.quick(slot.vector.input, choose, inputs={"vector": slot.vector}, outputs=slot.tuned)
    ui.quick(slot.mode.input, switch, inputs={"vector": slot.vector, "mode": slot.mode}, outputs=slot.tuned)
    seen = {**{name: part for name, part in controls.items() if name != "mode"}, "unit_seen": slot.unit_seen}
    ui.quick(slot.unit.input, convert, inputs=seen, outputs=slot.tuned)
    ui.quick([slot.strength.input, slot.blocks.input], tell, inputs=controls, outputs=[slot.equals])


def _tune(ui: PanelContext, slot: Slot, name: str | None) -> dict[Any, Any]:
    """Set a slot's controls to a vector's own block and suggested strength."""
    vector = _vector(ui, name)
    if vector is None:
        return {slot.equals: ""}
    blocks = [(f"default ({vector.default_block})", "default"), "all", "everywhere", *map(str, range(vector.n_blocks))]
    return {
        slot.mode: "add",
        slot.blocks: gr.update(choices=blocks, value="default"),
        **_scale(ui, slot, name, "add", "mean_difference", vector.suggested_strength),
    }


def _scale(
    ui: PanelContext, slot: Slot, name: str | None, mode: str, unit: str, value: float | None, blocks: str = "default"
) -> dict[Any, Any]:
    """Fit the strength slider to a mode and unit; `value` None takes the vector's suggested strength."""
    vector = _vector(ui, name)
    if vector is None:
        return {}
    if mode == "ablate":
        slider = gr.update(minimum=0, maximum=1, step=0.05, value=1.0, label="Share of the projection removed")
        hidden = gr.update(visible=False)
        return {slot.strength: slider, slot.unit: hidden, slot.equals: _equals(vector, mode, blocks, 1.0, unit)}
    block = _block(vector, blocks)
    value = vector.suggested_strength if value is None else value
    reach = max(_REACH, 2 * abs(vector.suggested_strength)) * abs(unit_length("mean_difference", vector, block))
    reach = _round_up(max(reach / (unit_length(unit, vector, block) or 1.0), abs(value)))
    value = float(f"{value:.3g}")
    return {
        slot.strength: gr.update(minimum=-reach, maximum=reach, step=reach / 200, value=value, label="Strength"),
        slot.unit: gr.update(visible=True, value=unit),
        slot.unit_seen: unit,
        slot.equals: _equals(vector, mode, blocks, value, unit),
    }


def _equals(vector: SteeringVector | None, mode: str, blocks: str, strength: float | None, unit: str) -> str:
    if vector is None or strength is None:
        return ""
    if mode == "ablate":
        return note("1 removes the direction wholly, 0 leaves the model as it is.")
    try:
        block = _block(vector, blocks)
        others = in_all_units(strength, unit, vector, block)
    except SteeringError as error:
        return note(str(error))
    parts = [f"{value:.3g} {LENGTH_UNITS[other]}" for other, value in others.items() if other != unit]
    where = f"at block {block}"
    if parse_blocks(str(blocks or "")) in ("all", "everywhere"):
        where += "; at the others by their own scale"
    return note(f"= {' = '.join(parts)}, {where}")


def _block(vector: SteeringVector, blocks: str | None) -> int:
    """The block that a strength is told for: the first of those written, the default where all are."""
    parsed = parse_blocks(str(blocks or ""))
    block = vector.default_block if isinstance(parsed, str) else parsed[0]
    if not 0 <= block < vector.n_blocks:
        raise SteeringError(f"Block {block}.", f"0 to {vector.n_blocks - 1}.")
    return block


def _vector(ui: PanelContext, name: str | None) -> SteeringVector | None:
    try:
        return ui.workspace.get(name).vector if name else None
    except SteeringError:  # removed meanwhile
        return None


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5 or 10 times a power of ten, so that the slider's ends are round."""
    scale = 1.0
    while value > 10 * scale:
        scale *= 10
    while value <= scale and scale > 1e-6:
        scale /= 10
    return next(factor * scale for factor in (1, 2, 4, 5, 10) if value <= factor * scale * (1 + 1e-9))
