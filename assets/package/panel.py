"""$title: how long the residual stream is at every block."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
from pydantic import BaseModel, Field

from steering import Host, Job, read_states, render
from steering.figures.styling import styled
from steering.studies.setting_kinds import LongText
from steering.studies.size import Size, Work
from steering.studies.study import Measure, Result
from workbench.panel import Panel


class ${name}Settings(BaseModel):
    """What can be set; the form on the page is made from it."""

    prompts: LongText = Field("Write a note to my boss.\nTell me a story.", description="One a line; all are read.")


class ${name}Panel(Panel):
    """The page, and the same without a screen."""

    id = "$id"
    title = "$title"
    summary = "How long the residual stream is at every block."
    settings = ${name}Settings

    def needs(self, host: Host) -> str | None:
        """Why it cannot work on a model; None where it can."""
        return None

    def size(self, host: Host, settings: ${name}Settings) -> Size:
        """What a run will do, told before it runs."""
        return Size((Work("readings", len(settings.prompts.splitlines()), 20),))

    def run(self, host: Host, settings: ${name}Settings, job: Job[Result]) -> Result:
        """Read the prompts one by one, so that Stop takes effect between two."""
        prompts, norms = settings.prompts.splitlines(), []
        for n, text in enumerate(prompts):
            job.report(n, len(prompts), "prompts read")
            states = read_states(host, [render(host, text)])  # (prompt, block, width)
            norms.append(states[0].norm(dim=-1))
        mean = (sum(norms) / len(norms)).tolist()
        table = pd.DataFrame({"block": range(len(mean)), "norm": mean})
        figure = go.Figure(go.Scatter(x=table["block"], y=table["norm"], mode="lines+markers"))
        return Result.of(
            self.id,
            host,
            settings,
            measures=[Measure("norm at the last block", mean[-1], None, None, len(norms), "raw")],
            tables={"norms": table},
            figures={"Norm of the residual stream": styled(figure, "block", "mean norm, raw")},
        )


panel = ${name}Panel()
