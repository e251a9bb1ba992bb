"""Preference pairs from the model itself: its own replies with the behaviour as chosen, its plain ones as rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from steering.errors import SteeringError
from steering.judges.marks import Marks
from steering.judges.repetition import degenerate
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings, Reply
from steering.passes.rows import Row
from steering.texts.contrast import ContrastSet, Split
from steering.texts.messages import without_reply
from steering.texts.preferences import Preference
from steering.writes.interventions import Plan


Why = Literal["", "empty", "cut", "degenerate", "same", "judge"]
WHY: Mapping[Why, str] = {
    "": "kept",
    "empty": "a reply is empty",
    "cut": "a reply was cut off by the token budget",
    "degenerate": "a reply is caught in a loop",
    "same": "both replies are the same",
    "judge": "the judge does not mark the chosen reply higher by the margin",
}
"""What became of a request, in the order in which it is looked for."""
Side = Literal["positive", "negative", "both"]


@dataclass(frozen=True)
class Tried:
    """One request with both replies, and what became of it."""

    messages: tuple[Message, ...]
    chosen: str
    """The reply with the behaviour."""
    rejected: str
    """The plain one."""
    chosen_mark: float
    """The judge's; nan where a reply is unfit to be judged."""
    rejected_mark: float
    why: Why
    """Why it was dropped; empty where it is kept."""


@dataclass(frozen=True)
class Made:
    """All requests that were tried."""

    tried: tuple[Tried, ...]

    @property
    def pairs(self) -> tuple[Preference, ...]:
        """Those that were kept, as pairs to train on."""
        kept = (each for each in self.tried if not each.why)
        return tuple(
            Preference(each.messages, each.chosen, each.rejected, f"made pair {number}")
            for number, each in enumerate(kept, start=1)
        )

    @property
    def counts(self) -> dict[Why, int]:
        """How many were kept, and how many were dropped why; all reasons, also those that never were."""
        found = Counter(each.why for each in self.tried)
        return {why: found[why] for why in WHY}


def requests_of(contrast: ContrastSet, side: Side = "both", split: Split = "train") -> tuple[tuple[Message, ...], ...]:
    """What a contrast set asks on one side or both, each request once and without its reply, in file order.

    Args:
        contrast: The set.
        side: The behaviour is easier to tell where requests do not ask for it themselves: often the negative side.
        split: Whose prompts.
    """
    sides: tuple[Literal["positive", "negative"], ...] = ("positive", "negative") if side == "both" else (side,)
    found = (without_reply(each.messages) for which in sides for each in contrast.side(which, split))
    return tuple(dict.fromkeys(turns for turns in found if turns))


def make_pairs(
    host: Host,
    requests: Sequence[Sequence[Message]],
    marks: Marks,
    *,
    plan: Plan = (),
    system: str = "",
    margin: float = 0.1,
    decode: DecodeSettings | None = None,
) -> Made:
    """Answer every request with the behaviour and without it, and keep the pairs that a judge can tell apart.

    The behaviour comes by a plan (such as a mean-difference vector that is added) or by a system prompt, or by both;
    the pair itself has neither, so that what is trained on it has to bring the behaviour by itself (as in context
    distillation, Askell et al. 2021, arXiv 2112.00861).

    Args:
        host: The model.
        requests: Conversations that end with the user.
        marks: The judge; higher is more of the behaviour.
        plan: What is written for the chosen replies.
        system: The system prompt before them; none where empty.
        margin: By how much the judge must mark the chosen reply higher.
        decode: Of both replies.

    Raises:
        SteeringError: Neither plan nor system prompt, no requests, one that has a system prompt already where one is to
            be put before it, or what `generate` raises.
    """
    _check(requests, plan, system)
    rows = [
        row
        for turns in requests
        for row in (Row(render(host, (*_system(system), *turns)), plan), Row(render(host, turns)))
    ]

    def work(job: Job[Made]) -> Made:
        replies = generate(host, rows, decode)
        both = [(replies[n], replies[n + 1]) for n in range(0, len(replies), 2)]
        unfit = [_unfit(*each) for each in both]
        fit = [n for n, why in enumerate(unfit) if not why]
        given = marks([requests[n] for n in fit for _ in both[n]], [reply.answer for n in fit for reply in both[n]])
        found = dict(zip(fit, zip(given[::2], given[1::2], strict=True), strict=True))
        return Made(
            tuple(_tried(tuple(turns), *both[n], unfit[n], found.get(n), margin) for n, turns in enumerate(requests))
        )

    return host.run(work, title="Making pairs")


def _tried(
    turns: tuple[Message, ...],
    chosen: Reply,
    rejected: Reply,
    unfit: Why,
    marks: tuple[float, float] | None,
    margin: float,
) -> Tried:
    one, other = marks or (float("nan"), float("nan"))
    why: Why = unfit or ("" if one - other >= margin else "judge")
    return Tried(turns, chosen.answer.strip(), rejected.answer.strip(), one, other, why)


def _unfit(chosen: Reply, rejected: Reply) -> Why:
    """Why a pair is none, whatever the judge says of it."""
    texts = [each.answer.strip() for each in (chosen, rejected)]
    if not all(texts):
        return "empty"
    if any(each.finish != "end" for each in (chosen, rejected)):
        return "cut"
    if any(map(degenerate, texts)):
        return "degenerate"
    return "same" if texts[0] == texts[1] else ""


def _system(text: str) -> tuple[Message, ...]:
    return (Message("system", text),) if text.strip() else ()


def _check(requests: Sequence[Sequence[Message]], plan: Plan, system: str) -> None:
    if not requests:
        raise SteeringError("There are no requests to make pairs of.", "at least one.", "Take another side or set.")
    if not plan and not system.strip():
        raise SteeringError(
            "Neither a vector nor a system prompt was given.",
            "one of them: both replies would be the same.",
            "Give one.",
        )
    own = next((turns for turns in requests if turns[0].role == "system"), None)
    if system.strip() and own is not None:
        raise SteeringError(
            f"The request '{own[-1].content[:60]}' has a system prompt of its own.",
            "requests without one, where one is put before them.",
            "Take a vector in place of the system prompt, or other requests.",
        )
