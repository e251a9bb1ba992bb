"""What a kept view may give a page: markup without scripts, and no property that a browser or server would act on.

A view may come from a file that somebody else made (`workbench.runs.arrivals`), so every view is taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import gradio as gr
import nh3


_INLINE = {"a", "b", "br", "code", "em", "hr", "i", "mark", "small", "span", "strong", "sub", "sup", "u"}
_BLOCKS = {"button", "details", "div", "h1", "h2", "h3", "h4", "header", "nav", "p", "pre", "section", "summary"}
_LISTS = {"dd", "dl", "dt", "li", "ol", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"}
_ATTRIBUTES = {
    "*": {"class", "title", "role", "style", "tabindex", "dir", "lang", "hidden"},
    "a": {"href"},
    "button": {"type", "disabled"},
    "details": {"open"},
    "td": {"colspan", "rowspan"},
    "th": {"scope", "colspan", "rowspan"},
}
_STYLE = re.compile(r"(?:\s*(?:color|width|--[a-z]+)\s*:\s*[\w#.%, -]+;?)*\s*")
"""Colours, widths and shares; nothing that fetches or covers anything."""
_SHOWN = frozenset(("value", "choices", "visible", "interactive", "label", "elem_classes", "open", "offers"))
"""Properties that a view sets; a template or a script is none of them."""
_VALUED = (
    gr.HTML,
    gr.Textbox,
    gr.Dropdown,
    gr.Slider,
    gr.Radio,
    gr.Checkbox,
    gr.CheckboxGroup,
    gr.Number,
    gr.Button,
    gr.Markdown,
    gr.JSON,
    gr.Code,
    gr.Label,
)
"""Components whose value is data; that of others may name a file of the server."""


def clean(markup: str) -> str:
    """Markup as the workbench writes it, without whatever else there is in it."""
    return nh3.clean(
        markup,
        tags=_INLINE | _BLOCKS | _LISTS,
        clean_content_tags={"script", "style"},
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_attribute,
        generic_attribute_prefixes={"data-", "aria-"},
        url_schemes={"http", "https"},
        link_rel=None,
    )


def cleaned(part: Any, sent: Any) -> dict[str, Any]:
    """The properties that a view gives a part of the page, as it may have them.

    Args:
        part: A component. One of our own whose value holds markup cleans it itself (`cleaned`).
        sent: Its properties; anything that JSON can hold.
    """
    found = {name: value for name, value in sent.items() if name in _SHOWN} if isinstance(sent, Mapping) else {}
    if "value" not in found or not isinstance(part, _VALUED):
        found.pop("value", None)
        return found
    if hasattr(part, "cleaned"):
        found["value"] = part.cleaned(found["value"])
    elif type(part) is gr.HTML:
        found["value"] = clean(str(found["value"] or ""))
    return found


def _attribute(tag: str, name: str, value: str) -> str | None:
    return value if name != "style" or _STYLE.fullmatch(value) else None
