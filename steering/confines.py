"""What may be read for somebody who is not the one at the machine, such as the visitor of a page.

Whoever types a command may name any file. A page is another thing: what its text boxes name is read by the server, with
the server's rights. So the page sets confines around its handlers; jobs that they submit keep them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from steering.errors import SteeringError
from steering.resources import resource


UPLOAD = "upload:"
"""What a source begins with that was uploaded: `upload:`, the digest of its content, `/` and its name."""


@dataclass(frozen=True)
class Confines:
    """For files: what ships with the project and what was uploaded. For the rest, what this says."""

    uploads: Path
    """The folder of uploads; each lies in a folder whose name only somebody knows who has its content."""
    hub: bool
    """Whether data sets on the Hub may be named; they are read with the server's login."""
    models: frozenset[str] | None
    """Models that may be loaded beside the one in use; any where None."""
    library: Path | None = None
    """The folder of uploads of earlier days, which lie there in the same way."""
    dictionaries: Path | None = None
    """The folder of sparse dictionaries that were trained, which may be named."""
    any_dictionary: bool = False
    """Whether a sparse dictionary may be named wherever it lies, as a model may that is loaded from a folder."""
    addresses: bool = False
    """Whether an address may be named that the server then asks, with a key of its environment."""

    @property
    def places(self) -> tuple[Path, ...]:
        """Where uploads lie."""
        return (self.uploads, *([self.library] if self.library else []))

    def allow(self, path: Path) -> bool:
        """Whether a file may be read."""
        try:
            real = path.expanduser().resolve()
            own = [self.dictionaries] if self.dictionaries else []
            homes = [resource("presets"), resource("assets"), *own, *self.places]
            inside = next((home for home in homes if real.is_relative_to(home.resolve())), None)
        except (OSError, RuntimeError, ValueError):  # what can be no path
            return False
        # Of uploads the digest must be named, so that nobody finds another's by guessing.
        return inside is not None and (inside not in self.places or len(real.relative_to(inside.resolve()).parts) == 2)


_libraries: list[Path] = []
"""Where uploads are kept for whoever is at the machine."""
_dictionaries: list[Path] = []
"""Where dictionaries that were trained are kept for whoever is at the machine."""
_current: ContextVar[Confines | None] = ContextVar("confines", default=None)


@contextmanager
def confined(confines: Confines | None) -> Iterator[None]:
    """Keep what is done meanwhile within confines; none where None."""
    token = _current.set(confines)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Confines | None:
    """The confines that hold here; None where anything may be read."""
    return _current.get()


def confine(confines: Confines | None) -> None:
    """Keep the rest of this context (see `contextvars`) within confines."""
    _current.set(confines)


def named_file(source: str | Path) -> Path:
    """The path that a source names, within the confines.

    Raises:
        SteeringError: It may not be read here. The answer is the same whether it is there or not.
    """
    confines = _current.get()
    text = str(source)
    if confines is None:
        return _place_of(text, _libraries[::-1]) if text.startswith(UPLOAD) and _libraries else Path(source)
    path = _place_of(text, confines.places) if text.startswith(UPLOAD) else Path(source)
    if not confines.allow(path):
        raise SteeringError(
            f"The page cannot read '{text[:80]}'.",
            "a set that ships with the project, or a file that you upload.",
            "Upload the file, or use the command line.",
        )
    return path


def named_dictionary(source: str | Path) -> Path:
    """The path of a sparse dictionary that a source names, within the confines.

    Raises:
        SteeringError: As `named_file`.
    """
    confines, text = _current.get(), str(source)
    if confines is None or text.startswith(UPLOAD):
        return named_file(source)
    if not confines.any_dictionary and not confines.allow(Path(source)):
        raise SteeringError(
            f"The page cannot read the dictionary '{text[:80]}', since others can reach it too.",
            "a dictionary that ships with the project, or one that was trained here.",
            "Choose one of the list; or use the command line, or a page that only its own machine reaches.",
        )
    return Path(source)


def know_library(folder: Path) -> None:
    """Look for uploads in this folder, too, from now on, where there are no confines; the latest goes first."""
    if folder in _libraries:
        _libraries.remove(folder)
    _libraries.append(folder)


def know_dictionaries(folder: Path) -> None:
    """Look for dictionaries by name in this folder, too, from now on, where there are no confines; the latest goes
    first.
    """
    if folder in _dictionaries:
        _dictionaries.remove(folder)
    _dictionaries.append(folder)


def dictionary_homes() -> tuple[Path, ...]:
    """The folders in which dictionaries are found by their names here, the first one first."""
    confines = _current.get()
    if confines is None:
        return tuple(_dictionaries[::-1])
    return (confines.dictionaries,) if confines.dictionaries else ()


def _place_of(source: str, places: Sequence[Path]) -> Path:
    """Where an upload lies; in the first place where it lies in none."""
    inside = source.removeprefix(UPLOAD)
    return next((place / inside for place in places if os.path.lexists(place / inside)), places[0] / inside)


def check_hub(name: str) -> None:
    """Raise unless data sets on the Hub may be named.

    Raises:
        SteeringError: They may not.
    """
    confines = _current.get()
    if confines is not None and not confines.hub:
        raise SteeringError(
            f"The page cannot read '{name[:80]}', since others can reach it too.",
            "a set that ships with the project, or a file that you upload.",
            "Download the file and upload it here, or use the command line.",
        )


def check_model(name: str) -> None:
    """Raise unless a model may be loaded beside the one in use.

    Raises:
        SteeringError: It may not.
    """
    confines = _current.get()
    if confines is not None and confines.models is not None and name not in confines.models:
        known = ", ".join(sorted(confines.models)) or "none"
        raise SteeringError(
            f"The page cannot load '{name[:80]}', since others can reach it too.",
            f"one of the models that are allowed ({known}).",
            "Whoever runs the workbench can allow more with --allow-models.",
        )


def check_address(url: str) -> None:
    """Raise unless an address may be named that is then asked from here.

    Raises:
        SteeringError: It may not.
    """
    confines = _current.get()
    if confines is not None and not confines.addresses:
        raise SteeringError(
            f"The page cannot ask '{url[:80]}', since others can reach it too.",
            "a page that only its own machine reaches, or the command line.",
            "Leave the judge's address empty here.",
        )
