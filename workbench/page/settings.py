"""What somebody typed in a panel, kept by their browser as one value, so that it stands when the page opens anew."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import gradio as gr
from gradio.blocks import Block, BlockContext

from workbench.page.blocks import URGENT, html_block, plain_value
from workbench.page.markup import note


KINDS = (gr.Textbox, gr.Dropdown, gr.Slider, gr.Radio, gr.Checkbox, gr.CheckboxGroup, gr.Number)
"""Components whose value is a setting, beside those of our own with a true `is_setting`, which say what of a value that
a browser kept is one of theirs and what of it is left out (`kept`), and what handlers are given of it (`given`).
"""
LONGEST = 100_000
"""Characters of a text that the browser keeps."""
_SECRET = "steering-workbench"  # a BrowserState is always enciphered; what is kept is no secret from its own browser


class Settings:
    """A panel's settings, by name: `state` holds them in the browser, and every change of one is written there."""

    def __init__(self, panel: str, body: BlockContext) -> None:
        """Find the settings in a layout and keep them. Call inside the page, once the panel is laid out.

        Args:
            panel: The panel's id, under which they are kept.
            body: What holds its controls.
        """
        self._named = _named(body)
        self.components = list(self._named.values())
        self.state = gr.BrowserState(None, storage_key=f"sw-{panel}", secret=_SECRET)
        self.dropped = html_block("", elem_classes="sw-dropped")
        if self.components:
            # In the browser alone: nothing is sent while somebody types.
            names = json.dumps(list(self._named))
            script = f"(...values) => Object.fromEntries({names}.map((name, n) => [name, values[n]]))"
            changes = [part.change for part in self.components]
            gr.on(changes, None, js=script, inputs=self.components, outputs=[self.state], **URGENT)

    def plain(self, values: Mapping[Any, Any]) -> dict[str, Any]:
        """What stood in the settings that a handler was given, as the browser keeps it.

        Args:
            values: Component -> value, as handlers get it.
        """
        names = {part: name for name, part in self._named.items()}
        return {names[part]: plain_value(part, value) for part, value in values.items() if part in names}

    def typed(self, known: Any, drawn: Collection[Any]) -> dict[str, Any]:
        """Of what was kept, all but the choices from Gradio's lists that something else draws, with what they offer.

        Args:
            known: As `plain` gives it; anything at all.
            drawn: Components whose value is drawn.
        """
        other = {name for name, part in self._named.items() if isinstance(part, KINDS) and part in drawn}
        return {name: value for name, value in known.items() if name not in other} if isinstance(known, Mapping) else {}

    def restored(self, known: Any, query: Mapping[str, str], redrawn: Collection[Any]) -> dict[Any, Any]:
        """What changes on a page that is opened anew.

        Args:
            known: What the browser kept; anything at all, since anybody can write it there.
            query: Of the page's address: a setting that it names goes before what was kept.
            redrawn: Components whose choices are drawn anew on each page, so that a kept value may well be among them.

        Returns:
            Component -> update. What no longer fits is left out, and `dropped` says so.
        """
        kept = dict(known) if isinstance(known, Mapping) else {}
        for name, part in self._named.items():
            if name in query:
                kept[name] = query[name]
            if named := part.named(query) if hasattr(part, "named") else {}:  # a form, whose fields have names
                kept[name] = {**(kept[name] if isinstance(kept.get(name), Mapping) else {}), **named}
        changes: dict[Any, Any] = {}
        lost = []
        for name, value in kept.items():
            part = self._named.get(str(name))
            if isinstance(part, gr.Dropdown) and not part.choices and part not in redrawn:
                continue  # it chooses among what a run found, and nothing of that stands here yet
            left: list[str] = []
            update = None
            if getattr(part, "is_setting", False):
                update, left = _kept(part, value)
            elif part is not None:
                update = _update(part, value, part in redrawn)
            if update is not None:
                changes[part] = update
            lost += [each[:40] for each in left] if update is not None else [str(name)[:40]]
        if lost:
            said = f"Kept from an earlier visit and left out, since it no longer fits: {', '.join(sorted(lost)[:8])}."
            changes[self.dropped] = note(said)
        return changes


def _named(body: BlockContext) -> dict[str, Any]:
    """The settings in a layout by name: their element id, or else their label; a second one of a name has a number."""
    found: dict[str, Any] = {}
    for part in parts_in(body):
        if not (isinstance(part, KINDS) or getattr(part, "is_setting", False)) or part.interactive is False:
            continue
        name = str(part.elem_id or part.label or type(part).__name__)
        while name in found:
            name += "+"
        found[name] = part
    return found


def parts_in(block: Block) -> Iterator[Any]:
    """Everything in a layout, in order."""
    for child in getattr(block, "children", ()):
        yield child
        yield from parts_in(child)


def _update(part: Any, value: Any, redrawn: bool) -> Any:
    """How a kept value is shown again; None where it is none for this component."""
    if isinstance(part, gr.Checkbox):
        return gr.update(value=value) if isinstance(value, bool) else None
    if isinstance(part, gr.Slider | gr.Number):
        return _number(part, value, redrawn)
    if isinstance(part, gr.Dropdown | gr.Radio | gr.CheckboxGroup):
        return _choice(part, value, redrawn)
    if isinstance(part, gr.Textbox):
        return gr.update(value=value) if isinstance(value, str) and len(value) <= LONGEST else None
    return None


def _kept(part: Any, value: Any) -> tuple[Any, list[str]]:
    """How a control of our own shows a kept value again, None where nothing of it fits, and what of it is left out."""
    if value is None:
        return gr.update(value=None), []
    kept, left = part.kept(value)
    return (None if kept is None else gr.update(value=kept)), left


def _number(part: Any, value: Any, redrawn: bool) -> Any:
    if isinstance(value, str):  # of an address
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        return None
    if redrawn or _inside(part, value):
        return gr.update(value=value)
    return None


def _inside(part: Any, value: float) -> bool:
    low, high = part.minimum, part.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _choice(part: Any, value: Any, redrawn: bool) -> Any:
    several = isinstance(part, gr.CheckboxGroup) or bool(getattr(part, "multiselect", False))
    chosen = value if several else [value]
    if not isinstance(chosen, list) or not all(isinstance(each, str | int | float) for each in chosen):
        return None
    if any(isinstance(each, str) and len(each) > LONGEST for each in chosen):
        return None
    there = [key for _, key in part.choices or ()]
    unknown = [each for each in chosen if each not in there]
    if not unknown or getattr(part, "allow_custom_value", False):
        return gr.update(value=value)
    # Its choices come with the model or the shelf, a moment later; then what is not among them goes.
    return (
        gr.update(choices=[*part.choices, *((str(each), each) for each in unknown)], value=value) if redrawn else None
    )
