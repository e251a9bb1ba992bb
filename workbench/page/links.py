"""A prompt with recipes inside an address of the workbench: made with a button, read when a page opens."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.errors import SteeringError
from steering.names import short_name
from steering.origins.link import as_link, from_link
from steering.origins.origin import Origin
from steering.origins.run_file import run_file
from steering.studies.steer import SteerSettings
from steering.validation import validated
from workbench.page.blocks import html_block
from workbench.page.jobs import Outputs
from workbench.page.markup import escape


if TYPE_CHECKING:
    from workbench.page.context import PanelContext

RECIPE = "recipe"
"""What carries it in a page's address."""
_SCRIPT = """
const show = async () => {
  const field = element.querySelector('[data-link]');
  if (!field) return;
  field.value = `${location.origin}${location.pathname}?${field.dataset.link}`;
  const said = element.querySelector('[data-said]');
  try { await navigator.clipboard.writeText(field.value); said.textContent = 'Copied. '; } catch { field.select(); }
};
watch('value', show);
"""
"""Copies the address as soon as there is one; without https there is no clipboard, and it stands there selected."""


@dataclass(frozen=True)
class Linked:
    """What an address carried."""

    settings: SteerSettings
    notes: tuple[str, ...]
    """What is otherwise here than where it was made."""


def place_link(ui: PanelContext, make: Callable[..., SteerSettings], inputs: Mapping[str, Any]) -> None:
    """Place a button that copies an address which carries the prompt and the recipes of the page.

    Args:
        ui: Of a panel that receives such (`PanelContext.receive`).
        make: `make(**values)` gives what the address carries.
        inputs: Argument name -> component.
    """
    button = gr.Button("Copy as link", size="sm", elem_id=f"{ui.panel}-link")
    said = html_block("", elem_id=f"{ui.panel}-linked", elem_classes="sw-linked", js_on_load=_SCRIPT)

    def copy(**values: Any) -> Outputs:
        return {said: _link_html(_origin(ui, make(**values)))}

    ui.quick(button.click, copy, inputs=inputs, outputs=[said])


def linked(ui: PanelContext, text: str) -> Linked:
    """What an address carries, and how this workbench differs from the one that made it.

    Raises:
        SteeringError: It cannot be read, or carries something else.
    """
    origin = from_link(text)
    if origin.study != "steer":
        raise SteeringError(f"The link carries a run of '{origin.study[:40]}'.", "a prompt with recipes.")
    settings = validated(SteerSettings, origin.settings, "The link")
    names = list(dict.fromkeys(name for recipe in settings.recipes for name in recipe.vectors))
    shelf = ui.workspace.names()
    missing = [name for name in names if name not in shelf]
    others = [name for name in names if name in shelf and _digest(ui, name) != origin.vectors.get(name, "")]
    made, here = str(origin.model.get("name", "")), short_name(ui.host.name) if ui.host is not None else ""
    notes = []
    if missing:
        notes.append(f"The shelf has no vector {', '.join(missing)}: add the file, or extract it under that name.")
    if others:
        notes.append(f"{', '.join(others)} on this shelf is not the vector that it was made with.")
    if here and made != here:
        notes.append(f"It was made on {made[:100]}; this is {here}.")
    return Linked(settings, tuple(notes))


def linked_html(notes: tuple[str, ...]) -> str:
    """What is said above a panel whose prompt and recipes come from an address."""
    said = " ".join(escape(each) for each in ("The prompt and the recipes come from a link.", *notes))
    return f'<p class="sw-was" role="status">{said}</p>'


def _origin(ui: PanelContext, settings: SteerSettings) -> Origin:
    names = [name for recipe in settings.recipes for name in recipe.vectors if name in ui.workspace.names()]
    under = settings.under(ui.host.chat) if ui.host is not None else settings
    return Origin(
        study="steer",
        settings=under.model_dump(mode="json", exclude_defaults=True),
        model={"name": short_name(ui.host.name) if ui.host is not None else "no model"},
        vectors={name: _digest(ui, name) for name in names},
    )


def _digest(ui: PanelContext, name: str) -> str:
    return ui.workspace.get(name).vector.digest


def _link_html(origin: Origin) -> str:
    link = as_link(origin)
    if link is None:
        packed = base64.b64encode(run_file(origin).encode("utf-8", "backslashreplace")).decode("ascii")
        file = f'<a class="sw-link" download="steer.yaml" href="data:application/yaml;base64,{packed}">'
        said = "It is too long for a link. workbench run takes the file."
        return f'<p class="sw-run">{file}Save it as a file</a><span class="sw-note">{said}</span></p>'
    needs = f"Elsewhere it needs {', '.join(origin.vectors)}." if origin.vectors else ""
    return (
        f'<p class="sw-run"><input class="sw-address" readonly aria-label="Link" data-link="{RECIPE}={link}">'
        f'<span class="sw-note" role="status"><span data-said></span>It carries the prompt and the recipes. '
        f"{escape(needs)}</span></p>"
    )
