"""Figures on the page: a control that draws a Plotly figure as SVG once somebody sees it.

Plotly's own script is 4.8 MB, which a browser on a slow core needs a second to read, and drawing anew what grows during
a run would stop the page each time. So the page draws what the workbench's figures are made of by itself
(`assets/picture`), and nothing before it comes into view. Reports carry the same figures with Plotly's script.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
import plotly.graph_objects as go

from steering.figures.plain import plain
from steering.resources import resource
from workbench.page.blocks import Unwritten


_MARKUP = resource("assets", "picture", "picture.html").read_text(encoding="utf-8")
_LOAD = "window.pictureControl(element, props, watch);"


class Picture(gr.HTML, metaclass=Unwritten):
    """As an output it takes a figure, a figure with a caption (plain text) as a tuple, or None for none."""

    def preprocess(self, payload: Any) -> None:
        """Nothing: what is drawn is no setting."""

    def postprocess(self, value: go.Figure | tuple[go.Figure, str] | dict[str, Any] | None) -> dict[str, Any] | None:
        """What the page draws of a figure; what was kept of one stays as it is."""
        if value is None or isinstance(value, dict):
            return value
        figure, caption = value if isinstance(value, tuple) else (value, "")
        title = ": ".join(filter(None, (self.props.get("title"), figure.layout.title.text)))
        # With the value: Gradio may draw a component anew from its value alone.
        return {**self.props, **plain(figure), "title": title, "caption": caption}

    def api_info(self) -> dict[str, Any]:
        """Of the value."""
        return {"type": "object"}


def place_picture(elem_id: str, *, title: str = "", note: str = "", card: bool = False, texts: bool = False) -> Picture:
    """Place a figure that shows nothing until it has one, with buttons that save it as SVG and PNG.

    Args:
        elem_id: Unique on the page.
        title: What it shows, above it, before what the figure's own title adds; also the name of a file that is saved.
        note: What stands under it, behind the caption that comes with a figure.
        card: Whether it is a card of its own; else it stands in one.
        texts: Whether prompts or replies can be read off it: then it is not saved while these are to be left out.
    """
    return Picture(
        None,
        html_template=_MARKUP,
        js_on_load=_LOAD,
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=["sw-picture-block", *(["sw-texts"] if texts else [])],
        title=title,
        note=note,
        card=card,
    )
