"""The runs of a workspace: begun, ended, found again, noted, deleted and had back."""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from steering.errors import SteeringError
from steering.studies.study import Result
from steering.vectors.vector import SteeringVector
from workbench.runs import files
from workbench.runs.index import Index
from workbench.runs.run import OPEN, Run, State, now


_ALIVE = ".alive-"
"""How the name of a process's lock begins."""
_CHANGEABLE = ("title", "note", "tags", "favourite")
LONGEST = {"title": 200, "note": 20_000}
"""Characters of what somebody writes about a run."""


@dataclass(frozen=True)
class Query:
    """Which runs are looked for; empty fields ask for nothing."""

    search: str = ""
    """Words that stand somewhere in title, model, kind, note or tags."""
    kind: str = ""
    model: str = ""
    state: str = ""
    favourites: bool = False
    owner: str | None = None
    """Only this visitor's; everybody's where None."""

    @property
    def where(self) -> dict[str, Any]:
        """Columns of the list and their values."""
        given = {"kind": self.kind, "model": self.model, "state": self.state}
        found: dict[str, Any] = {name: value for name, value in given.items() if value}
        found |= {"favourite": True} if self.favourites else {}
        return found | ({} if self.owner is None else {"owner": self.owner})


@dataclass(frozen=True)
class KeptRun:
    """A run of the list with what lies beside it."""

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


class Runs:
    """A folder with a list and a folder a run; safe to use from several threads and processes.

    A run's folder appears whole before the list says that it is done. Each process holds a lock while it lives, so that
    another one sees when it is gone: what it left unfinished is interrupted.
    """

    def __init__(self, folder: Path) -> None:
        """Open the runs of a workspace.

        Args:
            folder: Where they lie; made where it is missing.

        Raises:
            SteeringError: The list cannot be used; see `Index`.
        """
        self.folder = folder
        self._index = Index(folder / "index.sqlite")
        self._process = secrets.token_hex(8)
        self._alive = FileLock(self._lock_of(self._process), thread_local=False)  # the process's, not a thread's
        self._guard = threading.Lock()
        self._interrupt_dead({path.name.removeprefix(_ALIVE) for path in folder.glob(f"{_ALIVE}*")})

    def begin(self, run: Run) -> str:
        """Take down that a run goes on; gives its id.

        Args:
            run: With its title and all that is known of it; id, state and time are set here.

        Raises:
            SteeringError: The list cannot be written.
        """
        self._live()
        begun = replace(run, id=secrets.token_hex(8), state="running", begun=now(), title=run.title[: LONGEST["title"]])
        self._index.add(begun, self._process)
        return begun.id

    def end(
        self,
        id: str,
        state: State,
        *,
        result: Result | None = None,
        view: Mapping[str, Any] | None = None,
        vectors: Mapping[str, SteeringVector] | None = None,
        error: str = "",
    ) -> None:
        """Take down how a run ended, and keep what it found, whole before the list says so.

        Args:
            id: Of a run that goes on.
            state: How it ended.
            result: What it found.
            view: What the page showed.
            vectors: What it used.
            error: Why it failed.

        Raises:
            SteeringError: It cannot be written; then the list says that the run failed, and why, where it can.
        """
        try:
            size = files.write(self.folder / id, result=result, view=view, vectors=vectors or {})
        except (OSError, SteeringError) as problem:
            said = f"What it found could not be kept: {problem}"
            self._index.change(id, state="failed", ended=now(), error=said[:2000])
            raise SteeringError(
                f"The run could not be kept: {getattr(problem, 'strerror', None) or problem}.",
                "a workspace folder that can be written, with room on its disk.",
                "What is shown stays; download it, or free some space and run again: what was finished is kept.",
            ) from problem
        self._index.change(id, state=state, ended=now(), error=error[:2000], size=size)

    def get(self, id: str) -> Run:
        """A run by its id.

        Raises:
            SteeringError: There is none.
        """
        self._interrupt_dead()
        run = self._index.get(id)
        if run is None or id in self._index.deleted():
            raise SteeringError(
                f"There is no run '{id[:40]}' in this workspace.",
                "the id of a run that was made here and not deleted.",
                "Look for it on the page Runs, or with `workbench runs list`.",
            )
        return run

    def find(self, query: Query = Query(), *, limit: int = -1, offset: int = 0) -> list[Run]:
        """Runs, the latest first, without `about`."""
        self._interrupt_dead()
        return self._index.find(query.where, search=query.search, limit=limit, offset=offset)

    def count(self, query: Query = Query()) -> tuple[int, int]:
        """How many runs `find` has in all, and the bytes that they take on the disk."""
        return self._index.count(query.where, search=query.search)

    def known(self, column: str, owner: str | None = None) -> list[str]:
        """Which kinds or models there are; for lists to choose from."""
        if column not in ("kind", "model"):
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
        return files.read_result(self.folder / self.get(id).id)

    def view(self, id: str) -> dict[str, Any] | None:
        """What the page of a run showed at the end; None where nothing was kept.

        Raises:
            SteeringError: There is no such run.
        """
        return files.read_view(self.folder / self.get(id).id)

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
        self.get(id)
        for name, value in values.items():
            if name not in _CHANGEABLE:
                raise ValueError(name)
            if isinstance(value, str) and len(value) > LONGEST[name]:
                raise SteeringError(
                    f"The {name} has {len(value):,} characters.", f"at most {LONGEST[name]:,}.", "Shorten it."
                )
        self._index.change(id, **values)
        return self.get(id)

    def delete(self, id: str) -> None:
        """Take a run from the list; it can be had back until this workbench ends, and its files stay until then.

        Raises:
            SteeringError: There is no such run, or it goes on.
        """
        if self.get(id).state in OPEN:
            raise SteeringError("The run goes on.", "a run that has ended.", "Stop it first.")
        self._live()
        self._index.change(id, deleted=self._process)

    def restore(self, id: str) -> None:
        """Have a deleted run back.

        Raises:
            SteeringError: It is gone for good.
        """
        if id not in self._index.deleted():
            raise SteeringError(f"The run '{id[:40]}' cannot be had back.", "a run that was deleted a while ago.")
        self._index.change(id, deleted="")

    def close(self) -> None:
        """Say that this process needs them no more: what was deleted goes for good."""
        self._empty(self._process)
        self._index.close()
        if self._alive.is_locked:
            self._alive.release()
            Path(self._alive.lock_file).unlink(missing_ok=True)

    def _live(self) -> None:
        """Let others see that this process lives, from the first thing on that they must leave to it."""
        with self._guard:
            if not self._alive.is_locked:
                self._alive.acquire()

    def _empty(self, process: str) -> None:
        """Remove what was deleted in a process that needs it no more."""
        for id, where in self._index.deleted().items():
            if where == process:
                shutil.rmtree(self.folder / id, ignore_errors=True)
                self._index.forget(id)

    def _lock_of(self, process: str) -> Path:
        return self.folder / f"{_ALIVE}{process}"

    def _interrupt_dead(self, known: Collection[str] = ()) -> None:
        """Look which processes are gone: what they left is interrupted, and what they deleted goes for good.

        Args:
            known: Processes beside those of which the list knows something to do.
        """
        for process in self._index.processes().union(known):
            if process == self._process:
                continue
            lock = FileLock(self._lock_of(process))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            self._index.interrupt(process, now())
            self._empty(process)
            lock.release()
            self._lock_of(process).unlink(missing_ok=True)
