"""The first tokens of a model's refusals, found from what it says, and the log-odds of beginning with one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.token_pieces import readable
from steering.passes.decoding import generate, next_token_logits
from steering.passes.exact import mass_of, sum_of_chances
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.studies.refusal.written import sort_written


MOST = 8
"""Tokens that are proposed at most."""
_SHOWN = 12
_LEAST_GAIN = 0.01
"""Mean probability by which a token must be likelier before refusals to be proposed."""
_TIMES = 2.0
"""And how many times as likely it must be there."""
_ENOUGH = 0.5
_EPSILON = 1e-8
LOOKED_AT = 24
"""Tokens of a reply in which a refusal shows itself."""
BATCH = 32
ANSWERED = 128
"""Target requests that are answered at most, in order to see refusals."""


@dataclass(frozen=True)
class TokenChance:
    """How often replies begin with one token."""

    id: int
    text: str
    target: float
    """Mean probability of it as the first token after target requests that are refused; after all where none is."""
    control: float
    """After control requests."""
    refusals: int
    """Refusals of the model's own that begin with it."""


@dataclass(frozen=True)
class RefusalTokens:
    """What is taken for the beginning of a refusal, and how far that holds."""

    chosen: tuple[int, ...]
    """Token ids; empty where the model has no refusals to find them from."""
    known: tuple[TokenChance, ...]
    """The tokens that were looked at, most telling first."""
    target_mass: float
    """Mean total probability of the chosen ones after target requests."""
    control_mass: float
    """After control requests."""
    n: tuple[int, int]
    """(target, control) requests behind these means."""
    refused: int
    """Replies that read as refusals, of `looked_at`."""
    looked_at: int
    """Target requests that were answered to see what refusals begin with."""
    explained: float
    """Mean total probability of the chosen ones where the reply is a refusal; NaN where none is."""
    masses: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    """Total probability of the chosen ones after every target and every control request."""

    @property
    def warning(self) -> str:
        """Why the tokens may mislead; empty where they do not."""
        if not self.chosen:
            return (
                f"No refusal tokens: {self.refused} of {self.looked_at} replies to target requests read as refusals"
                + (", and no first token is much likelier there than on control requests." if self.refused else ".")
            )
        if self.refused and self.explained < _ENOUGH:
            return (
                f"The chosen tokens have only {self.explained:.0%} of the probability where this model refuses. Add "
                "more, or choose by COSMIC, which needs none."
            )
        if self.control_mass > _ENOUGH * self.target_mass:
            return (
                f"The chosen tokens begin replies to control requests too ({self.control_mass:.0%}, against "
                f"{self.target_mass:.0%} on target requests). Take others, or choose by COSMIC, which needs none."
            )
        return ""


def find_tokens(
    host: Host,
    target: Sequence[Prompt],
    control: Sequence[Prompt],
    *,
    chosen: Sequence[int] = (),
    answered: int = ANSWERED,
) -> RefusalTokens:
    """Propose first tokens: those much likelier before the model's own refusals than after control requests.

    Args:
        host: The model.
        target: Requests that it may refuse.
        control: Requests that it answers.
        chosen: Token ids that the user wants instead of the proposal.
        answered: Target requests to answer at most, in order to see refusals. Without any among them nothing is
            proposed: what is likelier after target requests then begins something else.

    Raises:
        SteeringError: A chosen id that is not in the vocabulary.
    """
    _check(host, chosen)
    replies = generate(
        host, [Row(each) for each in target[:answered]], DecodeSettings(max_new_tokens=LOOKED_AT), batch_size=BATCH
    )
    refused = [index for index, reply in enumerate(replies) if reply.ids and sort_written(reply).content == "refusal"]
    first = Counter(replies[index].ids[0] for index in refused)
    means = [mean_chances(host, side) for side in ([target[index] for index in refused] or target, control)]
    order = (means[0] - means[1]).argsort(descending=True)[:_SHOWN].tolist()
    ids = list(dict.fromkeys((*chosen, *order, *first)))
    known = tuple(
        TokenChance(
            token, readable(host.tokenizer, token), float(means[0][token]), float(means[1][token]), first[token]
        )
        for token in ids
    )
    taken = tuple(chosen) or (_proposed(known) if refused else ())
    mass = [first_masses(host, side, taken) for side in (target, control)]
    return RefusalTokens(
        chosen=taken,
        known=known,
        target_mass=float(mass[0].mean()),
        control_mass=float(mass[1].mean()),
        n=(len(target), len(control)),
        refused=len(refused),
        looked_at=len(replies),
        explained=float(mass[0][refused].mean()) if refused else float("nan"),
        masses=(tuple(mass[0].tolist()), tuple(mass[1].tolist())),
    )


def token_ids(host: Host, texts: Sequence[str]) -> tuple[int, ...]:
    """First token of each text as it would begin a reply; `#123` is the id 123.

    Raises:
        SteeringError: An id that is not in the vocabulary, or a text without a token.
    """
    found = []
    for text in texts:
        if text.startswith("#") and text[1:].isdigit():
            found.append(int(text[1:]))
            continue
        ids = host.tokenizer(text, add_special_tokens=False)["input_ids"]
        if not ids:
            raise SteeringError(f"The refusal token '{text}' was given.", "a text of at least one token.")
        found.append(ids[0])
    _check(host, found)
    return tuple(dict.fromkeys(found))


def mean_chances(host: Host, prompts: Sequence[Prompt]) -> Tensor:
    """Mean probability of every token as the first one of the reply, float64, (vocabulary,)."""
    parts = (sum_of_chances(logits) for _, logits in _first_logits(host, prompts))
    return reduce(torch.add, parts) / len(prompts)


def first_masses(host: Host, prompts: Sequence[Prompt], tokens: Sequence[int]) -> Tensor:
    """Total probability of some tokens as the first one of the reply, float64, (prompt,)."""
    masses = torch.zeros(len(prompts), dtype=torch.float64)
    for part, logits in _first_logits(host, prompts) if tokens else ():
        masses[part] = mass_of(logits, [tokens])[:, 0]
    return masses


def _first_logits(host: Host, prompts: Sequence[Prompt]) -> Iterator[tuple[list[int], Tensor]]:
    """Indices of some prompts of similar length, and logits of their replies' first token: no more are ever held."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), BATCH):
        part = order[start : start + BATCH]
        yield part, next_token_logits(host, [Row(prompts[index]) for index in part])


def log_odds(logits: Tensor, tokens: Sequence[int]) -> Tensor:
    """ln(P + 1e-8) - ln(1 - P + 1e-8), with P the total probability of the tokens; 0 where P is one half.

    The refusal metric of Arditi et al. 2024, arXiv 2406.11717, section 2.3 and its code.

    Args:
        logits: (..., vocabulary).
        tokens: Their ids.

    Returns:
        float64, (...).
    """
    chances = mass_of(logits, [tokens])[..., 0]
    return torch.log(chances + _EPSILON) - torch.log(1 - chances + _EPSILON)


def _proposed(known: Sequence[TokenChance]) -> tuple[int, ...]:
    telling = [
        each for each in known if each.target - each.control >= _LEAST_GAIN and each.target >= _TIMES * each.control
    ]
    return tuple(each.id for each in sorted(telling, key=lambda each: each.control - each.target)[:MOST])


def _check(host: Host, ids: Sequence[int]) -> None:
    for token in ids:
        if not 0 <= token < host.info.vocabulary:
            raise SteeringError(
                f"The refusal token {token} was given.", f"an id from 0 to {host.info.vocabulary - 1}.", "Correct it."
            )
