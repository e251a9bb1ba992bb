"""What operations do, in words."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

from steering.writes.operations import Ablate, Add, Affine, Clamp, Erase, Operation, Rotate


_CLAMPS = {
    "set": "set the projection to {} raw",
    "floor": "keep the projection from falling below {} raw",
    "ceil": "keep the projection from rising above {} raw",
}


@singledispatch
def told(operation: Operation) -> tuple[str, float | None]:
    """What an operation does, with {} for its number, and that number; None where it has none.

    Operations that are alike but for their numbers say the same, so that a plan of many blocks is told in one sentence.
    """
    return type(operation).__name__.lower(), None


@told.register
def _(operation: Add) -> tuple[str, float | None]:
    return "add {} raw", operation.strength


@told.register
def _(operation: Ablate) -> tuple[str, float | None]:
    n = 1 if operation.directions.ndim == 1 else len(operation.directions)
    of = "the direction" if n == 1 else f"{n} directions"
    return (f"ablate {of}", None) if operation.share == 1 else (f"ablate {{}} of {of}", operation.share)


@told.register
def _(operation: Affine) -> tuple[str, float | None]:
    return "set the projection to {} raw", operation.reference + operation.strength


@told.register
def _(operation: Clamp) -> tuple[str, float | None]:
    return _CLAMPS[operation.kind], operation.value


@told.register
def _(operation: Rotate) -> tuple[str, float | None]:
    return "turn by {}° towards the direction", operation.degrees


@told.register
def _(operation: Erase) -> tuple[str, float | None]:
    return "erase the concept (LEACE)", None


def operation_words(operations: Iterable[Operation]) -> str:
    """Operations that are alike but for their numbers, such as `add 2.1 to 3.4 raw`."""
    each = [told(operation) for operation in operations]
    numbers = [number for _, number in each if number is not None]
    if not numbers:
        return each[0][0]
    low, high = f"{min(numbers):.3g}", f"{max(numbers):.3g}"
    return each[0][0].format(low if low == high else f"{low} to {high}")


def blocks_words(blocks: Iterable[int]) -> str:
    """Blocks as people write them: `block 4`, `blocks 0–9`, `blocks 0–3, 5`."""
    ordered = sorted(set(blocks))
    runs: list[list[int]] = []
    for block in ordered:
        if runs and block == runs[-1][-1] + 1:
            runs[-1].append(block)
        else:
            runs.append([block])
    said = ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"block{'s' * (len(ordered) != 1)} {said}"
