"""A prompt with recipes inside an address of the workbench: made with a button, read when a page opens."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator, Mapping
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
from workbench.bench import Workbench
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
    button = gr.Button("Copy prompt and recipes as link", size="sm", elem_id=f"{ui.panel}-link")
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
    named = {name for recipe in settings.recipes for name in recipe.vectors}
    return Linked(settings, tuple(missing_here(ui.bench, origin, named)))


def missing_here(bench: Workbench, origin: Origin, named: Collection[str] = ()) -> Iterator[str]:
    """What of a run, or of prompt and recipes, is not here or is another one, a sentence each.

    Args:
        bench: Here.
        origin: Of it.
        named: Vectors that it names beside those whose digests it gives.
    """
    host, shelf = bench.host, bench.workspace
    names = shelf.names()
    known = {**dict.fromkeys(sorted(named), ""), **origin.vectors}
    missing = [name for name in known if name not in names]
    others = [name for name in known if name in names and shelf.get(name).vector.digest != known[name]]
    made, here = short_name(str(origin.model.get("name", ""))), short_name(host.info.name) if host is not None else ""
    if missing:
        yield f"The shelf has no vector {', '.join(missing)}: add the file, or extract it under that name."
    if others:
        yield f"{', '.join(others)} on this shelf is not the vector that it was made with."
    if here and made != here:
        yield f"It was made on {made[:100]}; this is {here}."
    if origin.files:
        yield f"To be uploaded again: {', '.join(origin.files.values())}."
    if origin.left_out:
        yield f"It leaves out {', '.join(origin.left_out)}."
    if origin.settings.get("turns"):
        yield "What was said before the message is not shown; the run's code has it."


def said_html(said: tuple[str, ...]) -> str:
    """What is said above a panel whose settings come from an address or a file; "" where nothing is."""
    text = " ".join(map(escape, said))
    return f'<p class="sw-was" role="status">{text}</p>' if text else ""


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
