"""What of a run travels in a file: what the list says of it, and its files, held to one digest."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator

from steering.studies.dictionaries.folders import PARTS
from steering.studies.study import RESULT
from workbench.runs.files import DETAILS, DICTIONARIES, VIEW
from workbench.runs.run import Run


FORMAT, VERSION = "steering-workbench runs", 1
LIST = "runs.json"
"""The file of an archive that says what it is and which runs it holds."""
IMPORTED = "imported"
"""Of `Run.about`: where a run came from that was made in another workspace."""
PLACES = frozenset({"kept", "vectors", "dictionaries"})
"""Settings that name a place on the disk and change nothing."""
_STORED = re.compile(
    rf"{re.escape(RESULT)}|{re.escape(VIEW)}|tables/[^/]+\.parquet|files/[^/]+\.gz|(vectors|used)/[^/]+\.safetensors"
    rf"|{DETAILS}/[^/]+\.json\.gz|{DICTIONARIES}/[^/]+/({'|'.join(map(re.escape, PARTS))})"
)
"""The files of a run's folder that travel."""
PACKED = ("files/", f"{DETAILS}/")
"""What of them is unpacked on the way."""
_LASTING = ("kind", "model", "panel", "state", "begun", "ended", "error")
"""What nobody changes afterwards; title, note, tags and star are somebody's own."""


def _time(text: str) -> str:
    if text and datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds") != text:
        raise ValueError("no time as the workbench writes it")  # by which runs are in order
    return text


_Time = Annotated[str, StringConstraints(max_length=64), AfterValidator(_time)]


class About(BaseModel):
    """What `workbench.runs.run.about` gives, checked where it comes from a file; other keys are kept as they are."""

    model_config = ConfigDict(extra="allow")

    settings: dict[str, Any] = {}
    given: list[str] = []
    model: dict[str, Any] = {}
    recipes: list[dict[str, Any]] = []
    vectors: dict[str, str] = {}
    data: dict[str, str] = {}
    versions: dict[str, str] = {}
    plugins: dict[str, str] = {}

    @model_validator(mode="after")
    def _known(self) -> About:
        if unknown := set(self.given) - set(self.settings):
            raise ValueError(f"settings are given that there are not: {sorted(unknown)[:5]}")
        return self


class Travelled(BaseModel):
    """What an archive says of a run, checked: it may come from anybody."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[str, StringConstraints(pattern="^[0-9a-f]{16}$")]
    kind: Annotated[str, StringConstraints(max_length=100)]
    title: Annotated[str, StringConstraints(max_length=200)]
    model: Annotated[str, StringConstraints(max_length=1000)]
    panel: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,60}$")]
    state: Literal["done", "stopped", "failed", "interrupted"]
    begun: _Time
    ended: _Time
    error: Annotated[str, StringConstraints(max_length=4000)]
    note: Annotated[str, StringConstraints(max_length=20_000)]
    tags: Annotated[tuple[Annotated[str, StringConstraints(max_length=200)], ...], AfterValidator(lambda t: t[:200])]
    favourite: bool
    about: dict[str, Any]

    @model_validator(mode="after")
    def _checked(self) -> Travelled:
        if not self.begun:
            raise ValueError("it does not say when it began")
        About.model_validate(self.about)
        return self

    def run(self) -> Run:
        """As the list has it."""
        return Run(**self.model_dump())


def told(run: Run) -> dict[str, Any]:
    """What travels of what the list says."""
    return {name: getattr(run, name) for name in Travelled.model_fields}


def members(folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a run that travel: (name in the archive, content), in order; texts are unpacked.

    Raises:
        OSError, EOFError, zlib.error, ValueError: The folder is damaged.
    """
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or not _STORED.fullmatch(name):
            continue
        content = path.read_bytes()
        if name == RESULT:
            yield name, as_json(_unpacked(json.loads(content)))
        else:
            packed = name.startswith(PACKED)
            yield (name.removesuffix(".gz"), gzip.decompress(content)) if packed else (name, content)


def digest(run: Run, sums: Mapping[str, str]) -> str:
    """One digest of a run: of what nobody changes afterwards, and of all its files.

    Args:
        run: As the list has it.
        sums: Name of each of `members` -> SHA-256.
    """
    about = {name: value for name, value in run.about.items() if name != IMPORTED}
    lasting = {name: getattr(run, name) for name in _LASTING}
    return hashlib.sha256(as_json([lasting, about, dict(sums)], sort_keys=True)).hexdigest()


def digest_of(run: Run, folder: Path) -> str:
    """`digest` of a run of the list."""
    return digest(run, {name: hashlib.sha256(content).hexdigest() for name, content in members(folder)})


def as_json(value: Any, **options: Any) -> bytes:
    """Plain data as the bytes of a file."""
    text = json.dumps(value, ensure_ascii=False, indent=2, **options)
    return text.encode("utf-8", "backslashreplace")


def packed(said: dict[str, Any]) -> dict[str, Any]:
    """What result.json says of its texts' files, as they lie in a run's folder."""
    return {**said, "files": {name: f"{file}.gz" for name, file in said["files"].items()}}


def _unpacked(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "files": {name: str(file).removesuffix(".gz") for name, file in said["files"].items()}}
