"""Draws of pairs that are weighed, each with others that are held out, and where their replies lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from steering.errors import SteeringError
from steering.model.host import Host
from steering.texts.preferences import Preference, load_preferences
from steering.training.leaving_out import Sides, sides_of


@dataclass(frozen=True)
class Drawn:
    """Pairs of one draw, and where their replies lie."""

    pairs: tuple[Preference, ...]
    held_out: tuple[Preference, ...]
    sides: Sides
    held_out_sides: Sides

    def swapped(self, index: int) -> Drawn:
        """The same with the sides of one pair swapped."""
        pairs, one = list(self.pairs), self.pairs[index]
        pairs[index] = replace(one, chosen=one.rejected, rejected=one.chosen)
        chosen, rejected = self.sides.chosen.clone(), self.sides.rejected.clone()
        chosen[index], rejected[index] = self.sides.rejected[index], self.sides.chosen[index]
        return replace(self, pairs=tuple(pairs), sides=Sides(chosen, rejected))


class Pool:
    """All pairs of some data with the states of their replies, read once for all draws."""

    def __init__(self, host: Host, data: str, n: int, held_out: int, *, draws: int, block: int, seed: int) -> None:
        """
        Args:
            host: The model.
            data: Where the pairs stand.
            n: Pairs of a draw that are trained on.
            held_out: Others of it.
            draws: How many there are to be.
            block: Whose states are read.
            seed: Of the draws.

        Raises:
            SteeringError: As `load_preferences`, or there are too few pairs.
        """
        self._pairs, self._n, self._needed, self._seed = load_preferences(data), n, n + held_out, seed
        if len(self._pairs) < self._needed:
            raise SteeringError(
                f"'{data}' has {len(self._pairs):,} pairs.",
                f"{self._needed} of them: {n} to train on and {held_out} held out.",
                "Take fewer (n, n_held_out), or more pairs.",
            )
        wanted = {index for draw in range(draws) for index in self._drawn(draw)}
        self._place = {index: place for place, index in enumerate(sorted(wanted))}
        self._sides = sides_of(host, [self._pairs[index] for index in self._place], block=block)

    def draw(self, number: int) -> Drawn:
        """One draw, by its number."""
        drawn, n = self._drawn(number), self._n
        pairs = tuple(self._pairs[index] for index in drawn)
        places = [self._place[index] for index in drawn]
        return Drawn(pairs[:n], pairs[n:], self._sides[places[:n]], self._sides[places[n:]])

    def _drawn(self, number: int) -> list[int]:
        return Random(f"{self._seed}/{number}").sample(range(len(self._pairs)), self._needed)
