"""What somebody notes of the vectors of a shelf: a group, a note, and what they were called before.

It belongs to the workspace's list, not to the vectors' files: those say where a vector comes from, and have a digest.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import TypeAdapter

from steering.bounds import check_value
from steering.errors import SteeringError
from steering.own_files import set_aside, temporary_beside


LONGEST = {"group": 60, "note": 20_000}
"""Characters of what somebody writes about a vector."""
_VERSION = 1
_MOST_FORMER = 20


@dataclass(frozen=True)
class Noted:
    """What is noted of one vector."""

    group: str = ""
    """The heading that it stands under; "" for none."""
    note: str = ""
    former: tuple[str, ...] = ()
    """Names that it had before, the latest last."""


UNNOTED = Noted()
"""Nothing is."""
_KNOWN = TypeAdapter(dict[str, Noted])


class VectorNotes:
    """One file, by the vectors' names; safe to use from several threads and processes."""

    def __init__(self, path: Path) -> None:
        """Open it; it appears with the first note.

        Args:
            path: The file.
        """
        self._path = path
        self._lock = FileLock(path.with_name(f".{path.name}.lock"), thread_local=False)
        self._guard = threading.RLock()
        self._read: tuple[tuple[int, int, int] | None, dict[str, Noted]] = (None, {})

    def of(self, name: str) -> Noted:
        """What is noted of a vector; nothing where nothing is."""
        return self._all().get(name, UNNOTED)

    def renamed(self) -> dict[str, str]:
        """What vectors were called before -> what they are called now."""
        return {old: name for name, noted in self._all().items() for old in noted.former}

    def change(self, name: str, *, group: str | None = None, note: str | None = None) -> None:
        """Note something of a vector; what is None stays.

        Raises:
            SteeringError: A text is too long, or it cannot be written.
        """
        given = {"group": None if group is None else " ".join(group.split()), "note": note}
        changes: dict[str, Any] = {field: text for field, text in given.items() if text is not None}
        for field, text in changes.items():
            check_value("The shelf", field, text)
            if len(text) > LONGEST[field]:
                raise SteeringError(
                    f"The {field} has {len(text):,} characters.", f"at most {LONGEST[field]:,}.", "Shorten it."
                )
        with self._changing() as known:
            known[name] = replace(known.get(name, UNNOTED), **changes)

    def copy(self, name: str, new: str) -> None:
        """Note of a vector under its next name what is noted of it, and what it was called.

        Raises:
            SteeringError: It cannot be written.
        """
        with self._changing() as known:
            before = known.get(name, UNNOTED)
            former = tuple(each for each in (*before.former, name) if each != new)[-_MOST_FORMER:]
            known[new] = replace(before, former=former)

    def put(self, name: str, noted: Noted) -> None:
        """Note all of it at once, in place of what was noted.

        Raises:
            SteeringError: It cannot be written.
        """
        if noted != self.of(name):
            with self._changing() as known:
                known[name] = noted

    def drop(self, name: str) -> None:
        """Forget what is noted of a vector that is gone.

        Raises:
            SteeringError: It cannot be written.
        """
        self.put(name, UNNOTED)

    def taken(self, name: str) -> None:
        """Say that a name is another vector's from now on, so that it does not mean the one that had it before.

        Raises:
            SteeringError: It cannot be written.
        """
        if name in self.renamed():
            with self._changing() as known:
                for each, noted in known.items():
                    known[each] = replace(noted, former=tuple(old for old in noted.former if old != name))

    def _all(self) -> Mapping[str, Noted]:
        with self._guard:
            stamp = _stamp(self._path)
            if stamp is None or stamp != self._read[0]:
                try:
                    self._read = (stamp, _notes_in(self._path) or {})
                except (OSError, SteeringError):  # said when somebody notes something
                    self._read = (stamp, {})
            return self._read[1]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Noted]]:
        """All of it, to be changed; written when left, and nothing is where that fails."""
        try:
            with self._guard, self._lock:
                known = _notes_in(self._path)
                if known is None:  # not ours any more: kept beside, for whoever wants to look
                    set_aside(self._path)
                    known = {}
                yield known
                self._write({name: noted for name, noted in known.items() if noted != UNNOTED})
        except OSError as error:
            raise SteeringError(
                f"What you note of vectors cannot be written: {error.strerror or error}.",
                "a workspace folder that can be written, with room on its disk.",
                "Free some space, or start the workbench with another --workspace.",
            ) from error

    def _write(self, known: Mapping[str, Noted]) -> None:
        content = {"version": _VERSION, "vectors": {name: asdict(noted) for name, noted in known.items()}}
        with temporary_beside(self._path) as temporary:
            temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
            os.replace(temporary, self._path)


def _notes_in(path: Path) -> dict[str, Noted] | None:
    """What a file holds; nothing where there is none, None where it is damaged or of another kind.

    Raises:
        OSError: It cannot be read.
        SteeringError: A newer workbench wrote it.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content["version"], int) and content["version"] > _VERSION:
            raise SteeringError(
                f"What is noted of vectors was written by a newer workbench (version {content['version']}).",
                f"version {_VERSION}.",
                "Update this one, or start it with another --workspace.",
            )
        return _KNOWN.validate_python(content["vectors"])
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, RecursionError):  # pydantic's report is a ValueError, too
        return None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
