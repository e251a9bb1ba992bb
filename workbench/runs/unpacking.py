"""An archive of runs read within bounds and checked whole, whoever made it.

Nothing is unpacked by the names that a file gives: what a run's folder can hold is asked for by its own names. How much
is unpacked is counted while it is read, since what a file says of its sizes may be wrong.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from steering.dictionaries.files import WEIGHTS, read_sae_lens
from steering.errors import SteeringError
from steering.studies.dictionaries.folders import PARTS
from steering.studies.study import RESULT
from steering.texts.parquet_files import check_parquet
from steering.vectors.files import load_vector
from workbench.runs.contents import FORMAT, LIST, PACKED, VERSION, Travelled, as_json, digest, packed
from workbench.runs.files import DETAILS, DICTIONARIES, VIEW, read_dictionaries, read_result
from workbench.runs.run import Run


MOST_FILES = 20_000
MOST_RUNS = 1_000
MOST_BYTES = 1_000_000_000
"""Unpacked, of all that is read."""
MOST_JSON = 64_000_000
"""Bytes of one JSON file."""
_LONGEST = 400
"""Characters of a name."""
_CHUNK = 1 << 20
_PARTS = re.compile(
    r"tables/[\w .+()-]+\.parquet|files/[\w .+()-]+|details/[\w-]+\.json|(?:vectors|used)/[\w .+()-]+\.safetensors"
    rf"|{DICTIONARIES}/\w[\w .+()-]*/(?:{'|'.join(map(re.escape, PARTS))})"
)
"""What is taken of a run's folder beside its JSON; tables as CSV and figures are for people."""
_DAMAGES = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
)
"""What reading a damaged file raises, in `zipfile` and behind it."""
_AGAIN = "Export the runs again, or get the file again from whoever made it."


@dataclass(frozen=True)
class Unpacked:
    """One run of an archive, its files ready in a folder."""

    run: Run
    folder: Path
    digest: str


class _Listed(BaseModel):
    folder: str = Field(min_length=1, max_length=200)
    id: str
    digest: str


class _List(BaseModel):
    runs: list[_Listed] = Field(min_length=1, max_length=MOST_RUNS)


def unpack(path: Path, name: str, room: Path) -> list[Unpacked]:
    """All runs of an archive, checked.

    Args:
        path: Of the archive.
        name: What it is called.
        room: An empty folder for their files.

    Raises:
        SteeringError: It is no archive of runs, of a newer version, damaged, not what it says, or larger than may be.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            reader = _Reader(archive, name)
            found = [_one(reader, each, room / f"{n}") for n, each in enumerate(_listed(reader).runs)]
        check_parquet(sorted(room.rglob("*.parquet")), name)
        for each in found:
            _check(each.folder)
    except SteeringError:
        raise
    except _DAMAGES as error:
        said = f"{name} cannot be read: {type(error).__name__}: {' '.join(str(error).split())[:200]}."
        raise SteeringError(said, "a whole ZIP file of runs, as the workbench exports it.", _AGAIN) from error
    return found


def is_archive(path: Path) -> bool:
    """Whether a file is an archive of runs, so that another one may be written over it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(_listed(_Reader(archive, path.name)))
    except (SteeringError, *_DAMAGES):
        return False


