"""The runs of a workspace with what they found: begun, ended and read back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from steering.errors import SteeringError
from steering.forms.shown import Shown
from steering.studies.study import Result
from steering.vectors.vector import SteeringVector
from workbench.runs import files, run_file
from workbench.runs.kept_run import KeptRun
from workbench.runs.origin import origin_of_run
from workbench.runs.run import LONGEST, Run, State, now
from workbench.runs.run_list import RunList
from workbench.runs.shown import runs_html, runs_text


_log = logging.getLogger(__name__)


class Runs(RunList, Shown):
    """The list of runs with their folders: what a run found stands whole in its folder before the list says that it is
    done.
    """

    def begin(self, run: Run, vectors: Mapping[str, SteeringVector] | None = None) -> str:
        """Take down that a run goes on; gives its id.

        Args:
            run: With its title and all that is known of it; id, state and time are set here.
            vectors: What it uses.

        Raises:
            SteeringError: It cannot be written.
        """
        self._catch_up()
        try:
            self._processes.live()
        except OSError as problem:
            raise run_file.not_kept(problem) from problem
        begun = replace(run, id=secrets.token_hex(8), state="running", begun=now(), title=run.title[: LONGEST["title"]])
        self._index.add(begun, self._processes.own)
        try:
            files.begin(self.folder / begun.id, begun, self._processes.own, vectors or {})
        except (OSError, SteeringError) as problem:
            with suppress(SteeringError):
                self._index.forget(begun.id)
            raise run_file.not_kept(problem) from problem
        return begun.id

    def end(
        self,
        id: str,
        state: State,
        *,
        result: Result | None = None,
        view: Mapping[str, Any] | None = None,
        error: str = "",
    ) -> None:
        """Take down how a run ended, and keep what it found, whole before the list says so.

        Args:
            id: Of a run that goes on.
            state: How it ended.
            result: What it found.
            view: What the page showed.
            error: Why it failed.

        Raises:
            SteeringError: It cannot be written; then the list says that the run failed, and why, as soon as it can. Or
                the list alone cannot be: then it says how the run ended as soon as it can.
        """
        ended: dict[str, Any] = {"state": state, "ended": now(), "error": error[:2000]}
        try:
            row = self._index.get(id)
            if row is None:
                raise SteeringError(f"The list no longer has the run '{id}'.")
            run = replace(row.run, **ended)
            ended["size"] = files.end(self.folder / id, run, self._processes.own, result, view)
        except (OSError, SteeringError) as problem:
            said = f"What it found could not be kept: {run_file.reason(problem)}."
            self._late[id] = {**ended, "state": "failed", "error": said[:2000]}
            self._catch_up()
            raise run_file.not_kept(problem) from problem
        self._late[id] = ended
        if late := self._catch_up():
            raise SteeringError(
                f"The run is kept, and the list of runs cannot say so yet: {late.given}",
                late.expected,
                "It is in the list as soon as that can be written; what is shown stays.",
            )

    def add_details(self, id: str, details: Mapping[str, Any]) -> None:
        """Keep what clicks on the page of a run that ended open, by the name of their kind; where they cannot be
        written, the run stands without them.
        """
        try:
            files.write_details(self.folder / id, details)
            self._index.change(id, size=run_file.size_of(self.folder / id))
        except (OSError, SteeringError) as error:
            _log.warning("What clicks on the run %s open is not kept: %s", id, error)

    __str__, _repr_html_ = runs_text, runs_html

    def __getitem__(self, id: str) -> KeptRun:
        """A run with its result, for scripts: `runs["ID"].result`.

        Raises:
            SteeringError: There is none.
        """
        return KeptRun(self.get(id), self)

    def result(self, id: str) -> Result | None:
        """What a run found; None where it left nothing.

        Raises:
            SteeringError: There is no such run, or its files are damaged.
        """
        run = self.get(id)
        result = files.read_result(self.folder / run.id)
        return result and replace(result, run=origin_of_run(run))

    def view(self, id: str) -> dict[str, Any] | None:
        """What the page of a run showed at the end; None where nothing was kept.

        Raises:
            SteeringError: There is no such run, or a newer workbench made it.
        """
        return files.read_view(self.folder / self.get(id).id)

    def details(self, id: str, name: str) -> dict[str, Any]:
        """What clicks of one kind open on the page of a run.

        Raises:
            SteeringError: There is no such run.
        """
        return files.read_details(self.folder / self.get(id).id, name)

    def used(self, id: str) -> dict[str, SteeringVector]:
        """Copies of the vectors that a run used, by the names it used.

        Raises:
            SteeringError: There is no such run.
        """
        return files.read_used(self.folder / self.get(id).id)
