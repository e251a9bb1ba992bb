"""States on disk, where somebody asks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from steering.errors import SteeringError


class StateFiles:
    """A folder with one float16 `.npy` file a part, (prompt, block, width), prompts in the order of their set.

    The files hold numbers alone and are read with `numpy.load(..., mmap_mode="r")`.
    """

    def __init__(self, folder: str | Path) -> None:
        """Make the folder.

        Raises:
            SteeringError: It cannot be made.
        """
        self._folder = Path(folder).expanduser()
        self._files: dict[str, np.memmap] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
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
            SteeringError: A number is too large for float16.
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
            path, shape = self._folder / f"{part}.npy", (n, *rows.shape[1:])
            self._files[part] = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
        self._files[part][indices.numpy()] = rows
