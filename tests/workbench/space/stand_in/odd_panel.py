"""A panel whose work goes wrong in the ways that its setting names."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, Field

from steering.errors import SteeringError
from steering.lane import Job, note
from steering.model.host import Host
from steering.studies.size import Size, Work
from steering.studies.study import Result, origin
from workbench.panel import Panel


class Settings(BaseModel):
    """Of the panel."""

    how: Literal["well", "mistake", "fault", "death", "forever"] = Field("well", description="How it ends.")


class OddPanel(Panel):
    """Ends as it is told."""

    id, title, summary, order = "odd", "Odd", "Ends as it is told.", 200
    settings = Settings

    def size(self, host: Host, settings: Settings) -> Size:
        """As of a step of training of a known length."""
        return Size((Work("steps", 1, 0, each=12.0),))

    def run(self, host: Host, settings: Settings, job: Job[Any]) -> Result:
        if settings.how == "mistake":
            raise SteeringError("It was a mistake.", "something else.", "Do something else.")
        if settings.how == "fault":
            raise ZeroDivisionError("by naught")
        if settings.how == "death":
            os.kill(os.getpid(), signal.SIGKILL)
        while settings.how == "forever":
            job.report(1, 2, "for ever")
        note("The note of an odd run.")
        table = pd.DataFrame({"process": [f"number {os.getpid()}"], "device": [host.info.device]})
        return Result(**origin("odd", host, settings), measures=(), tables={"odd": table}, headline="odd")


class LockedPanel(OddPanel):
    """Holds something that no other process can have."""

    id, title, order = "locked", "Locked", 201

    def __init__(self) -> None:
        self.lock = threading.Lock()


panel = OddPanel()
