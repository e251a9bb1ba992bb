"""The list of a workspace's runs: found again, noted, deleted and had back. It needs neither model nor torch."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from workbench.runs import leftovers, run_file
from workbench.runs.index import Index
from workbench.runs.processes import Processes
from workbench.runs.query import EVERYTHING, Query
from workbench.runs.run import OPEN, Run, check_noted


class RunList:
    """A folder with a list and a folder a run; safe to use from several threads and processes. What a process that is
    gone left open is interrupted.
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
            leftovers.remove(self.folder / id)
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
                    leftovers.tidy(folder)
                    if not run.over:
                        self._index.change(run.id, **leftovers.left(folder))
                self.empty(process)
            except SteeringError:  # the list cannot be written now, and can be read: with the next look
                return
