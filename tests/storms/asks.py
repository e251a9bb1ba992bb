"""What visitors of a storm ask for, on the page and alone, and a panel that fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steering.studies.study import Result


TROUBLE = """
from typing import Literal

import torch
from pydantic import BaseModel, Field
from steering.errors import SteeringError
from steering.model.prompts import Message, render
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from workbench.panel import Panel

ERRORS = {
    "mistake": lambda: SteeringError("A mistake that was asked for.", "none.", "Ask for none."),
    "fault": lambda: RuntimeError("a fault that was asked for"),
    "memory": lambda: torch.OutOfMemoryError("no room, as was asked for"),
}

class Settings(BaseModel):
    error: Literal["mistake", "fault", "memory"] = Field("mistake", description="What is raised.")
    steps: int = Field(1, ge=0, le=50, description="Passes before.")

class Trouble(Panel):
    id, title, summary, order, settings = "trouble", "Trouble", "Fails in the middle of a pass.", 90, Settings

    def run(self, host, settings, job):
        batch = Batch.of(host, [render(host, [Message("user", "Trouble.")])], "right")
        place = (host.info.blocks // 2, "block_output")
        for step in range(settings.steps):
            job.report(step, settings.steps, "passes")
            read_prompts(host, batch, Schedule(host, [()]))
        def fail(place, states):
            raise ERRORS[settings.error]()  # a new one, since it keeps the frames that it went through
        read_prompts(host, batch, Schedule(host, [()]), read=fail, places=[place])

panel = Trouble()
"""
"""A panel whose runs fail while the model is being read, at a moment of choice."""
SAID = {"mistake": "mistake that was asked for", "fault": "fault that was asked for", "memory": "out of memory"}
"""What the page must say of each."""


LONG = 40
"""Tokens of the replies that are stopped."""


@dataclass(frozen=True)
class Ask:
    """A run that a visitor asks for on the page, and as it is asked for alone."""

    kind: str
    """The study's name."""
    path: str
    button: str
    values: Mapping[str, Any]
    """By id, what is typed on the page."""
    settings: Mapping[str, Any]
    """The study's, but for the folder of its vectors."""

    @property
    def tokens(self) -> int:
        """Of each of its replies."""
        recipe = self.settings.get("recipe") or self.settings["recipes"][0]
        return int(recipe["decode"]["max_new_tokens"])


def asks_of(number: int) -> list[Ask]:
    """What a visitor asks for: of all visitors the same, each with a vector of its own under the same name."""
    found = []
    for user, tokens, temperature in (
        ("Write a note to my boss.", 5, 0.0),
        ("What should I cook tonight?", 6, 1.0),
        ("Tell me about the sea.", LONG, 0.0),
    ):
        decode = {"max_new_tokens": tokens, "temperature": temperature, "seed": number}
        recipe = {"interventions": [{"vector": "own", "strength": 20.0, "unit": "raw"}], "decode": decode}
        asked = {"user": user, "recipes": [recipe]}
        found.append(Ask("steer", "/steer", "run", {"user": user, "recipe-a": recipe}, asked))
    short = found[0].settings["recipes"][0]
    typed = {
        "grid-user": "Say hello.",
        "recipe-g": short,
        "grid-x": "strength",
        "grid-x-values": "-20, 20",
        "grid-y": "",
    }
    grid = {"user": "Say hello.", "recipe": short, "x": "strength: -20, 20", "y": ""}
    return [*found, Ask("grid", "/grid", "grid-run", typed, grid)]


def said(result: Result | None) -> list[str]:
    """The texts that a run found."""
    return [text for table in (result.tables.values() if result else ()) if "text" in table for text in table["text"]]