class _Reader:
    """The files of an archive, each read once and counted."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        """Look at all names first, those that nobody will ask for included.

        Raises:
            SteeringError: One is not what the workbench writes.
        """
        self.name = name
        self._archive, self._left = archive, MOST_BYTES
        self.entries: dict[str, zipfile.ZipInfo] = {}
        entries = archive.infolist()
        if len(entries) > MOST_FILES:
            raise self.refusal(f"holds {len(entries):,} files", f"at most {MOST_FILES:,}.")
        seen: set[str] = set()
        for entry in entries:
            self._check(entry)
            key = unicodedata.normalize("NFC", entry.filename).casefold()
            if key in seen:
                raise self.refusal(f"holds '{entry.filename[:80]}' twice", "every file once.")
            seen.add(key)
            if not entry.is_dir():
                self.entries[entry.filename] = entry

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """A file's content.

        Raises:
            SteeringError: There is none, or it is larger than may be.
        """
        if name not in self.entries:
            raise self.refusal(f"has no file '{name[:80]}'", "an archive that the workbench exported, whole.")
        parts = []
        with self._archive.open(self.entries[name]) as file:
            while chunk := file.read(_CHUNK):
                parts.append(chunk)
                most -= len(chunk)
                self._left -= len(chunk)
                if min(most, self._left) < 0:
                    limit = f"at most {MOST_BYTES / 1e9:.0f} GB in all, and {MOST_JSON / 1e6:.0f} MB of JSON in a file."
                    raise self.refusal(f"unpacks to more than may be, at '{name[:80]}'", limit)
        return b"".join(parts)

    def read_json(self, name: str) -> dict[str, Any]:
        """As `read`, for a JSON object."""
        found = json.loads(self.read(name, MOST_JSON).decode("utf-8"))
        if not isinstance(found, dict):
            raise self.refusal(f"has no object in '{name[:80]}'", "an archive that the workbench exported.")
        return found

    def refusal(self, what: str, expected: str, remedy: str = _AGAIN) -> SteeringError:
        """The error for this archive."""
        return SteeringError(f"{self.name} {what}.", expected, remedy)

    def _check(self, entry: zipfile.ZipInfo) -> None:
        name = entry.filename
        kind = stat.S_IFMT(entry.external_attr >> 16)
        climbs = ".." in name.split("/") or name.startswith("/") or re.match(r"[A-Za-z]:", name)
        if climbs or "\\" in name or "\0" in name or len(name) > _LONGEST:
            raise self.refusal(f"holds the name '{name[:80]}', which leads out of its folder", "plain names.")
        if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise self.refusal(f"holds '{name[:80]}', which is a link or a device", "plain files.")
        if entry.flag_bits & 0x1:
            raise self.refusal(f"holds '{name[:80]}' behind a password", "a file without one.")


def _listed(reader: _Reader) -> _List:
    """The list of runs."""
    if LIST not in reader.entries:
        raise reader.refusal(
            f"is no archive of runs: it has no file {LIST}",
            "a ZIP file that was exported from the page Runs or with `workbench runs export`.",
            "Choose another file.",
        )
    said = reader.read_json(LIST)
    if said.get("format") != FORMAT:
        raise reader.refusal("is no archive of runs", f"one whose {LIST} says '{FORMAT}'.", "Choose another file.")
    version = said.get("version")
    if isinstance(version, int) and version > VERSION:
        raise reader.refusal(
            f"has version {version}: a newer workbench made it", f"version {VERSION}.", "Update the workbench."
        )
    try:
        found = _List.model_validate(said)
    except ValidationError as error:
        raise _not_as_said(reader, LIST, error) from error
    if version != VERSION or len({each.folder for each in found.runs}) < len(found.runs):
        raise reader.refusal(f"has a {LIST} that cannot be: two runs in one folder, or no version", "one folder a run.")
    return found


def _one(reader: _Reader, listed: _Listed, folder: Path) -> Unpacked:
    """One run, its files written to a folder as the workspace has them."""
    said = reader.read_json(f"{listed.folder}/{RESULT}")
    try:
        run = Travelled.model_validate(said.pop("run", None)).run()
    except ValidationError as error:
        raise _not_as_said(reader, f"{listed.folder}/{RESULT}", error) from error
    folder.mkdir()
    sums = {}
    for name, content, stored in _parts(reader, listed.folder, said):
        sums[name] = hashlib.sha256(content).hexdigest()
        target = folder / (f"{name}.gz" if name.startswith(PACKED) else name)
        _write(target, stored)
    found = digest(run, sums)
    if found != listed.digest or run.id != listed.id:
        raise reader.refusal(
            f"does not hold what its list says of “{run.title}”: it is damaged, or was changed since it was exported",
            "the file as it was exported.",
        )
    return Unpacked(run, folder, found)


def _parts(reader: _Reader, folder: str, said: dict[str, Any]) -> Iterator[tuple[str, bytes, bytes]]:
    """Name in the archive, content, and content as it is stored, of the files that belong to a run."""
    if said:
        yield RESULT, as_json(said), as_json(packed(said))
    for path in sorted(reader.entries):
        name = path.removeprefix(f"{folder}/")
        if path == name or name.rpartition("/")[2].startswith("."):
            continue
        if name == VIEW:
            content = reader.read(path, MOST_JSON)
            yield name, content, content
        elif _PARTS.fullmatch(name):
            content = reader.read(path, MOST_JSON if name.endswith(".json") else MOST_BYTES)
            yield name, content, gzip.compress(content, mtime=0) if name.startswith(PACKED) else content


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise unwritten(error) from error


def unwritten(error: OSError) -> SteeringError:
    """The error for a workspace that cannot take a run in."""
    return SteeringError(
        f"The runs cannot be imported: {error.strerror or error}.",
        "a workspace folder that can be written, with room on its disk.",
        "Free some space and import the file again; nothing of it was taken in.",
    )


def _check(folder: Path) -> None:
    """Read all that is in a run's folder as it will be read later.

    Raises:
        SteeringError, ValueError: It cannot be.
    """
    read_result(folder)
    for path in sorted((folder / "used").glob("*.safetensors")):
        load_vector(path)
    for path in read_dictionaries(folder).values():
        read_sae_lens(path, path / WEIGHTS)
    for path in sorted((folder / DETAILS).glob("*")):
        if not isinstance(json.loads(gzip.decompress(path.read_bytes()).decode("utf-8")), dict):
            raise ValueError(f"{DETAILS}/{path.stem} holds no object")
    view = folder / VIEW
    if view.exists() and not isinstance(json.loads(view.read_bytes().decode("utf-8")), dict):
        raise ValueError(f"{VIEW} holds no object")


def _not_as_said(reader: _Reader, where: str, error: ValidationError) -> SteeringError:
    first = error.errors(include_input=False)[0]
    field = ".".join(map(str, first["loc"])) or "run"
    return reader.refusal(
        f"says of “{where[:80]}”, {field[:80]}: {first['msg'][:200]}", "an archive as the workbench exports it."
    )
