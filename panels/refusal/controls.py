"""The left side of the Refusal panel: its form, and what stands in it as settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from panels.refusal.form import READ, sections
from steering.studies import find_study
from steering.studies.refusal import Inquiry, RefusalSettings
from steering.studies.refusal.settings import Until
from workbench.controls.field import names
from workbench.controls.fields import Filled, place_fields
from workbench.page.blocks import EVENT
from workbench.page.context import PanelContext
from workbench.page.inputs import text_of
from workbench.page.jobs import Outputs


class RefusalControls:
    """Places the form."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay it out."""
        self._ui = ui
        parts = sections()
        self.form = place_fields(
            ui,
            "refusal",
            parts,
            settings=RefusalSettings,
            check=lambda values: parsed(values, "effects"),
            events={"read": READ, "changed": list(names(parts))},
        )
        self._found_on = gr.State(None)
        """What the tokens that were found belong to."""
        self.outputs = [self.form, self._found_on]
        given = {"form": self.form, "found_on": self._found_on}
        ui.watch("model", self.form.read, call=self._cleared, inputs=given, outputs=self.outputs)

    def shown(self, inquiry: Inquiry) -> Outputs:
        """The tokens that were found, to be changed."""
        if inquiry.prepared is None:
            return {}
        tokens = inquiry.prepared.tokens
        choices = [
            (f"{each.text!r} {100 * each.target:.0f} % / {100 * each.control:.0f} %", f"#{each.id}")
            for each in tokens.known
        ]
        taken = [f"#{token}" for token in tokens.chosen]
        on = [inquiry.host.name, *(getattr(inquiry.settings, name) for name in READ)]
        return {self.form: self.form.offering({"tokens": choices}, {"tokens": taken}), self._found_on: on}

    def wire_picks(self, table: Any) -> None:
        """A click on a candidate names it in its field."""
        table.choose(_picked, outputs=[self.form], **EVENT)

    def _cleared(self, form: Filled, found_on: list[str] | None) -> Outputs:
        """Found tokens and a candidate belong to one model and one set of requests."""
        host = self._ui.host
        now = [host.name if host else "", *(form.ready[name] for name in READ)]
        if found_on is None or now == found_on:
            return {}
        return {
            self.form: self.form.offering({"tokens": []}, {"tokens": [], "candidate": ""}),
            self._found_on: None,
        }


def _picked(event: gr.EventData) -> dict[str, str]:
    return {"candidate": text_of(event, "pick")}


def parsed(values: Mapping[str, Any], until: Until) -> RefusalSettings:
    """What stands in the form as settings.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    given = {name: value for name, value in values.items() if value not in (None, "")}
    given["prompts"] = [line for line in given.get("prompts", "").splitlines() if line.strip()]
    found = find_study("refusal").parse({**given, "until": until})
    assert isinstance(found, RefusalSettings)
    return found
