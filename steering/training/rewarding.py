"""Self-rewarding rounds: the model writes, a judge marks, and the best and the worst replies train the next vector."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from steering.errors import SteeringError
from steering.judges.marks import Marks
from steering.judges.repetition import degenerate
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Message, render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.statistics import Estimate, mean_interval, wilson
from steering.texts.preferences import Preference
from steering.training.course import RATE
from steering.training.trained import Trained
from steering.training.trainee import Trainee
from steering.training.training import train
from steering.writes.interventions import Plan


FEWEST = 2
"""Pairs of a round from which on a vector is trained."""
MarksUnder = Callable[[Plan], Marks]
"""The judge while something is written: a model that judges itself is the steered one."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Sampled:
    """One request with its replies and the judge's marks."""

    messages: tuple[Message, ...]
    replies: tuple[str, ...]
    marks: tuple[float, ...]
    held_out: tuple[float, ...] = ()
    """The held-out judge's marks; none without one."""

    @property
    def best(self) -> int:
        """The first of those with the highest mark."""
        return int(np.argmax(self.marks))

    @property
    def worst(self) -> int:
        """The first of those with the lowest mark."""
        return int(np.argmin(self.marks))

    @property
    def pair(self) -> Preference | None:
        """The best against the worst; None where the judge marks all alike, or one of them has no word."""
        chosen, rejected = self.replies[self.best].strip(), self.replies[self.worst].strip()
        if not self.marks[self.best] > self.marks[self.worst] or not chosen or not rejected or chosen == rejected:
            return None
        return Preference(self.messages, chosen, rejected)


@dataclass(frozen=True)
class Round:
    """What one round's model wrote, how good and how different it is, and how good the judge."""

    number: int
    """Counted from 0, where the model is not steered yet."""
    sampled: tuple[Sampled, ...]
    known: Estimate
    """How often the judge marks the chosen reply of a known pair higher than the rejected one, a tie counting half."""

    @property
    def pairs(self) -> tuple[Preference, ...]:
        """What the next vector is trained on."""
        return tuple(pair for each in self.sampled if (pair := each.pair))

    @property
    def mark(self) -> Estimate:
        """Mean mark of all replies, with its interval over requests."""
        return mean_interval(np.array([np.mean(each.marks) for each in self.sampled]))

    @property
    def held_out(self) -> Estimate:
        """The held-out judge's mean mark; NaN without one."""
        return mean_interval(np.array([np.mean(each.held_out) for each in self.sampled if each.held_out]))

    @property
    def spread(self) -> Estimate:
        """By how much the best reply is marked higher than the worst, the mean over requests: 0 teaches nothing."""
        return mean_interval(np.array([each.marks[each.best] - each.marks[each.worst] for each in self.sampled]))

    @property
    def agrees(self) -> Estimate:
        """Of the pairs: how often the held-out judge marks the chosen reply higher, too, a tie counting half."""
        wins = [
            _wins(each.held_out[each.best], each.held_out[each.worst])
            for each in self.sampled
            if each.held_out and each.pair
        ]
        return mean_interval(np.array(wins))

    @property
    def different(self) -> Estimate:
        """Share of different replies among those to one request, the mean over requests."""
        return mean_interval(np.array([len(set(each.replies)) / len(each.replies) for each in self.sampled]))

    @property
    def distinct(self) -> float:
        """Different pairs of words over all pairs of words of all replies (distinct-2, Li et al. 2016, arXiv
        1510.03055); NaN where there are none. It falls with the number of replies, so it is compared between rounds.
        """
        found: Counter[tuple[str, str]] = Counter()
        for each in self.sampled:
            for reply in each.replies:
                words = _WORD.findall(reply.lower())
                found.update(pairwise(words))
        total = sum(found.values())
        return len(found) / total if total else float("nan")

    @property
    def degenerate(self) -> Estimate:
        """Share of replies that are empty or caught in a loop."""
        texts = [reply for each in self.sampled for reply in each.replies]
        return wilson(sum(bool(degenerate(text)) for text in texts), len(texts))


@dataclass(frozen=True, eq=False)
class Rewarded:
    """All rounds, and the vector of the last training."""

    rounds: tuple[Round, ...]
    trained: tuple[Trained, ...]
    """One a training; that of place m made the replies of round m + 1."""
    stopped: str
    """Why it ended, in a sentence."""


@dataclass(frozen=True)
class Rounds:
    """How the rounds go."""

    trainee: Trainee
    rounds: int = 3
    """Trainings; replies are written once more, so that the last one is seen, too."""
    replies: int = 4
    """To each request."""
    decode: DecodeSettings = field(default_factory=lambda: DecodeSettings(temperature=1.0))
    loss: str = "dpo"
    steps: int = 60
    """Of each training."""
    batch: int = 8
    learning_rate: float = RATE
    budget: float | None = None
    """What each vector may cost, in nats; its length is free where None."""
    seed: int = 0


