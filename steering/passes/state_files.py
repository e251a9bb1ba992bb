"""States on disk: `.npy` files whose room is there before anything is written."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
from torch import Tensor

from steering.errors import SteeringError
from steering.own_files import foreign, temporary_beside, typed_path


_CARD = "states.json"
"""Beside the files: which of them the workbench wrote."""


def room_for(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    """A new `.npy` file of zeros, mapped into memory. A file with holes would end the process where the disk is full.

    Raises:
        SteeringError: The folder cannot be written, or its disk has no room.
    """
    size = int(np.prod(shape, dtype=np.float64)) * np.dtype(dtype).itemsize
    try:
        with temporary_beside(path) as temporary:
            with temporary.open("wb") as file:
                header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False}
                np.lib.format.write_array_header_1_0(file, {**header, "shape": shape})
                file.flush()
                _reserve(file.fileno(), file.tell(), size, path.parent)
            os.replace(temporary, path)
        return np.load(path, mmap_mode="r+", allow_pickle=False)
    except OSError as error:
        raise _cannot_keep(f"States of {size / 1e6:.0f} MB", path.parent, error) from error


def is_full(error: BaseException | None) -> bool:
    """Whether there was no room: on the disk, by a quota or in one file."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _cannot_keep(what: str, folder: Path, error: OSError) -> SteeringError:
    return SteeringError(
        f"{what} cannot be kept in '{folder}': {error.strerror or error}.",
        "a folder that you may write to, with room on its disk.",
        "Free some space; what is finished is kept." if is_full(error) else "Choose another.",
    )


def _reserve(file: int, start: int, size: int, folder: Path) -> None:
    if hasattr(os, "posix_fallocate"):
        if size:
            os.posix_fallocate(file, start, size)
        return
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, "the disk has no room for them")
    os.truncate(file, start + size)


class StateFiles:
    """A folder with one float16 `.npy` file a part, (prompt, block, width), prompts in the order of their set.

    The files hold numbers alone and are read with `numpy.load(..., mmap_mode="r")`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Make the folder.

        Raises:
            SteeringError: It cannot be made, or holds `.npy` files that were not written here.
        """
        self._folder = typed_path(folder)
        self._files: dict[str, np.ndarray] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            own = _listed(self._folder / _CARD)
            for path in sorted(self._folder.glob("*.npy")):
                if path.name not in own:
                    raise foreign(path)
        except OSError as error:
            raise SteeringError(
                f"The folder '{folder}' for the states cannot be made: {error.strerror}.",
                "a folder that you may write to.",
                "Choose another.",
            ) from error

    def write(self, part: str, n: int, indices: Tensor, states: Tensor) -> None:
        """Put a batch into the file of its part.

        Args:
            part: The file's name without its ending.
            n: Prompts in the part.
            indices: Of the batch's prompts, (batch,).
            states: (batch, block, width).

        Raises:
            SteeringError: A number is too large for float16, or the disk is full.
        """
        with np.errstate(over="ignore"):  # which is said below
            rows = states.numpy().astype(np.float16)
        if not np.isfinite(rows).all():
            raise SteeringError(
                f"A state is as large as {float(states.abs().max()):.3g}.",
                "numbers up to 65504, the largest that float16 files hold.",
                "Extract without keeping the states.",
            )
        if part not in self._files:
            self._list(f"{part}.npy")
            self._files[part] = room_for(self._folder / f"{part}.npy", (n, *rows.shape[1:]), np.float16)
        self._files[part][indices.numpy()] = rows

    def _list(self, name: str) -> None:
        card = self._folder / _CARD
        names = sorted({*_listed(card), name})
        try:
            with temporary_beside(card) as temporary:
                temporary.write_text(json.dumps({"format": _FORMAT, "files": names}), encoding="utf-8")
                os.replace(temporary, card)
        except OSError as error:
            raise _cannot_keep("States", self._folder, error) from error


_FORMAT = "steering-workbench states"


def _listed(card: Path) -> set[str]:
    """The files that a card lists.

    Raises:
        SteeringError: The card is somebody else's.
    """
    if not card.exists():
        return set()
    try:
        said = json.loads(card.read_text(encoding="utf-8"))
        if said["format"] == _FORMAT:
            return set(map(str, said["files"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise foreign(card)
