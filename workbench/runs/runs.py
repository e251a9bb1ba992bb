"""The runs of a workspace: begun, ended, found again, noted, deleted and had back."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.studies.study import Result
from steering.vectors.vector import SteeringVector
from workbench.runs import files, run_file
from workbench.runs.index import Index
from workbench.runs.kept_run import KeptRun
from workbench.runs.origin import origin_of_run
from workbench.runs.processes import Processes
from workbench.runs.query import EVERYTHING, Query
from workbench.runs.run import LONGEST, OPEN, Run, State, check_noted, now


_log = logging.getLogger(__name__)


class Runs:
    """A folder with a list and a folder a run; safe to use from several threads and processes. What a run found stands
    whole in its folder before the list says that it is done; what a process that is gone left open is interrupted.
    """

    def __init__(self, folder: Path) -> None:
        """Open the runs of a workspace.

        Args:
            folder: Where they lie; made where it is missing.

        Raises:
            SteeringError: The list cannot be used; see `Index`.
        """
        self.folder = folder
        self._late: dict[str, dict[str, Any]] = {}
        """Of runs that ended while the list could not be written: what it is to say of them."""
        self._index = Index(folder / "index.sqlite", lambda: run_file.every(folder))
        self._processes = Processes(folder)
        self._look_for_gone(self._processes.known())

    @property
    def mended(self) -> str:
        """What was wrong with the list, and what it was made anew from; "" where nothing was."""
        return self._index.mended

    @property
    def index(self) -> Index:
        """The list itself, for what puts runs among these (`arrivals.py`)."""
        return self._index

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

    def get(self, id: str) -> Run:
        """A run by its id.

        Raises:
            SteeringError: There is none.
        """
        self._catch_up()
        row = self._index.get(id)
        if row is not None and not row.run.over and row.process != self._processes.own:
            self._look_for_gone()
            row = self._index.get(id)
        if row is None or row.deleted:
            raise SteeringError(
                f"There is no run '{id[:40]}' in this workspace.",
                "the id of a run that was made here and not deleted.",
                "Look for it on the page Runs, or with `workbench runs list`.",
            )
        return row.run

    def find(self, query: Query = EVERYTHING, *, limit: int = -1, offset: int = 0) -> list[Run]:
        """Runs, the latest first, without `about`."""
        self._catch_up()
        self._look_for_gone()
        return self._index.find(query.where, search=query.search, limit=limit, offset=offset)

    def count(self, query: Query = EVERYTHING) -> tuple[int, int]:
        """How many runs `find` has in all, and the bytes that they take on the disk."""
        return self._index.count(query.where, search=query.search)

    def known(self, column: str, owner: str | None = None) -> list[str]:
        """Which kinds, models, vectors or tags there are; for lists to choose from."""
        if column not in ("kind", "model", "vector", "tag"):
            raise ValueError(column)
        return self._index.values(column, Query(owner=owner).where)

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

    def change(self, id: str, **values: Any) -> Run:
        """Give a run another title, note, tags, or a star; gives it as it is now.

        Raises:
            SteeringError: There is no such run, or a text is too long.
        """
        run = self.get(id)
        check_noted(values)
        self._index.change(id, **values, **self._noted(replace(run, **values)))
        return self.get(id)

    def delete(self, id: str) -> None:
        """Take a run from the list; it can be had back until this workbench ends, and its files stay until then.

        Raises:
            SteeringError: There is no such run, or it goes on.
        """
        if self.get(id).state in OPEN:
            raise SteeringError("The run goes on.", "a run that has ended.", "Stop it first.")
        with suppress(OSError):
            self._processes.live()
        self._index.change(id, deleted=self._processes.own)

    def restore(self, id: str) -> None:
        """Have a deleted run back.

        Raises:
            SteeringError: It is gone for good.
        """
        row = self._index.get(id)
        if row is None or not row.deleted:
            raise SteeringError(f"The run '{id[:40]}' cannot be had back.", "a run that was deleted a while ago.")
        self._index.change(id, deleted="")

    def close(self) -> None:
        """Say that this process needs them no more: what was deleted goes for good."""
        self._catch_up()
        self.empty()
        self._index.close()
        self._processes.close()

    def _noted(self, run: Run) -> dict[str, Any]:
        """Let a run's folder say what somebody noted of it; gives what that changes in the list."""
        folder, row = self.folder / run.id, self._index.get(run.id)
        if row is None or not folder.is_dir():
            return {}
        try:
            run_file.write(folder, run, row.process)
            return {"size": run_file.size_of(folder)} if run.over else {}
        except OSError as problem:
            raise SteeringError(
                f"It cannot be noted: {run_file.reason(problem)}.",
                "a workspace folder that can be written, with room on its disk.",
                "Free some space, or give the folder's rights back.",
            ) from problem

    def _catch_up(self) -> SteeringError | None:
        """Tell the list what it could not take down before; gives why it still cannot."""
        for id, values in list(self._late.items()):
            try:
                self._index.change(id, **values)
            except SteeringError as problem:
                return problem
            self._late.pop(id, None)
        return None

    def empty(self, process: str = "") -> None:
        """Remove for good what was deleted in a process that needs it no more; in this one where none is named."""
        for id in self._index.deleted_in(process or self._processes.own):
            files.remove(self.folder / id)
            self._index.forget(id)

    def _look_for_gone(self, known: Collection[str] = ()) -> None:
        """Look which processes are gone: what they left is interrupted, and what they deleted goes for good.

        Args:
            known: Processes beside those of which the list knows something to do.
        """
        for process in self._processes.gone(self._index.processes().union(known)):
            try:
                for run in self._index.runs_in(process):
                    folder = self.folder / run.id
                    files.tidy(folder)
                    if not run.over:
                        self._index.change(run.id, **files.left(folder))
                self.empty(process)
            except SteeringError:  # the list cannot be written now, and can be read: with the next look
                return
