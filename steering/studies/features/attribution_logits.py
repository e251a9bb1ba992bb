"""The logit difference that features are held against: of tokens that stand for one answer less those for another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.token_pieces import readable
from steering.studies.refusal.tokens import find_tokens, mean_chances, token_ids


MOST = 8
"""Tokens that are found for a side, at most."""
_LEAST_GAIN, _TIMES = 0.01, 2.0
"""By how much a token's mean probability must be larger on its own side, and how many times as large."""


@dataclass(frozen=True)
class LogitDifference:
    """Mean logit of some tokens less the mean logit of others, of the reply's first token; linear in the logits."""

    toward: tuple[int, ...]
    """Token ids, at least one."""
    against: tuple[int, ...]
    """Token ids; the whole vocabulary where empty."""
    words: tuple[str, str]
    """Both as a reader sees them."""

    def __call__(self, logits: Tensor) -> Tensor:
        """
        Args:
            logits: (..., vocabulary).

        Returns:
            (...), in logits; differentiable.
        """
        others = logits[..., list(self.against)] if self.against else logits
        return logits[..., list(self.toward)].mean(dim=-1) - others.mean(dim=-1)

    @property
    def said(self) -> str:
        """In words."""
        return f"the mean logit of {self.words[0]} less that of {self.words[1]}"


def difference_of(host: Host, toward: Sequence[int], against: Sequence[int]) -> LogitDifference:
    """The difference between named tokens.

    Raises:
        SteeringError: A token stands on both sides, or none on the first.
    """
    both = sorted(set(toward) & set(against))
    if both or not toward:
        given = f"The token {readable(host.tokenizer, both[0])} on both sides." if both else "No token to move towards."
        raise SteeringError(given, "tokens of their own for each side of a logit difference.", "Name other tokens.")
    named = [_named(host, side) for side in (toward, against)]
    return LogitDifference(tuple(toward), tuple(against), (named[0], named[1] if against else "all tokens"))


def found_difference(
    host: Host,
    target: Sequence[Prompt],
    control: Sequence[Prompt],
    *,
    toward: Sequence[str] = (),
    against: Sequence[str] = (),
    refusal: bool = False,
) -> LogitDifference:
    """The difference between what replies to two kinds of prompts begin with. Call on the model thread.

    Args:
        host: The model.
        target: Prompts of one kind.
        control: Of the other.
        toward: First tokens that stand for the first kind, as text or #id; found where empty.
        against: For the other; found where empty.
        refusal: Whether the first kind's are those with which the model's own refusals begin.

    Raises:
        SteeringError: No token is likelier on one side, or named ones that are not in the vocabulary.
    """
    named = token_ids(host, toward), token_ids(host, against)
    first = named[0] or (find_tokens(host, target, control).chosen if refusal else ())
    if first and named[1]:
        return difference_of(host, first, named[1])
    chances = mean_chances(host, target), mean_chances(host, control)
    first = first or _likelier(chances[0], chances[1])
    second = named[1] or tuple(token for token in _likelier(chances[1], chances[0]) if token not in first)
    if not first or not second:
        side = "first" if not first else "second"
        raise SteeringError(
            f"No first token of a reply is much likelier behind prompts of the {side} kind than of the other.",
            "prompts of two kinds that are answered differently from the first token on.",
            "Name the tokens of both sides (toward, against), or take other prompts.",
        )
    return difference_of(host, first, second)


def _likelier(own: Tensor, other: Tensor) -> tuple[int, ...]:
    order = (own - other).argsort(descending=True)[:MOST].tolist()
    return tuple(
        token for token in order if own[token] - other[token] >= _LEAST_GAIN and own[token] >= _TIMES * other[token]
    )


def _named(host: Host, tokens: Sequence[int]) -> str:
    return ", ".join(f"“{readable(host.tokenizer, token)}”" for token in tokens)
