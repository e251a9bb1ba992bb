"""A form as one control: one component whose value is a JSON object, setting's name -> value.

However many fields it has, a page counts one component, a handler one input and one output. Style and script lie in
`assets/fields` and stand in the page's head once. What the browser sends is any JSON at all: `preprocess` gives a
`Filled`, which holds the values or says which field is wrong.

    form = place_fields(
        ui,
        "refusal",
        [
            section(
                "Requests",
                choice("data", "Requests", SETS, own=True, upload="Upload a set", upload_kind="contrast"),
                more(number("n_train", "For the means", unit="a side")),
            )
        ],
        settings=RefusalSettings,  # defaults, limits, choices; and what is wrong, while one types
        events={"sized": ("n_train", "data")},
    )
    ui.on(run.click, handler, inputs={"form": form}, outputs=[form])  # form.values() in the handler
    ui.watch("model", form.sized, call=tell, inputs={"form": form}, outputs=[size])  # form.values() there, too
    ui.quick(table.choose, lambda event: {form: {"candidate": text_of(event, "pick")}}, outputs=[form])
    ui.watch("model", call=lambda: {form: form.offering({"sites": sites})}, outputs=[form])

A handler that sets some fields leaves the others as they are in the browser at that moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from pydantic import BaseModel

from steering.confines import confined
from steering.errors import SteeringError
from steering.texts.formats import TAKEN
from workbench.controls.field import Choice, Field, Grouped, Section, names
from workbench.controls.filled import Filled, WrongField, complaints, refusal
from workbench.controls.form_uploads import Keep, offered, understood
from workbench.controls.recipe_reading import Problem
from workbench.doors.at_hand import allowed
from workbench.page.blocks import Unwritten, event_of
from workbench.page.context import PanelContext
from workbench.page.visits import visitor_of


_MARKUP = '<div class="sw-fields"></div>'
_MOST_SHOWN = 50
"""Fields that are wrong, of one form."""
__all__ = ["Fields", "Filled", "WrongField", "place_fields"]


class Fields(gr.HTML, metaclass=Unwritten):
    """As an input it gives a handler a `Filled`; as an output it takes the values of some fields, by name."""

    is_setting = True
    """What stands in it is kept by the browser, field by field."""

    @property
    def fields(self) -> dict[str, Field]:
        """By name."""
        return {each["name"]: _field(each) for part in self.props["sections"] for each in _plain_fields(part)}

    def __getattr__(self, name: str) -> Any:
        """An event of the form by its name."""
        return event_of(self, name)

    def preprocess(self, payload: Any) -> Filled:
        """What the browser sent; never trusted."""
        fields = self.fields
        ready = {name: field.default for name, field in fields.items()}
        if payload in (None, ""):  # Gradio's own markup component turns nothing into an empty text
            payload = {}
        if refused := refusal(fields, payload):
            return Filled(ready, (refused,))
        problems = []
        for name, field in fields.items():
            if name not in payload:
                continue
            try:
                ready[name] = allowed(field.read(payload[name]), field.unit)
            except SteeringError as error:
                problems.append(Problem(name, error))
        return Filled(ready, tuple(problems))

    def postprocess(self, value: Mapping[str, Any] | Filled | None) -> dict[str, Any]:
        """Values of some fields; the browser leaves the others as they are."""
        given = value.ready if isinstance(value, Filled) else value
        return json.loads(json.dumps(given or {}))

    def kept(self, value: Any) -> tuple[dict[str, Any] | None, list[str]]:
        """Of what a browser kept, the values that still fit, and what those are called that do not."""
        if not isinstance(value, Mapping):
            return None, []
        fields, found, lost = self.fields, {}, []
        for name, each in value.items():
            try:
                found[name] = fields[name].read(each)
            except (KeyError, SteeringError):
                lost.append(fields[name].label if name in fields else str(name))
        return found, lost

    def of_settings(self, settings: BaseModel) -> dict[str, Any]:
        """The values of the fields that are settings of the same names, those that fit."""
        told, fields = settings.model_dump(mode="json"), self.fields
        shown = {name: field.shown(told[name]) for name, field in fields.items() if name in told}
        return self.kept(shown)[0] or {}

    def named(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Values that an address names by the fields' ids."""
        return {name: each.typed(query[each.id]) for name, each in self.fields.items() if each.id in query}

    def given(self, value: Any) -> Filled:
        """What a handler is given of a value on the server."""
        return self.preprocess(self.postprocess(value))

    def joined(self, known: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
        """Two updates as one: values and choices of some fields leave those of the others."""
        parts = {
            part: {**known.get(part, {}), **(change[part] or {})}
            for part in ("value", "offers", "library")
            if isinstance(known.get(part), dict) and isinstance(change.get(part), dict | None) and part in change
        }
        return {**known, **change, **parts}

    def offering(
        self, choices: Mapping[str, Sequence[Choice | Grouped]], values: Mapping[str, Any] | None = None
    ) -> Any:
        """The update that gives fields other choices, and perhaps values: what is no longer offered is unticked.

        Args:
            choices: By the field's name, as (shown, value), those of a group with its name behind.
            values: Of some fields.
        """
        changed = {"value": values} if values is not None else {}
        # All properties: what is laid out later, in a part that was hidden, would else know these alone.
        return gr.update(
            **{**self.props, "offers": {name: [*map(list, each)] for name, each in choices.items()}}, **changed
        )

    def api_info(self) -> dict[str, Any]:
        """Of the value."""
        return {"type": "object"}


def place_fields(
    ui: PanelContext,
    key: str,
    sections: Sequence[Section],
    *,
    settings: type[BaseModel] | None = None,
    check: Callable[[dict[str, Any]], Any] | None = None,
    events: Mapping[str, Sequence[str]] | None = None,
    keeps: Mapping[str, Keep] | None = None,
) -> Fields:
    """Place a form.

    Args:
        ui: Of the panel.
        key: Unique on the page: it begins the ids of fields, as "refusal" in "refusal-n-train".
        sections: What stands in it, from above.
        settings: Gives fields of the same names their defaults, limits and choices; and says what is wrong while one
            types, where there is no `check`.
        check: Called with all values, raises a `SteeringError` for what is wrong. Where that was made of pydantic's
            report (as `Study.parse` does), every field in the report is marked; of a `WrongField` the field it names.
        events: Name of an event -> the fields whose change fires it; listen with `form.NAME`. `form.change` fires
            whatever changes. A section's button (`act`) fires an event of its own name.
        keeps: By `upload_kind`, what keeps uploaded files of a kind that holds no rows, such as a sparse dictionary.

    Raises:
        ValueError: Two fields have one name.
    """
    placed = [each.completed(key, settings) for each in sections]
    fields = names(placed)
    events = _events(placed, fields, events or {})

    def ask(given: Any) -> list[dict[str, str]]:
        """What is wrong with what stands in the form; called by its script."""
        filled = form.preprocess(given)
        found = list(filled.problems) or complaints(filled, settings, check)
        return [each.shown for each in found[:_MOST_SHOWN]]

    def take(sent: Any, request: gr.Request) -> dict[str, Any]:
        """What an uploaded file was understood as; called by the script."""
        with confined(ui.bench.confines):
            return understood(fields, sent, ui.workspace.uploads, ui.bench.owner(visitor_of(request)), keeps)

    def before(visitor: str) -> dict[Any, Any]:
        """What was uploaded before, for the fields that take it."""
        known = offered(fields.values(), ui.workspace.uploads, ui.bench.owner(visitor))
        return {form: gr.update(**{**form.props, "library": known})}

    calls = json.dumps(events).replace("<", "\\u003c")
    # Gradio finds the names of events in this text, where they stand in quotes.
    script = f"window.fieldsControl({{element, props, server, watch, trigger, upload, events: {calls}}});"
    form = Fields(
        {name: field.default for name, field in fields.items()},
        html_template=_MARKUP,
        js_on_load=script,
        apply_default_css=False,
        server_functions=[ask, take],
        elem_id=f"{key}-fields",
        elem_classes="sw-fields-block",
        ident=key,
        sections=[each.plain() for each in placed],
        accept=",".join(TAKEN),
        asking=bool(settings or check),
        offers={},
        library={},
    )
    if any(field.upload for field in fields.values()):
        ui.watch("shelf", call=before, outputs=[form], of_visitor=True)
    if settings is not None:
        ui.receive(lambda given: {form: form.of_settings(given)}, [form], settings)
    return form


def _events(
    placed: Sequence[Section], fields: Mapping[str, Field], events: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """Name of an event -> the fields that fire it; of buttons none does."""
    acts: dict[str, list[str]] = {name: [] for each in placed for name in each.acts()}
    found = {**acts, **{name: list(each) for name, each in events.items()}}
    unknown = {each for listed in found.values() for each in listed} - set(fields)
    if unknown:
        raise ValueError(f"events of fields that there are not: {sorted(unknown)}")
    return found


def _plain_fields(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [field for each in part["parts"] for field in _plain_fields(each)] if "parts" in part else [part]


def _field(plain: Mapping[str, Any]) -> Field:
    return Field(**{**plain, "choices": tuple(map(tuple, plain.get("choices", ())))})
