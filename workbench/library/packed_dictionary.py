"""A sparse dictionary that somebody uploads: a ZIP of its folder, read within bounds and kept among those at hand."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from steering.dictionaries.files import CFG, WEIGHTS
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.names import safe_name
from steering.studies.dictionaries.folders import PARTS, adopt


MOST_BYTES = 1_000_000_000
"""Unpacked. It is counted while it is read, since what a file says of its sizes may be wrong."""
_CHUNK = 1 << 20
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, LookupError)
"""What reading a damaged or encrypted file raises, in `zipfile` and behind it."""
_EXPECTED = f"a ZIP with {CFG} and {WEIGHTS} of one dictionary."
_AGAIN = "Pack the folder again, as sae-lens saves it; one that is larger is named as a folder on this machine."


def keep_dictionary(path: Path, home: Path) -> str:
    """Unpack a dictionary, look that it can be loaded, and put it among others; gives its name there.

    Args:
        path: Of the ZIP. Of its files only those of a dictionary are read, by their own names, whatever folder they
            lie in.
        home: The folder of dictionaries.

    Raises:
        SteeringError: No such ZIP, one that is too large, a dictionary that is refused, or a folder that cannot be
            written.
    """
    with TemporaryDirectory() as room:
        folder = Path(room) / safe_name(path.stem)
        folder.mkdir()
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, path.name, folder)
        except (*_DAMAGES, OSError) as error:
            raise _refusal(path.name, f"cannot be read as a ZIP: {error}") from error
        load_dictionary(folder)
        return adopt(folder, home)


def _unpack(archive: zipfile.ZipFile, name: str, folder: Path) -> None:
    found: dict[str, list[zipfile.ZipInfo]] = {}
    for entry in archive.infolist():
        if (part := PurePosixPath(entry.filename).name) in PARTS and not entry.filename.startswith("__MACOSX/"):
            found.setdefault(part, []).append(entry)
    if several := next((part for part, entries in found.items() if len(entries) > 1), None):
        raise _refusal(name, f"holds {several} {len(found[several])} times")
    if missing := next((part for part in (CFG, WEIGHTS) if part not in found), None):
        raise _refusal(name, f"holds no {missing}")
    left = MOST_BYTES
    for part, (entry,) in found.items():
        with archive.open(entry) as given, (folder / part).open("wb") as kept:
            while chunk := given.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise _refusal(name, f"holds more than {MOST_BYTES // 1_000_000:,} MB")
                kept.write(chunk)


def _refusal(name: str, what: str) -> SteeringError:
    return SteeringError(f"'{name}' {what}.", _EXPECTED, _AGAIN)
