"""What is taken down of a run while it goes on; one that cannot be kept goes on all the same, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from steering.errors import SteeringError
from steering.model.host import Host
from steering.origins.origin import Origin
from steering.studies.study import Result
from workbench.runs.about import about
from workbench.runs.origin import origin_of_run
from workbench.runs.run import Run, State


if TYPE_CHECKING:
    from workbench.workspace import Workspace


class Record:
    """One run on its way to the list."""

    def __init__(self, workspace: Workspace) -> None:
        self.id = ""
        """Of the run; "" before it begins, and where it cannot be kept."""
        self.state: State = "done"
        """How it ends."""
        self.error = ""
        self.result: Result | None = None
        self.problem: SteeringError | None = None
        """Why it is not kept."""
        self._workspace = workspace

    def begin(
        self, host: Host, run: Run, settings: BaseModel, *, page: Mapping[str, Any] | None = None, **used: Any
    ) -> None:
        """Take down that it goes on.

        Args:
            host: With the model.
            run: As far as it is known.
            settings: See `about`.
            page: What stood in its form, and which button repeats it, as JSON can hold it; None without a page.
            used: See `about`.
        """
        try:
            said = about(run.kind, host, settings, **used) | ({"page": page} if page else {})
            self.id = self._workspace.runs.begin(replace(run, about=said), used.get("vectors"))
        except SteeringError as error:
            self.problem = error

    @property
    def origin(self) -> Origin | None:
        """What its files say of where they come from; None where it cannot be kept."""
        return origin_of_run(self._workspace.runs.get(self.id)) if self.id else None

    def known(self, result: Result) -> Result:
        """The result as this run's, so that files of it say so."""
        return replace(result, run=self.origin)

    def failed(self, error: BaseException) -> None:
        """It ends with an error."""
        self.state, self.error = "failed", " ".join(str(error).split()) or type(error).__name__

    def end(self, view: Mapping[str, Any] | None = None) -> SteeringError | None:
        """Keep what it found and what the page showed; gives why it is not kept, None where it is.

        Args:
            view: As JSON can hold it; None where no page showed it.
        """
        if self.id:
            try:
                self._workspace.runs.end(self.id, self.state, result=self.result, view=view, error=self.error)
            except SteeringError as error:
                self.problem = error
        return self.problem
