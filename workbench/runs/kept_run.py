"""A run of the list with what lies beside it, for scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from steering.forms.shown import Shown
from steering.studies.study import Result
from steering.vectors.vector import SteeringVector
from workbench.runs.run import Run
from workbench.runs.shown import run_html, run_text


if TYPE_CHECKING:
    from workbench.runs.runs import Runs


@dataclass(frozen=True, repr=False)
class KeptRun(Shown):
    """What `runs["ID"]` gives."""

    run: Run
    runs: Runs

    def __repr__(self) -> str:
        return f"<Run {self.run.id}: {self.run.title}, {self.run.state}>"

    def __str__(self) -> str:
        return run_text(self)

    def _repr_html_(self) -> str:
        return run_html(self)

    @property
    def result(self) -> Result | None:
        """As `Runs.result`."""
        return self.runs.result(self.run.id)

    @property
    def vectors(self) -> dict[str, SteeringVector]:
        """As `Runs.used`."""
        return self.runs.used(self.run.id)
