"""What the checks of a panel share: settings to try it with, a shelf, models; and how a check says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from steering.lane import Lane
from steering.model.host import Host
from steering.studies import study_of
from steering.studies.setting_kinds import NoSettings, setting_type
from steering.studies.study import Result
from workbench.panel import Panel
from workbench.testing.models import random_vector
from workbench.workspace import Workspace


Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """One thing that was tried."""

    name: str
    outcome: Outcome
    did: str
    """What was done, and what came of it."""
    mend: str = ""
    """What to do where it failed, or was skipped."""


class Fault(Exception):
    """A panel does not do what it should."""

    def __init__(self, said: str, mend: str) -> None:
        super().__init__(said)
        self.mend = mend


class Skip(Exception):
    """Something cannot be tried here."""

    def __init__(self, said: str, mend: str = "") -> None:
        super().__init__(said)
        self.mend = mend


@dataclass
class Bench:
    """What the checks share: a panel, a model thread, a workspace, and settings to try the panel with."""

    panel: Panel
    lane: Lane
    folder: Path
    given: Mapping[str, Any] = field(default_factory=dict)
    """Settings that are tried in place of the defaults."""

    @property
    def model(self) -> type[BaseModel]:
        """Of the settings."""
        return self.panel.settings or NoSettings

    @cached_property
    def demo(self) -> Host:
        """The demo model."""
        return Host.load("demo", lane=self.lane)

    def shelf(self, host: Host) -> Workspace:
        """A workspace whose shelf has one vector that fits the model."""
        workspace = Workspace(self.folder / host.name)
        if not workspace.names():
            workspace.put(random_vector(host, "random"))
        return workspace

    def settings(self, host: Host, **more: Any) -> BaseModel:
        """Settings to run with: what was given, the defaults, and the shelf's vector where one must be named.

        Raises:
            SteeringError: What was given is wrong.
        """
        fields = self.model.model_fields
        given: dict[str, Any] = {"vectors": str(self.shelf(host).shelf)} if "vectors" in fields else {}
        for name, info in fields.items():
            _, optional, holding = setting_type(info)
            default = None if info.is_required() else info.get_default(call_default_factory=True)
            if holding == "vector" and not optional and not default:
                given[name] = "random"
        return study_of(self.panel).parse({**given, **self.given, **more})

    def run(self, host: Host, settings: BaseModel) -> Result:
        """A headless run to its end.

        Raises:
            Fault: It gives no result.
        """
        found = study_of(self.panel).run
        made: Any = host.submit(lambda job: found(host, settings, job), title=self.panel.title).result()
        if not isinstance(made, Result):
            raise Fault(
                f"run() gave a {type(made).__name__}.", "Return a steering.studies.study.Result, such as Result.of(…)."
            )
        return made
