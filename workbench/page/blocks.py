"""Gradio components with the workbench's own habits; the thin seam where an upgrade of Gradio would bite first."""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Iterable, Sequence
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.routes import templates
from jinja2 import BaseLoader


_UNSHOWN: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
"""Without the second, the browser tells every component that any event ever had among its outputs, the hundred of the
opening one included, how each step of each event goes: four fifths of its work while a reply streams.
"""
EVENT: dict[str, Any] = {**_UNSHOWN, "concurrency_limit": None}
"""Options of an ordinary event. Any number may run at once: none does model work, the lane does one job at a time.

It goes through Gradio's queue, because an event that does not cannot set off the `change` of a `gr.State`.
"""
LAST: dict[str, Any] = {**EVENT, "trigger_mode": "always_last"}
"""Options of an event that tells what stands in a control: what is chosen while an earlier choice is answered counts.

By itself Gradio drops what comes while an event is answered, which is right for buttons alone.
"""
URGENT: dict[str, Any] = {**_UNSHOWN, "queue": False}
"""Options of an event that must overtake everything, such as Stop; it may not change a `gr.State`."""


class _First(BaseLoader):
    """Gradio's page, with a script before all of its own."""

    def __init__(self, given: BaseLoader, script: str) -> None:
        self._given = given
        self.script = script

    def get_source(self, environment: Any, template: str) -> Any:
        """As Jinja's."""
        source, *rest = self._given.get_source(environment, template)
        return source.replace("<head>", f"<head><script>{{% raw %}}{self.script}{{% endraw %}}</script>", 1), *rest


def run_first(script: str) -> None:
    """Have the browser run a script before Gradio's: what `launch(head=...)` is given comes after them."""
    loader = templates.env.loader
    if isinstance(loader, _First):
        loader.script = script
    elif loader is not None:
        templates.env.loader = _First(loader, script)


class Unwritten(ComponentMeta):
    """Metaclass of a class over `gr.HTML` that adds no `__init__` and no events of its own.

    Gradio's own writes an interface file beside the source of every class of components, into the installation too.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attributes)


def event_of(component: gr.HTML, name: str) -> Any:
    """An event that a component's own script fires, as `gr.on` and `PanelContext` take events of other components."""
    event = gr.HTML.__getattr__(component, name)
    event.__self__ = component
    for attribute in ("event_name", "has_trigger", "callback", "connection", "event_specific_args"):
        setattr(event, attribute, getattr(event.func, attribute))
    return event


def several(trigger: Any) -> list[Any]:
    """One event, or several, as a list."""
    return list(trigger) if isinstance(trigger, Sequence) else [trigger]


def options_of(trigger: Any) -> dict[str, Any]:
    """The options of an event: `LAST` where it tells what was chosen, `EVENT` where something was pressed."""
    chosen = all(getattr(each, "event_name", "") == "input" for each in several(trigger))
    return LAST if chosen else EVENT


def plain_value(part: Any, value: Any) -> Any:
    """A component's value as the browser gets it. That of a list is plain as it is, and Gradio warns of one that the
    list did not offer when it was laid out.
    """
    return value if isinstance(part, gr.Dropdown) else part.postprocess(value)


def unique(components: Iterable[Any]) -> list[Any]:
    """Components in order, each once."""
    return list({id(component): component for component in components}.values())


def html_block(value: str = "", **options: Any) -> gr.HTML:
    """Markup of the workbench's own, styled by `assets/style.css` alone; the value must be escaped already."""
    return gr.HTML(value, apply_default_css=False, **options)


def streamed_block(value: str = "", *, script: str = "", **options: Any) -> gr.HTML:
    """Markup that changes while something runs; `assets/streamed` changes what differs and leaves the rest in place.

    What is chosen, in focus, unfolded or scrolled to stays so. A `<details data-fold="NAME">` stays open, once
    somebody has opened it, on every later visit.

    Args:
        value: Must be escaped already.
        script: Run once the markup stands, as `js_on_load` of `gr.HTML`.
        options: Of `gr.HTML`.
    """
    load = f"window.streamedMarkup(element, props, watch);{script}"
    return html_block(value, html_template="", js_on_load=load, **options)
