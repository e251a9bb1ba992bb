"""What every loss is: a function of the log-probabilities of given replies, and what it needs to know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from steering.errors import SteeringError
from steering.training.scores import Scores
from steering.training.texts import Kind


View = Literal["plus", "minus", "nulled"]
"""Under which plan replies are read: as it is, with its sign turned, or with its direction taken out of the states."""
Settings = Mapping[str, float]
"""A loss's own numbers, by name."""


@dataclass(frozen=True, eq=False)
class Side:
    """Replies of a batch under one plan."""

    chosen: Scores
    """Of the chosen replies; of labelled data all of them."""
    rejected: Scores | None = None
    """Of the rejected ones."""

    @property
    def both(self) -> tuple[Scores, Scores]:
        """Chosen and rejected, of a loss that takes pairs."""
        assert self.rejected is not None
        return self.chosen, self.rejected


@dataclass(frozen=True, eq=False)
class Views:
    """All that a loss sees of a batch, an example a row."""

    plus: Side
    """Under the plan."""
    minus: Side | None = None
    """Under the plan with its sign turned."""
    nulled: Side | None = None
    """With the direction taken out."""
    wanted: Tensor | None = None
    """Of labelled data: whether each reply is wanted, boolean, (row,)."""
    weights: Tensor | None = None
    """What each example counts, where the loss asks for weights, (row,)."""
    shift: float = 0.0
    """A number that is known of other examples, without a gradient; see `Loss.shift`."""
    progress: float = 0.0
    """Which share of the steps is done."""
    penalty: Tensor | None = None
    """Of a gated plan: how active the direction is where it is not among the most active tokens, (row,)."""
    advantages: Tensor | None = None
    """Of sampled replies: how much better each is than others to its prompt, (row,)."""


@dataclass(frozen=True)
class Loss:
    """One loss. A package offers it under the name by which it is then chosen."""

    title: str
    source: str
    """Paper and equation."""
    function: Callable[[Views, Settings], Tensor]
    """The loss of every example, (row,), differentiable. Equal views and settings give equal numbers."""
    kind: Kind = "pairs"
    """What data it takes."""
    views: tuple[View, ...] = ("plus",)
    """Under which plans replies are read."""
    reference: bool = False
    """Whether it needs log-probabilities without a plan."""
    defaults: Settings = field(default_factory=dict)
    """Its numbers and what they are unless said otherwise."""
    shift: Literal["", "mismatched", "running"] = ""
    """`mismatched`: `Views.shift` is the mean log-ratio of other examples' replies in the batch. `running`: the mean of
    the rewards of both sides so far, as `reward` gives them.
    """
    reward: Callable[[Views, Settings], Tensor] | None = None
    """Of a running shift: what is averaged, (row,)."""
    weighted: bool = False
    """Whether unwanted replies are weighed by how alike their prompts are to those of wanted ones."""
    gated: bool = False
    """Whether it belongs to a gated plan."""
    sampled: bool = False
    """Whether it takes replies that the steered model samples itself, with a reward."""

    @property
    def reads_sides(self) -> bool:
        """Whether it is told what replies are not wanted: by the other reply of a pair, a label or a reward. One that
        reads wanted replies alone learns from those that stay wanted where sides are exchanged at random.
        """
        return self.sampled or self.kind != "wanted"

    def settings(self, given: Settings) -> Settings:
        """Its numbers, with those that are given.

        Raises:
            SteeringError: A number that it does not have.
        """
        unknown = [name for name in given if name not in self.defaults]
        if unknown:
            raise SteeringError(
                f"The number '{unknown[0]}' was given to {self.title}.",
                f"one of {', '.join(self.defaults)}." if self.defaults else "none: it has no numbers.",
                "Leave it out.",
            )
        return {**self.defaults, **given}
