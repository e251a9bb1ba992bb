"""Lengths: how long states are along a vector's path, with a form made from settings."""

from __future__ import annotations

from typing import Literal

import pandas as pd
import plotly.graph_objects as go
from pydantic import Field

from steering import Host, Job, read_states, render
from steering.figures.styling import styled
from steering.studies.setting_kinds import LongText, VectorName, WithVectors
from steering.studies.size import Size, Work
from steering.studies.study import Measure, Result
from workbench.panel import Panel


class LengthsSettings(WithVectors):
    """What can be set."""

    prompt: LongText = Field("Write a note to my boss about the meeting.", description="Whose last token is read.")
    vector: VectorName = Field("", description="Along which it is read.")
    kind: Literal["length", "projection"] = Field("length", description="What is read of a state.")
    times: int = Field(3, ge=1, le=500, description="How often it is read.", json_schema_extra={"unit": "readings"})


class LengthsPanel(Panel):
    """The page, and the same without a screen."""

    id = "lengths"
    title = "Lengths"
    summary = "How long states are at every block, or how far they lie along a vector."
    order = 55
    settings = LengthsSettings
    receives = True

    def needs(self, host: Host) -> str | None:
        """Why it cannot work on a model."""
        return None if host.info.blocks > 1 else "It compares blocks, and this model has one."

    def size(self, host: Host, settings: LengthsSettings) -> Size:
        """What a run does."""
        return Size((Work("readings", settings.times, 20),))

    def run(self, host: Host, settings: LengthsSettings, job: Job[Result]) -> Result:
        """Read the prompt as often as was asked."""
        vector = settings.vector_named(host, settings.vector)
        for n in range(settings.times):
            states = read_states(host, [render(host, settings.prompt)])[0]
            job.report(n + 1, settings.times, "readings")
        along = (states * vector.directions).sum(dim=-1)
        found = (states.norm(dim=-1) if settings.kind == "length" else along).tolist()
        table = pd.DataFrame({"block": range(len(found)), settings.kind: found})
        figure = go.Figure(go.Scatter(x=table["block"], y=table[settings.kind], mode="lines+markers"))
        return Result.of(
            self.id,
            host,
            settings,
            measures=[Measure(f"largest {settings.kind}", max(found), None, None, len(found), "raw")],
            tables={"blocks": table},
            figures={"States at every block": styled(figure, "block", f"{settings.kind}, raw")},
            vectors={f"{vector.name} again": vector.renamed(f"{vector.name} again")},
        )


panel = LengthsPanel()
