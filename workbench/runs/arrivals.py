"""Runs that were made elsewhere, put among those of a workspace: all of a file or none, and over nothing."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

from filelock import FileLock, Timeout

from steering.errors import SteeringError
from steering.studies.dictionaries.folders import adopt
from workbench.runs import files, leftovers, run_file
from workbench.runs.contents import IMPORTED, digest_of
from workbench.runs.index import Row
from workbench.runs.run import Run, now
from workbench.runs.runs import Runs
from workbench.runs.unpacking import Unpacked, unpack, unwritten


TAG = "imported"
"""What a run that was imported is tagged with."""
_ROOM = ".import-"
"""How the name of a folder begins in which runs are unpacked."""
_AT_WORK = ".at-work"
"""The lock that whoever imports holds there."""
_STALE = 24 * 3600.0
"""Seconds after which such a folder is nobody's any more."""
Fate = Literal["new", "renamed", "there", "back"]


@dataclass(frozen=True)
class Arrival:
    """What became of one run of an archive."""

    run: Run
    fate: Fate
    """new; renamed, since another run has its id; there already, so that nothing was done; back from the deleted."""
    dictionaries: tuple[str, ...] = ()
    """Names of those that it trained, as they can be loaded here."""

    def __str__(self) -> str:
        said = {
            "new": "is imported.",
            "renamed": "is imported under a number of its own, since another run has the one that it had.",
            "there": "is here already and was left as it is.",
            "back": "had been deleted here and is back.",
        }
        trained = f" What it trained is here as {', '.join(self.dictionaries)}." if self.dictionaries else ""
        return f"“{self.run.title}” {said[self.fate]}{trained}"


def take_in(
    runs: Runs,
    path: Path,
    *,
    name: str = "",
    owner: str = "",
    sees: str | None = None,
    dictionaries: Path | None = None,
) -> list[Arrival]:
    """Import the runs of an archive: all of them or none. Nothing that is there already is changed.

    Args:
        runs: Where to.
        path: Of the archive.
        name: What the file is called, where its path does not say.
        owner: The visitor who imports.
        sees: Whose runs they see; everybody's where None. What they do not see is not there for them.
        dictionaries: The folder that gets the dictionaries that the runs trained; they stay with their runs where None.

    Raises:
        SteeringError: It is no archive of runs, of a newer version, damaged, not what it says, or larger than may be;
            or the workspace cannot be written.
    """
    called = name or path.name
    _tidy(runs.folder)
    try:
        room = Path(mkdtemp(dir=runs.folder, prefix=_ROOM))
    except OSError as error:
        raise unwritten(error) from error
    at_work = FileLock(room / _AT_WORK)
    try:
        at_work.acquire()  # so that nobody takes it for what a killed program left, whatever a clock says
        arrived: list[Arrival] = []
        try:
            for each in unpack(path, called, room):
                arrived.append(_admitted(runs, each, called, owner, sees))
            if dictionaries is not None:
                arrived = [_set_up(runs, each, dictionaries) for each in arrived]
        except BaseException:
            for one in arrived:
                if one.fate in ("new", "renamed"):
                    _take_back(runs, one.run)
            raise
        return arrived
    finally:
        at_work.release()
        shutil.rmtree(room, ignore_errors=True)


def _tidy(folder: Path) -> None:
    """Take away what a program that was killed while it imported had unpacked."""
    for left in folder.glob(f"{_ROOM}*"):
        with suppress(OSError, Timeout):
            if time.time() - left.stat().st_mtime > _STALE:  # by a clock that may have been put forward
                with FileLock(left / _AT_WORK, timeout=0):
                    shutil.rmtree(left)


def _admitted(runs: Runs, unpacked: Unpacked, called: str, owner: str, sees: str | None) -> Arrival:
    """One run put among the others, or found there."""
    run = unpacked.run
    same = next(iter(_same(runs, unpacked, sees)), None)
    if same is not None:
        if same.deleted:
            runs.restore(same.run.id)
        return Arrival(same.run, "back" if same.deleted else "there")
    taken = runs.index.get(run.id) is not None
    origin = {"file": called[:200], "when": now(), "id": run.id, "digest": unpacked.digest}
    new = replace(
        run,
        id=secrets.token_hex(8) if taken else run.id,
        owner=owner,
        tags=tuple(dict.fromkeys([*run.tags, TAG])),
        about={**run.about, IMPORTED: origin},
    )
    try:
        return Arrival(_adopted(runs, new, unpacked.folder), "renamed" if taken else "new")
    except OSError as error:
        raise unwritten(error) from error


def _adopted(runs: Runs, run: Run, folder: Path) -> Run:
    """A run put among the others: its folder, whole, and then its row. Gives it with its size."""
    run_file.write(folder, run, process="")
    whole = replace(run, size=run_file.size_of(folder))
    os.rename(folder, runs.folder / run.id)  # which fails where there is one, so that of two imports one gets it
    try:
        runs.index.add(whole, process="")
    except SteeringError:
        leftovers.remove(runs.folder / run.id)
        raise
    return whole


def _set_up(runs: Runs, arrival: Arrival, home: Path) -> Arrival:
    """The dictionaries that a new run trained, put among the others."""
    if arrival.fate not in ("new", "renamed"):
        return arrival
    found = files.read_dictionaries(runs.folder / arrival.run.id)
    return replace(arrival, dictionaries=tuple(adopt(path, home) for path in found.values()))


def _take_back(runs: Runs, run: Run) -> None:
    runs.index.forget(run.id)
    leftovers.remove(runs.folder / run.id)


def _same(runs: Runs, unpacked: Unpacked, sees: str | None) -> Iterator[Row]:
    """Runs of the list with the same content: under the same id, or imported before under another one."""
    for id in dict.fromkeys([unpacked.run.id, *runs.index.imported(unpacked.digest)]):
        known = runs.index.get(id)
        if known is None or (sees is not None and known.run.owner != sees):
            continue
        try:
            if digest_of(known.run, runs.folder / id) == unpacked.digest:
                yield known
        except (OSError, EOFError, ValueError, KeyError, AttributeError):  # damaged, so not the same any more
            continue