def reward_rounds(
    host: Host,
    requests: Sequence[Sequence[Message]],
    marks_under: MarksUnder,
    how: Rounds,
    *,
    held_out: Marks | None = None,
    known: Sequence[Preference] = (),
    on_round: Callable[[Round], None] | None = None,
) -> Rewarded:
    """Write, judge and train in turn (Yuan et al. 2024, arXiv 2401.10020), with one vector in place of all weights.

    In each round the model as it is steered by then writes k replies to every request; the best against the worst by
    the judge's marks are the pairs on which the vector is trained further. A judge that is not the truth is followed
    past it, and replies become alike: so a second judge that nothing is trained on, the judge's own hits on known
    pairs, and how different replies are, are measured in every round.

    Args:
        host: The model.
        requests: Conversations that end with the user.
        marks_under: The judge.
        how: How many rounds and replies, and how vectors are trained.
        held_out: Another judge.
        known: Pairs of which it is known which reply is better.
        on_round: Told of every round.

    Raises:
        SteeringError: No requests, fewer than two replies or replies that are not drawn, too few pairs in the first
            round, or what `train` raises.
    """
    _check(requests, how)

    def work(job: Job[Rewarded]) -> Rewarded:
        rounds: list[Round] = []
        trained: list[Trained] = []
        stopped = "All rounds are done."
        for number in range(how.rounds + 1):
            plan = _plan(host, trained[-1]) if trained else ()
            found = _round(host, requests, marks_under(plan), plan, number, how, held_out, known)
            rounds.append(found)
            if on_round is not None:
                on_round(found)
            if number == how.rounds:
                break
            if len(found.pairs) < FEWEST:
                stopped = _too_few(found)
                break
            trained.append(_further(host, found, how, trained))
            job.report(number + 1, how.rounds, "rounds of rewards")
        if not trained:
            raise SteeringError(
                f"{len(rounds[0].pairs)} pairs came of {len(requests)} requests: {stopped}",
                "a judge that marks replies to one request differently.",
                "Let more replies be written at a higher temperature, or take another judge.",
            )
        return Rewarded(tuple(rounds), tuple(trained), stopped)

    return host.run(work, title="Rounds of rewards")


def _round(
    host: Host,
    requests: Sequence[Sequence[Message]],
    marks: Marks,
    plan: Plan,
    number: int,
    how: Rounds,
    held_out: Marks | None,
    known: Sequence[Preference],
) -> Round:
    k = how.replies
    asked = [turns for turns in requests for _ in range(k)]
    prompts = [render(host, turns) for turns in requests]
    rows = [Row(prompt, plan) for prompt in prompts for _ in range(k)]
    seeds = [how.decode.seed + number * k + place for _ in requests for place in range(k)]
    decode = [how.decode.model_copy(update={"seed": seed}) for seed in seeds]
    said = [reply.answer for reply in generate(host, rows, decode)]
    given = marks(asked, said)
    others = held_out(asked, said) if held_out is not None else []
    sampled = []
    for turns, start in zip(requests, range(0, len(asked), k), strict=True):
        own = slice(start, start + k)
        sampled.append(Sampled(tuple(turns), tuple(said[own]), tuple(given[own]), tuple(others[own])))
    return Round(number, tuple(sampled), _known(marks, known))


def _known(marks: Marks, known: Sequence[Preference]) -> Estimate:
    asked = [each.messages for each in known]
    chosen, rejected = (marks(asked, [getattr(each, side) for each in known]) for side in ("chosen", "rejected"))
    return mean_interval(np.array([_wins(one, other) for one, other in zip(chosen, rejected, strict=True)]))


def _wins(one: float, other: float) -> float:
    return float(one > other) + 0.5 * float(one == other)


def _further(host: Host, found: Round, how: Rounds, trained: Sequence[Trained]) -> Trained:
    return train(
        host,
        found.pairs,
        how.trainee,
        loss=how.loss,
        budget=how.budget,
        steps=how.steps,
        batch=how.batch,
        learning_rate=how.learning_rate,
        seed=how.seed + found.number,
        start=trained[-1].vector if trained else "mean_difference",
        name=f"round {found.number + 1}",
        data_name=f"replies of round {found.number}",
    )


def _plan(host: Host, trained: Trained) -> Plan:
    return plan_of(Recipe(interventions=(trained.intervention,)), host, trained.vectors)


def _too_few(found: Round) -> str:
    return (
        f"Round {found.number} gave {len(found.pairs)} pairs of {len(found.sampled)} requests: the judge marks replies "
        "to one request alike, or they are the same."
    )


def _check(requests: Sequence[Sequence[Message]], how: Rounds) -> None:
    if not requests:
        raise SteeringError("There are no requests to answer.", "at least one.", "Choose another set.")
    if how.rounds < 1 or how.replies < 2 or how.decode.temperature == 0:
        raise SteeringError(
            f"{how.rounds} rounds with {how.replies} replies at temperature {how.decode.temperature:g} were asked for.",
            "a round at least, two replies at least, and a temperature above 0: otherwise replies are the same.",
            "Correct these.",
        )
