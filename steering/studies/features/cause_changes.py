"""What is done with features, one after the other: alone, together, and random ones in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from steering.numbers import counted
from steering.studies.features.cause_draws import Draw
from steering.studies.features.cause_settings import Do


Done = Literal["none", "off", "up"]
FLOORS: Mapping[Done, str] = {"off": "random off", "up": "random up"}
"""Name of the random sets that a change is held against."""


@dataclass(frozen=True)
class Change:
    """One thing that is done with some features, at every token of prompt and reply."""

    key: str
    """Such as `off`, `off 12` or `random off 0`."""
    title: str
    done: Done
    features: tuple[int, ...]
    stands_for: tuple[int, ...]
    """The chosen features by which its own are measured; themselves where they are chosen."""
    draw: int | None = None
    """Of random features, the number of their set."""

    @property
    def alone(self) -> bool:
        """Whether it is one of several chosen features."""
        return self.key != self.done and self.draw is None and self.done != "none"

    @property
    def floor(self) -> str:
        """The random sets that it belongs to; empty of chosen features."""
        return FLOORS[self.done] if self.draw is not None else ""


NONE = Change("none", "nothing changed", "none", (), ())
_WORDS: Mapping[Done, str] = {"off": "switched off", "up": "turned up"}


def changes(do: Do, chosen: Sequence[int], random: Sequence[Draw]) -> dict[Done, list[Change]]:
    """Of switching off, of turning up, or of both: nothing first, then all together, each alone, random sets.

    Args:
        do: Which.
        chosen: The features.
        random: Sets that stand for them.
    """
    wanted: tuple[Done, ...] = ("off", "up") if do == "both" else (do,)
    return {done: [NONE, *_of(done, tuple(chosen), random)] for done in wanted}


def _of(done: Done, chosen: tuple[int, ...], random: Sequence[Draw]) -> list[Change]:
    together = Change(done, f"{counted(len(chosen), 'feature')} {_WORDS[done]}", done, chosen, chosen)
    each = [Change(f"{done} {one}", f"feature {one} {_WORDS[done]}", done, (one,), (one,)) for one in chosen]
    sets = [
        Change(
            f"{FLOORS[done]} {draw.number}",
            f"random set {draw.number} {_WORDS[done]}",
            done,
            draw.features,
            chosen,
            draw.number,
        )
        for draw in random
    ]
    return [together, *(each if len(each) > 1 else ()), *sets]


def singles(chosen: Sequence[int], random: Sequence[Draw], done: Done) -> list[Change]:
    """Every random feature once, alone: for the agreement of what is foretold with what is measured."""
    found: dict[int, tuple[int, int]] = {}
    for draw in random:
        for feature, own in zip(draw.features, chosen, strict=True):
            found.setdefault(feature, (own, draw.number))
    return [
        Change(f"random {done} {one}", f"random feature {one} {_WORDS[done]}", done, (one,), (own,), number)
        for one, (own, number) in found.items()
    ]
