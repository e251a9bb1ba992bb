"""The line beside Run that says, before it is pressed, what it will do and about how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import gradio as gr

from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies.size import Size
from workbench.controls.estimate_words import estimate
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import note


Count = Callable[..., Size | None]


def place_estimate(ui: PanelContext, count: Count, inputs: Mapping[str, Any], *, elem_id: str) -> gr.HTML:
    """Place the line; see `follow_estimate`.

    Args:
        ui: The panel.
        count: As there.
        inputs: As there.
        elem_id: The line's id.
    """
    line = html_block("", elem_id=elem_id, elem_classes="sw-estimate")
    follow_estimate(ui, line, count, inputs)
    return line


def follow_estimate(
    ui: PanelContext,
    line: gr.HTML,
    count: Count,
    inputs: Mapping[str, Any],
    *,
    follows: Literal["model", "shelf"] = "model",
) -> None:
    """Tell anew what a run will do when a setting or the model changes, and when a run begins or ends: then the pace is
    known better, and what was made is kept.

    Args:
        ui: The panel.
        line: Where it stands.
        count: `count(host, **values)` counts from the settings, without touching the model; None where there is nothing
            to tell. A `SteeringError` is told in the line's place.
        inputs: Argument name -> component: only those that the size depends on, since each costs the browser work.
        follows: "shelf" where vectors count too.
    """

    def tell(**values: Any) -> Outputs:
        return {line: note(told(ui.host, count, values, ui.panel))}

    changes = [part.change for part in inputs.values()]
    ui.watch(follows, ui.job_id.change, *changes, call=tell, inputs=inputs, outputs=[line])


def told(host: Host | None, count: Count, values: Mapping[str, Any], kind: str = "") -> str:
    """What the line says: the estimate, or what is wrong with the settings; nothing while there is no model."""
    if host is None:
        return ""
    try:
        size = count(host, **values)
    except SteeringError as error:
        return str(error)
    return estimate(size, host, kind) if size else ""
