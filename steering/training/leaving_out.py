"""What each pair does to a direction that is worked out in one go: exactly, by leaving it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.lane import look_for_stop
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.model.sites import Site
from steering.passes.activations import read_states
from steering.texts.preferences import Preference


FEWEST = 4
"""Pairs from which on leaving one out says anything."""


@dataclass(frozen=True, eq=False)
class Influences:
    """What each training pair does to a number that is better the higher it is."""

    values: Tensor
    """The number with all pairs less that without this one, float64, (pair,): above 0 the pair helps."""
    all_pairs: float
    """The number with all of them."""

    @property
    def harmful_first(self) -> list[int]:
        """Indices of the pairs from the one that harms most to the one that helps most."""
        return torch.argsort(self.values, stable=True).tolist()


@dataclass(frozen=True, eq=False)
class Sides:
    """States of both replies of each pair at one place, float64, (pair, width) each."""

    chosen: Tensor
    rejected: Tensor

    def __getitem__(self, indices: list[int]) -> Sides:
        return Sides(self.chosen[indices], self.rejected[indices])

    @property
    def difference(self) -> Tensor:
        """The mean difference, (width,)."""
        return (self.chosen - self.rejected).mean(dim=0)


def sides_of(host: Host, pairs: Sequence[Preference], *, block: int, site: Site = "block_output") -> Sides:
    """The mean state over the tokens of each reply, at one block.

    Args:
        host: The model.
        pairs: Any number from one on.
        block: 0-based.
        site: Where in the block.

    Raises:
        SteeringError: What `read_states` raises.
    """
    texts = [(*each.messages, Message("assistant", said)) for each in pairs for said in (each.chosen, each.rejected)]
    prompts = [render(host, turns) for turns in texts]
    states = read_states(host, prompts, site=site, pooling="mean_reply")[:, block].double()
    return Sides(states[::2], states[1::2])


def leave_one_out(method: str, sides: Sides, held_out: Sides, *, seed: int = 0) -> Influences:
    """What leaving each pair out does, by fitting the method again without it: exact for every method.

    The number is `moved`: v·d / |d|^2, with d the held-out mean difference and v the method's unit direction times the
    length of the training pairs' mean difference. For the mean difference itself a pair's value is

        (v - v_-i)·d / |d|^2 = (d_i - v)·d / ((n - 1) |d|^2),

    with d_i the pair's own difference: a pair whose sides are swapped lies about two mean differences below the others.

    Args:
        method: A key of `METHODS`.
        sides: The training pairs.
        held_out: Pairs that it is not fitted to.
        seed: Of the method.

    Raises:
        SteeringError: No such method, too few pairs, or held-out pairs whose sides do not differ.
    """
    _check_method(method)
    n = len(sides.chosen)
    least = max(FEWEST, METHODS[method].min_train + 1)
    if n < least:
        raise SteeringError(
            f"{n} pairs were given.", f"at least {least}, of which one is left out.", "Take more pairs."
        )
    every = list(range(n))
    whole = moved(method, sides, held_out, seed=seed)
    without = []
    for index in every:
        look_for_stop()
        rest = [*every[:index], *every[index + 1 :]]
        without.append(moved(method, sides[rest], held_out, seed=seed))
    return Influences(whole - torch.tensor(without, dtype=torch.float64), whole)


def moved(method: str, sides: Sides, held_out: Sides, *, seed: int = 0) -> float:
    """How far a vector at strength 1 moves states along what tells held-out pairs apart, in their mean difference.

    Args:
        method: A key of `METHODS`, which gives the direction; the length is that of the pairs' mean difference.
        sides: The training pairs.
        held_out: Pairs that it is not fitted to.
        seed: Of the method.

    Raises:
        SteeringError: No such method, or held-out pairs whose sides do not differ.
    """
    cosine = aligned(method, sides, held_out, seed=seed)
    return cosine * float(sides.difference.norm() / held_out.difference.norm())


def aligned(method: str, sides: Sides, held_out: Sides, *, seed: int = 0) -> float:
    """The cosine of a method's direction with the mean difference of held-out pairs.

    Args:
        method: As for `moved`.
        sides: As for `moved`.
        held_out: As for `moved`.
        seed: As for `moved`.

    Raises:
        SteeringError: As `moved`.
    """
    _check_method(method)
    along = held_out.difference
    if not along.norm() > 0:
        raise SteeringError("The sides of the held-out pairs do not differ here.", "a place where they do.")
    return float(_direction(method, sides, seed) @ along / along.norm())


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise SteeringError(
            f"The method '{method}' was asked for.", f"one of {', '.join(METHODS)}.", "Choose one of these."
        )


def _direction(method: str, sides: Sides, seed: int) -> Tensor:
    """The unit direction of a method on one block's states, float64, (width,)."""
    fitter = METHODS[method].build(seed)
    indices = torch.arange(len(sides.chosen))
    fitter.update("positive", indices, sides.chosen[:, None])
    fitter.update("negative", indices, sides.rejected[:, None])
    return fitter.directions()[0].double()
