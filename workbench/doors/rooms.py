"""A workspace for each visitor, where they do not share one."""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from steering.errors import SteeringError
from steering.paths import bytes_in
from workbench.doors.at_hand import limits_at_hand, on_behalf_of, visit_at_hand
from workbench.doors.limits import Limits
from workbench.doors.visits import LAYOUT
from workbench.workspace import Workspace


_log = logging.getLogger(__name__)
_FRESH = 60.0
"""Seconds after which a visitor that did nothing may make room for another where all rooms are taken."""

_LONG, _SHARE = 0.01, 20
"""Seconds of computing from which looking at a room's files is no trifle, and after how many times of it they are
looked at again: every event asks.
"""


class _Room:
    def __init__(self, workspace: Workspace, now: float) -> None:
        self.workspace = workspace
        self.seen = now
        self.sent = 0
        """Bytes of uploads that were sent."""
        self.taken, self.until = 0, now
        """Bytes of its files, and until when they need not be looked at again."""


class Rooms:
    """The workspaces of those who visit a page; safe to use from several threads.

    Who asks is whose visit is at hand (`workbench.doors.at_hand`), never what they say; without one there is an error,
    and nobody's workspace instead.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        *,
        busy: Callable[[str], bool] = lambda room: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """No room is open yet.

        Args:
            folder: Where they lie. With limits it is theirs alone, and goes with the last of them.
            limits: Of visitors who come and go; None where rooms last, as those of users who sign in.
            busy: Whether something still goes on for a room.
            clock: Gives the time in seconds.
        """
        self.folder, self._limits = folder, limits
        self._busy, self._clock = busy, clock
        self._rooms: dict[str, _Room] = {}
        self._lock = threading.RLock()
        self._closed = False

    @property
    def last(self) -> bool:
        """Whether they stay, as those of users who sign in do."""
        return self._limits is None

    @property
    def workspace(self) -> Workspace:
        """That of whoever is at hand.

        Raises:
            SteeringError: Nobody is, or there are too many already.
        """
        return self._room().workspace

    def use(self) -> int:
        """Note that whoever is at hand is still there; gives the bytes that their things take.

        Raises:
            SteeringError: As `workspace`.
        """
        room, now = self._room(), self._clock()
        if now >= room.until:
            computed = time.thread_time()
            room.taken = bytes_in(room.workspace.folder)
            took = time.thread_time() - computed
            room.until = now + (_SHARE * took if took > _LONG else 0.0)
        return room.sent + room.taken

    def send(self, size: int) -> None:
        """Count bytes of an upload of whoever is at hand."""
        self._room().sent += size

    def offers(self, path: Path) -> bool:
        """Whether a file is one that whoever is at hand may download, as far as it lies in a room at all."""
        try:
            real = path.resolve()
            if not real.is_relative_to(self.folder.resolve()):
                return True
            own = self.workspace
        except (OSError, RuntimeError, ValueError, SteeringError):
            return False
        return any(real.is_relative_to(folder) for folder in (own.shelf, own.exports))

    @contextlib.contextmanager
    def layout(self) -> Iterator[None]:
        """Lay out meanwhile what everybody gets: with an empty workspace that is nobody's."""
        nobody = replace(LAYOUT, limits=self._limits)
        with tempfile.TemporaryDirectory(prefix="steering-layout-") as folder, on_behalf_of(nobody):
            room = self._rooms[LAYOUT.room] = _Room(Workspace(folder, apart=True), self._clock())
            try:
                yield
            finally:
                self._rooms.pop(LAYOUT.room)
                room.workspace.close()

    def clear(self) -> list[str]:
        """Remove what visitors left who are gone; gives their rooms' names."""
        if self._limits is None:
            return []
        with self._lock:
            before = self._clock() - 60 * self._limits.minutes
            gone = [name for name, room in self._rooms.items() if room.seen < before and not self._busy(name)]
            for name in gone:
                self._remove(name)
        return gone

    def close(self) -> None:
        """Nobody will come any more."""
        with self._lock:
            self._closed = True
            for name in list(self._rooms):
                self._remove(name)
            if self._limits is not None:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _room(self) -> _Room:
        visit = visit_at_hand()
        if visit is None or not visit.room:
            raise SteeringError(
                "Nobody is known for whom this is done; on this page everybody has a workspace of their own.",
                "a request of the opened page.",
                "Load the page again.",
            )
        with self._lock:
            room = self._rooms.get(visit.room)
            if room is None:
                room = self._rooms[visit.room] = self._open(visit.room)
            room.seen = self._clock()
            return room

    def _open(self, name: str) -> _Room:
        if self._closed:
            raise SteeringError("The page has ended.", remedy="Start the workbench anew.")
        if self._limits is None:
            return _Room(Workspace(self.folder / name, apart=True), self._clock())
        if len(self._rooms) >= self._limits.visitors:
            self._make_room()
        # The visit's number is a secret, and names of folders are seen by many.
        folder = self.folder / secrets.token_hex(8)
        most = limits_at_hand()
        return _Room(Workspace(folder, apart=True, may_keep=most.check_vectors if most else None), self._clock())

    def _make_room(self) -> None:
        before = self._clock() - _FRESH
        idle = [name for name, room in self._rooms.items() if room.seen < before and not self._busy(name)]
        if not idle:
            raise SteeringError(
                f"{len(self._rooms)} visitors are here, as many as this page takes.",
                remedy="Come back in some minutes.",
            )
        self._remove(min(idle, key=lambda name: self._rooms[name].seen))

    def _remove(self, name: str) -> None:
        workspace = self._rooms.pop(name).workspace
        with contextlib.suppress(SteeringError, OSError):
            workspace.close()
        if self._limits is not None:
            shutil.rmtree(workspace.folder, ignore_errors=True)
            if workspace.folder.exists():
                _log.warning("What a visitor left could not be removed whole.")
