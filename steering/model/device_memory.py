"""What fits into a device's memory: whatever takes several rows takes fewer where there is no room for them."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary

import torch

from steering.errors import SteeringError


if TYPE_CHECKING:
    from steering.model.host import Host

T = TypeVar("T")
_FITTED: WeakKeyDictionary[Host, int] = WeakKeyDictionary()


class NoRoom(torch.OutOfMemoryError):
    """One text alone does not fit, so that no smaller batch would; what is said of it comes from `no_room`."""

    def __init__(self, host: Host, tokens: int) -> None:
        super().__init__(f"A text of {tokens:,} tokens does not fit into the memory of {host.info.device}.")
        self.tokens = tokens
        self.fitted = _FITTED.get(host.base, 0)
        """Tokens of the longest text that was read of this model so far."""


def note_fitted(host: Host, tokens: int) -> None:
    """Remember that texts so long fit."""
    _FITTED[host.base] = max(tokens, _FITTED.get(host.base, 0))


def if_it_fits(do: Callable[[], T]) -> T | None:
    """What `do` gives; None where the device has no room for it, of which nothing is held any more then."""
    try:
        return do()
    except torch.OutOfMemoryError:
        pass  # and not here, where the exception still holds all that the pass had
    free()
    return None


def fitting(host: Host, shape: tuple[int, ...], do: Callable[[], T]) -> T | None:
    """What a pass gives; None where its rows do not fit at once, so that fewer may.

    Args:
        host: The model.
        shape: Of the pass, (row, position).
        do: It.

    Raises:
        NoRoom: It has one row.
    """
    found = if_it_fits(do)
    if found is None and shape[0] == 1:
        raise NoRoom(host, shape[1])
    return found


def free() -> None:
    """Give back what is held of a pass that did not fit: its exception and what it refers to may be a circle."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def no_room(error: torch.OutOfMemoryError, doing: str) -> SteeringError:
    """The error as somebody is told of it.

    Args:
        error: Of torch, or a `NoRoom`.
        doing: Title of the job.
    """
    if not isinstance(error, NoRoom):
        remedy = "Use shorter texts, fewer rows or a smaller token budget, or load the model in bfloat16 or 8bit."
        return SteeringError(f"The device ran out of memory during '{doing}'.", remedy=remedy)
    fits = f" of {error.fitted:,} tokens, as one that was read before" if 0 < error.fitted < error.tokens else ""
    return SteeringError(
        f"The device ran out of memory during '{doing}': {str(error)[:1].lower()}{str(error)[1:-1]}, even alone.",
        f"a shorter text{fits}.",
        "Use a shorter text, load the model in bfloat16 or 8bit, or end what else takes the device's memory.",
    )
