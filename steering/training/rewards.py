"""Rewards that a rule gives to a sampled reply, and how replies are sampled for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from steering.errors import SteeringError
from steering.training.texts import Given, is_labelled


Reward = Callable[[Given, str], float]
"""From an example and a reply of the model's own to a number; the higher, the better."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def right_reply(item: Given) -> str:
    """The reply of an example that is as it should be."""
    return item.completion if is_labelled(item) else item.chosen  # type: ignore[union-attr]


def _exact(item: Given, reply: str) -> float:
    return float(_plain(reply) == _plain(right_reply(item)))


def _number(item: Given, reply: str) -> float:
    said, right = (_NUMBER.findall(text.replace(",", "")) for text in (reply, right_reply(item)))
    return float(bool(said) and bool(right) and float(said[-1]) == float(right[-1]))


def _contains(item: Given, reply: str) -> float:
    return float(_plain(right_reply(item)) in _plain(reply))


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).strip(" .!")


REWARDS: Mapping[str, Reward] = {"exact": _exact, "number": _number, "contains": _contains}
"""`exact`: the reply is the right one, but for case, spaces and a full stop. `number`: its last number is that of the
right one. `contains`: the right one stands in it. Each gives 1 or 0.
"""


@dataclass(frozen=True)
class Sampling:
    """How replies are sampled and rewarded."""

    reward: Reward | str = "number"
    """A key of `REWARDS`, or a function; of the same example and reply always the same number."""
    replies: int = 8
    """To each prompt, at every step."""
    tokens: int = 24
    """The most of a reply."""
    temperature: float = 1.0
    first: int = 16
    """Prompts on which it is tried before the first step, whether the reward tells any replies apart."""
    shuffled: bool = False
    """Whether each prompt's replies get one another's rewards at random: a control, of which nothing can be learnt.
    Examples on which a training is watched have their own.
    """

    def check(self) -> Sampling:
        """Return it.

        Raises:
            SteeringError: An unknown reward, fewer than two replies a prompt, or a temperature of 0.
        """
        if isinstance(self.reward, str) and self.reward not in REWARDS:
            raise SteeringError(f"The reward '{self.reward}' was asked for.", f"one of {', '.join(REWARDS)}.")
        if self.replies < 2 or self.temperature <= 0 or self.tokens < 1:
            raise SteeringError(
                f"{self.replies} replies of {self.tokens} tokens were to be drawn at temperature {self.temperature:g}.",
                "two or more to each prompt, at a temperature above 0: a reply counts by how much better it is.",
            )
        return self

    @property
    def plain(self) -> dict[str, Any]:
        """As provenance and checkpoints have it."""
        reward = self.reward if isinstance(self.reward, str) else getattr(self.reward, "__qualname__", "a function")
        return {**asdict(self), "reward": reward}

    def of(self, item: Given, reply: str) -> float:
        """The reward of a reply."""
        give = REWARDS[self.reward] if isinstance(self.reward, str) else self.reward
        return float(give(item, reply))
