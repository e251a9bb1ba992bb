"""A run of the list with what lies beside it, for scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from steering.studies.study import Result
from steering.vectors.vector import SteeringVector
from workbench.runs.run import Run


if TYPE_CHECKING:
    from workbench.runs.runs import Runs


@dataclass(frozen=True)
class KeptRun:
    """What `runs["ID"]` gives."""

    run: Run
    runs: Runs

    @property
    def result(self) -> Result | None:
        """As `Runs.result`."""
        return self.runs.result(self.run.id)

    @property
    def vectors(self) -> dict[str, SteeringVector]:
        """As `Runs.used`."""
        return self.runs.used(self.run.id)
