"""The line beside Run that says, before it is pressed, what it will do and about how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies.size import Size
from workbench.controls.estimate_words import estimate
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import note


def place_estimate(
    ui: PanelContext,
    count: Callable[..., Size | None],
    inputs: Mapping[str, Any],
    *,
    elem_id: str,
    triggers: Sequence[Callable[..., Any]] | None = None,
) -> Any:
    """Place the line. It is told anew when a setting or the model changes, and when a run begins or ends: then the pace
    is known better, and what was made is kept.

    Args:
        ui: The panel.
        count: `count(host, **values)` counts from the settings, without touching the model; None where there is nothing
            to tell. A `SteeringError` is told in the line's place.
        inputs: Argument name -> component: only those that the size depends on, since each costs the browser work.
        elem_id: The line's id.
        triggers: When to count anew; the change of every input where None.
    """
    line = html_block("", elem_id=elem_id, elem_classes="sw-estimate")

    def tell(**values: Any) -> Outputs:
        return {line: note(told(ui.host, count, values))}

    changes = [part.change for part in inputs.values()] if triggers is None else triggers
    ui.watch("model", ui.job_id.change, *changes, call=tell, inputs=inputs, outputs=[line])
    return line


def told(host: Host | None, count: Callable[..., Size | None], values: Mapping[str, Any]) -> str:
    """What the line says: the estimate, or what is wrong with the settings; nothing while there is no model."""
    if host is None:
        return ""
    try:
        size = count(host, **values)
    except SteeringError as error:
        return str(error)
    return estimate(size, host) if size else ""
