"""What weights files hold, by their headers alone: damage is found before anything is loaded."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from steering.errors import SteeringError
from steering.loading.checkpoints import WEIGHTS


_POINTER = b"version https://git-lfs"
_LONGEST_HEADER = 100_000_000
"""Bytes; the format's own limit."""
_NEEDS = "whole weights files."
_AGAIN = "Download it again."


@dataclass(frozen=True)
class Stored:
    """What lies on disk."""

    bytes: int
    """All weights files together."""
    shapes: dict[str, tuple[int, ...]] | None
    """Name and shape of every tensor; None where the format does not tell without unpickling."""
    whole_numbers: tuple[str, ...] = ()
    """Names of the weights whose entries are whole numbers: packed, by a method that only the configuration tells."""


def check_weights(folder: Path) -> Stored:
    """Look through the headers of the weights files that transformers would read in a folder.

    Raises:
        SteeringError: A Git LFS pointer, a file that ends too early or is no weights file, or a shard that is absent.
    """
    first = folder / next(name for name in WEIGHTS if (folder / name).is_file())
    files = _shards(folder, first) if first.suffix == ".json" else [first]
    shapes: dict[str, tuple[int, ...]] | None = {}
    packed: list[str] = []
    total = 0
    for path in files:
        check_no_pointer(path)
        total += path.stat().st_size
        if path.suffix != ".safetensors":
            _check_torch_file(path)
            shapes = None
        elif shapes is not None:
            header = read_header(path)
            shapes.update({name: shape for name, (shape, _) in header.items()})
            packed += [
                name
                for name, (_, kind) in header.items()
                if name.endswith("weight") and (kind[0] in "IU" or kind == "BOOL")
            ]
    return Stored(total, shapes, tuple(packed))


def _shards(folder: Path, index: Path) -> list[Path]:
    check_no_pointer(index)
    try:
        named = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        files = [folder / name for name in named]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SteeringError(
            f"'{index}' is no index of weights files.", "a JSON object with a weight_map.", _AGAIN
        ) from error
    if absent := [name for name in named if not (folder / name).is_file() or Path(name).name != name]:
        raise SteeringError(
            f"{len(absent)} of the {len(named)} weights files are not in '{folder}': {', '.join(absent[:5])}.",
            f"all the files that {index.name} names.",
            "Download the missing files.",
        )
    return files


def check_no_pointer(path: Path) -> None:
    """Refuse a Git LFS pointer in place of a file, and a file that may not be read.

    Raises:
        SteeringError: It is one.
    """
    if not os.access(path, os.R_OK):
        raise SteeringError(f"'{path}' must not be read by this user.", "permission to read it.", "Ask its owner.")
    with path.open("rb") as file:
        if file.read(len(_POINTER)) != _POINTER:
            return
    raise SteeringError(
        f"'{path}' is a Git LFS pointer, a few lines in place of the file itself.",
        "the file.",
        "Run `git lfs pull` in that folder, or download it with `hf download`.",
    )


def read_header(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name, shape and type (`F32`, `BF16`, `I8`, …) of every tensor in a safetensors file.

    Raises:
        SteeringError: The file is cut short, or is no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(_LONGEST_HEADER, size - 8):
            raise damaged(
                path, f"it has {size:,} bytes, fewer than its header takes" if size < 1e6 else "its header is none"
            )
        header = file.read(length)
    try:
        entries = {name: entry for name, entry in json.loads(header).items() if name != "__metadata__"}
        end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        found = {
            name: (tuple(int(side) for side in entry["shape"]), str(entry["dtype"])) for name, entry in entries.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise damaged(path, "its header is none") from error
    if size != 8 + length + end:
        raise damaged(path, f"it has {size:,} bytes, its header speaks of {8 + length + end:,}")
    return found


def _check_torch_file(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK"):
        if not zipfile.is_zipfile(path):
            raise damaged(path, "it is cut short")
    elif not start.startswith(b"\x80"):  # a pickle, as torch wrote before version 1.6
        raise damaged(path, "it was not written by torch")


def damaged(path: Path, how: str) -> SteeringError:
    """The error for a weights file that cannot be what it should."""
    return SteeringError(f"The weights file '{path}' is damaged: {how}.", _NEEDS, _AGAIN)
