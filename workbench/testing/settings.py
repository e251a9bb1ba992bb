"""Checks that need no model: settings, form, layout, imports."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import BaseModel

from steering.plugins import found
from workbench.bench import Workbench
from workbench.controls.default_form import PanelForm, build_form
from workbench.controls.fields import Fields
from workbench.controls.setting_fields import Setting, parsed, settings_of, shown
from workbench.discovery import BUILT_IN
from workbench.page.context import PanelContext
from workbench.page.state import PageState
from workbench.panel import Panel
from workbench.testing.trial import Bench, Fault


_WRONG: dict[str, tuple[Any, ...]] = {
    "number": ("three", 1e300, -1e300, True),
    "switch": ("yes", 2),
    "choice": (7, "\0"),
    "several": ("one", [1]),
    "text": (7, "\0"),
    "lines": (7, "\0"),
}
"""What is wrong in a field of each kind."""
_ODD = ("no such value", "", "-1", "{a: [1, {b: ", "Ünïcode ☃ <b>")
"""Texts that a setting takes or refuses, as it likes."""


def round_trips(bench: Bench) -> str:
    """Settings become JSON, a form, and themselves again; each says what it is."""
    model = bench.panel.settings
    if model is None:
        return "There is nothing to set."
    silent = [name for name, info in model.model_fields.items() if not info.description]
    if silent:
        raise Fault(f"No description: {', '.join(silent)}.", "Give each a Field(…, description=…): the form shows it.")
    settings = bench.settings(bench.demo)
    again = model.model_validate(json.loads(settings.model_dump_json()))
    if again != settings:
        raise Fault(f"Through JSON they become {_other(settings, again)}.", "Use types that pydantic reads back.")
    fields = settings_of(model)
    beside = {name: getattr(settings, name) for name in model.model_fields if name not in fields}
    formed = parsed(model, fields, shown(fields, settings), beside, bench.panel.title)
    if formed != settings:
        raise Fault(f"Through the form they become {_other(settings, formed)}.", "Use simpler types, or build().")
    return f"{len(model.model_fields)} settings, through JSON and through the form; each is described."


def answers_bad_fields(bench: Bench) -> str:
    """Every field that is wrong is marked, and nothing fails otherwise."""
    if bench.panel.settings is None:
        return "There is nothing to set."
    fields = settings_of(bench.panel.settings)
    with gr.Blocks():
        form = PanelForm(bench.panel, _context(bench)).form
    if form is None:
        return "There is no field."
    vectors = {name: "random" for name, each in fields.items() if each.vector and each.field.kind == "choice"}
    good = {name: vectors.get(name, each.field.default) for name, each in fields.items()}
    tried = 0
    for name, each in fields.items():
        for wrong in _wrong(each):
            tried += 1
            if name not in _marked(form, good, name, wrong):
                raise Fault(f"The field {name} takes {str(wrong)[:40]!r}.", "Give its setting a type and limits.")
        for odd in _ODD if each.field.kind in ("text", "lines") else ():
            _marked(form, good, name, odd)
    return f"{tried} wrong values in {len(fields)} fields, each marked at its field."


def _marked(form: Fields, good: Mapping[str, Any], name: str, value: Any) -> set[str]:
    """The fields that are marked where one has this value.

    Raises:
        Fault: Nothing is said of it, since something failed.
    """
    try:
        return {one["field"] for one in form.ask({**good, name: value})}
    except Exception as error:
        raise Fault(
            f"The field {name} with {str(value)[:40]!r} raised {type(error).__name__}: {error}.",
            "Raise ValueError in a validator, or a SteeringError; everything else is a fault of the panel.",
        ) from error


def lays_out(bench: Bench) -> str:
    """The panel can be laid out."""
    with gr.Blocks():
        ui = _context(bench)
        own = bench.panel.build(ui) is not NotImplemented
        if not own:
            build_form(bench.panel, ui)
        ui.wire_watches()
    return "A layout of its own." if own else "The form is made from its settings."


def imports_alone(bench: Bench, source: str = "") -> str:
    """Its files import neither a built-in panel nor another package's."""
    files = list(_files(bench.panel, source))
    others = {module.rpartition(".")[0] for module in BUILT_IN} | {"panels"}
    own = type(bench.panel).__module__.partition(".")[0]
    others |= {top for each in found("panel") if (top := each.point.module.partition(".")[0]) != own}
    for path in files:
        for name in _imported(path):
            if name in others or name.startswith("panels."):
                raise Fault(
                    f"{path.name} imports {name}.",
                    "Panels know nothing of each other: use the library (steering), or what the workbench shares.",
                )
    return f"{len(files)} file{'s' * (len(files) != 1)} looked through."


def _wrong(setting: Setting) -> Iterator[Any]:
    field = setting.field
    yield from _WRONG[field.kind]
    if field.kind == "number":
        yield from (end + step for end, step in ((field.low, -1), (field.high, 1)) if end is not None)
    if field.kind == "choice" and not field.own and not field.changing:
        yield "no such value"


def _other(first: BaseModel, second: BaseModel) -> str:
    """The settings that differ."""
    names = [name for name in type(first).model_fields if getattr(first, name) != getattr(second, name)]
    return ", ".join(f"{name}={str(getattr(second, name))[:60]!r}" for name in names)


def _context(bench: Bench) -> PanelContext:
    workbench = Workbench(workspace=bench.shelf(bench.demo), lane=bench.lane)
    workbench.model.host = bench.demo
    return PanelContext(workbench, PageState(), bench.panel.title, bench.panel.id)


def _files(panel: Panel, source: str) -> Iterator[Path]:
    """The Python files of a panel: its own, and those beside it where it lies in a package."""
    place = Path(source or inspect.getfile(type(panel)))
    yield from sorted(place.parent.rglob("*.py")) if (place.parent / "__init__.py").exists() else (place,)


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
