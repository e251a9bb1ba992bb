"""Files that were uploaded, kept by their content, so that they can be chosen again on another day."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter

from steering.confines import UPLOAD
from steering.errors import SteeringError
from steering.own_files import temporary_beside
from workbench.library.removed import Bin, Removed


KIND = "upload"
"""What uploads are called among what was removed."""
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Upload:
    """One file as somebody uploaded it."""

    digest: str
    """SHA-256 of its content."""
    name: str
    """Its name, with the ending that says how it is read."""
    when: str
    """When it was uploaded first, as ISO 8601 in UTC."""
    size: int
    """Bytes."""
    kinds: dict[str, int]
    """What it was read as, keys of `steering.texts.understanding.KINDS` -> rows."""

    @property
    def source(self) -> str:
        """How a setting names it."""
        return f"{UPLOAD}{self.digest}/{self.name}"


@dataclass(frozen=True)
class _Owned:
    """A file as one visitor knows it."""

    name: str
    when: str
    kinds: dict[str, int] = field(default_factory=dict)


_OWNERS = TypeAdapter(dict[str, _Owned])


class Uploads:
    """Contents by their digest, in `files/DIGEST/NAME`, and beside them in `about/DIGEST.json` whose they are.

    Two files of one content are one. A file counts once both stand, so that nothing half is ever listed; safe to use
    from several threads and processes.
    """

    def __init__(self, folder: Path, bin: Bin, changed: Callable[[], None] = lambda: None) -> None:
        """Open them; the folder appears with the first one.

        Args:
            folder: Where they lie.
            bin: Where what is removed goes meanwhile.
            changed: Called whenever there is something else to list.
        """
        self.files = folder / "files"
        self._about = folder / "about"
        self._bin = bin
        self._changed = changed
        self._lock = FileLock(folder / ".lock", thread_local=False)
        self._guard = threading.RLock()

    def add(self, path: Path, kind: str = "", rows: int = 0, *, owner: str = "") -> Upload:
        """Keep a file.

        Args:
            path: Of the file, whose name is kept, too.
            kind: What it was read as, a key of `KINDS`; "" for nothing that a field asks for.
            rows: How many it has as that.
            owner: The visitor; "" for whoever is at the machine.

        Raises:
            SteeringError: It cannot be read or written.
        """
        with self._changing(f"'{path.name}' cannot be kept"):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._put(path, self.files / digest / path.name)
            owners = self._owners(digest)
            before = owners.get(owner, _Owned(path.name, datetime.now(UTC).isoformat(timespec="seconds")))
            kinds = {**before.kinds, **({kind: rows} if kind else {})}
            self._write(digest, {**owners, owner: _Owned(path.name, before.when, kinds)})
        self._changed()
        return self.get(digest, owner)

    def find(self, owner: str | None = None, kind: str = "") -> list[Upload]:
        """What was uploaded, the latest first.

        Args:
            owner: Only what this visitor uploaded; everybody's where None.
            kind: Only what was read as this.
        """
        names = [path.stem for path in self._about.glob("*.json")] if self._about.is_dir() else []
        found = [upload for name in names if (upload := self._of(name, owner)) is not None]
        return sorted((each for each in found if kind in ("", *each.kinds)), key=lambda each: each.when, reverse=True)

    def get(self, digest: str, owner: str | None = None) -> Upload:
        """One of them.

        Raises:
            SteeringError: There is none.
        """
        found = self._of(digest, owner)
        if found is None:
            raise SteeringError("This upload is not kept here.", "one of the list.", "Upload the file again.")
        return found

    def remove(self, digest: str, owner: str | None = None) -> Removed:
        """Take a file off a visitor's list, and off the disk once nobody else has it; see `restore`.

        Args:
            digest: Of its content.
            owner: Whose list; everybody's where None.

        Raises:
            SteeringError: There is none, or it cannot be removed.
        """
        upload = self.get(digest, owner)
        with self._changing(f"'{upload.name}' cannot be removed"):
            owners = self._owners(digest)
            gone = {each: owned for each, owned in owners.items() if owner in (None, each)}
            left = {each: owned for each, owned in owners.items() if each not in gone}
            about = {"digest": digest, "owners": gone}
            whole = None if left else self.files / digest
            removed = self._bin.put(whole, KIND, upload.name, owner=owner or "", about=about)
            self._write(digest, left)
        self._changed()
        return removed

    def restore(self, id: str, owner: str | None = None) -> str:
        """Have a file back; gives its name.

        Args:
            id: Of what `remove` gave.
            owner: Only what this visitor removed; anybody's where None.

        Raises:
            SteeringError: It is gone for good, or cannot be moved back.
        """
        removed = self._bin.get(id, owner)
        digest = removed.about["digest"]
        with self._changing(f"'{removed.name}' cannot be had back"):
            if not self._bin.back(removed, self.files / digest):  # the same content was uploaded again meanwhile
                for each in removed.path.iterdir() if removed.path else ():
                    self._put(each, self.files / digest / each.name)
                self._bin.forget(removed)
            self._write(digest, {**removed.about["owners"], **self._owners(digest)})
        self._changed()
        return removed.name

    def _of(self, digest: str, owner: str | None) -> Upload | None:
        owners = self._owners(digest)
        owned = [each for name, each in owners.items() if owner in (None, name)]
        if not owned or Path(owned[0].name).name != owned[0].name:
            return None
        try:
            size = (self.files / digest / owned[0].name).stat().st_size
        except OSError:  # removed by hand
            return None
        kinds = {kind: rows for each in owned for kind, rows in each.kinds.items()}
        return Upload(digest, owned[0].name, min(each.when for each in owned), size, kinds)

    def _owners(self, digest: str) -> dict[str, _Owned]:
        """Who has a content; nobody where it is none, or the file about it is damaged."""
        if not _DIGEST.fullmatch(digest):
            return {}
        try:
            return _OWNERS.validate_json((self._about / f"{digest}.json").read_bytes())
        except (OSError, ValueError):
            return {}

    def _put(self, path: Path, place: Path) -> None:
        if place.exists():
            return
        with temporary_beside(place) as temporary:
            shutil.copyfile(path, temporary)
            os.replace(temporary, place)

    def _write(self, digest: str, owners: dict[str, _Owned]) -> None:
        about = self._about / f"{digest}.json"
        if not owners:
            about.unlink(missing_ok=True)
            return
        with temporary_beside(about) as temporary:
            temporary.write_text(json.dumps({name: asdict(each) for name, each in owners.items()}))
            os.replace(temporary, about)

    @contextmanager
    def _changing(self, failing: str) -> Iterator[None]:
        try:
            self._about.mkdir(parents=True, exist_ok=True)
            with self._guard, self._lock:
                yield
        except OSError as error:
            raise SteeringError(
                f"{failing}: {error.strerror or error}.",
                "a workspace folder that can be written, with room on its disk.",
                "Free some space, or start the workbench with another --workspace.",
            ) from error
