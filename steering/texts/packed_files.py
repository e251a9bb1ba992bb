"""Compressed files, unpacked up to a limit, and files that are something else than their name says."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from steering.errors import SteeringError
from steering.guards import MOST_BYTES, too_large


PACKED = (".gz", ".bz2", ".xz", ".zip")
"""Endings behind a format's own: `train.jsonl.gz`; a .zip holds one file."""
_MEMORY = 128_000_000
"""Bytes that unpacking .xz may take beside what it gives."""
_HEADS = {
    b"\x1f\x8b": "is packed by gzip",
    b"BZh": "is packed by bzip2",
    b"\xfd7zXZ": "is packed by xz",
    b"PK\x03\x04": "is a zip archive",
    b"\x28\xb5\x2f\xfd": "is packed by zstd",
    b"7z\xbc\xaf": "is a 7z archive",
    b"PAR1": "is a Parquet file",
    b"SQLite format 3": "is a database",
    b"%PDF": "is a PDF",
}
_PAGES = (b"<!doctype html", b"<html")


def unpack(path: Path, endings: tuple[str, ...]) -> tuple[bytes, str]:
    """What a packed file holds, and its ending.

    Args:
        path: The file.
        endings: Those that it may have when unpacked.

    Raises:
        SteeringError: Damaged, locked, several files in one, or larger than may be read.
    """
    name, inner = path.name, Path(path.stem).suffix.lower()
    try:
        if path.suffix.lower() == ".zip":
            data, inner = _member(path, endings)
        elif path.suffix.lower() == ".xz":
            reader = lzma.LZMADecompressor(memlimit=_MEMORY)
            data = reader.decompress(path.read_bytes(), max_length=MOST_BYTES + 1)
            if not reader.eof and len(data) <= MOST_BYTES:
                raise EOFError("it ends too early")
        else:
            with (gzip.open if path.suffix.lower() == ".gz" else bz2.open)(path) as file:
                data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as e:
        said = str(e) or type(e).__name__
        raise SteeringError(
            f"{name} cannot be unpacked: {said}.", "a whole file, without a password.", "Unpack it."
        ) from e
    if inner not in endings:
        raise SteeringError(
            f"{name} holds a file with the ending '{inner}'.", f"one of {', '.join(endings)}.", "Convert or rename it."
        )
    if len(data) > MOST_BYTES:
        raise too_large(name, f"unpacks to more than {MOST_BYTES / 1e6:,.0f} MB", f"{MOST_BYTES / 1e6:,.0f} MB")
    return data, inner


def _member(path: Path, endings: tuple[str, ...]) -> tuple[bytes, str]:
    with zipfile.ZipFile(path) as file:
        names = [name for name in file.namelist() if not name.endswith("/") and "__MACOSX" not in name]
        held = [name for name in names if PurePosixPath(name).suffix.lower() in endings]
        if len(held) != 1:
            raise SteeringError(
                f"{path.name} holds {len(held)} data files: {', '.join(name[:60] for name in (held or names)[:6])}.",
                "one.",
                "Unpack it, and choose one.",
            )
        with file.open(held[0]) as member:
            return member.read(MOST_BYTES + 1), PurePosixPath(held[0]).suffix.lower()


def check_pointer(head: bytes, name: str) -> None:
    """Refuse by its first bytes what came instead of a file.

    Raises:
        SteeringError: A pointer of Git LFS, or a web page.
    """
    if head.startswith(b"version https://git-lfs"):
        raise SteeringError(
            f"{name} is a pointer of Git LFS: the file that it stands for was not downloaded.",
            "the file itself.",
            "Run git lfs pull, or download it.",
        )
    if head.lstrip()[:14].lower().startswith(_PAGES):
        raise SteeringError(
            f"{name} is a web page.", "the file itself.", "Download it anew: its page has a link to the raw file."
        )


def check_head(head: bytes, name: str) -> None:
    """Refuse by its first bytes what is no text, whatever its name says.

    Raises:
        SteeringError: What `check_pointer` refuses, a packed file, or another kind of file.
    """
    check_pointer(head, name)
    what = next((what for mark, what in _HEADS.items() if head.startswith(mark)), "")
    if what:
        raise SteeringError(
            f"{name} {what}, which its ending does not say.",
            f"text; or a packed file with {', '.join(PACKED)} behind its own ending.",
            "Rename or convert it.",
        )
