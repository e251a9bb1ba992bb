"""What every intervention changes on the test requests: refusals, false refusals, knowledge, and the damage it does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

from steering.errors import SteeringError
from steering.judges.second import Second
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.parts.part import ahead, spreads
from steering.passes.forced import Replied, read_forced, replies_at_once
from steering.passes.replies import Reply
from steering.passes.reply_parts import answer_of
from steering.recipes.orthogonal import orthogonalised
from steering.statistics import mcnemar, mean_interval, wilson
from steering.store import Kept
from steering.studies.refusal.arms import NONE, REFUSAL, Arm, Arms
from steering.studies.refusal.groups import Group
from steering.studies.refusal.outcomes import Answers, Cost, Rates, rates_of
from steering.studies.refusal.replies import BATCH, Judge, Said, Speaker, judged
from steering.studies.refusal.requests import prompts_of, read_prompts_of
from steering.studies.refusal.spread import Ahead
from steering.texts.questions import (
    QUESTION_SETS,
    Question,
    chances_of_answers,
    first_tokens,
    load_questions,
    right_number,
)


FORCED_TOKENS = 32
"""Tokens of the model's own answer on which damage is read."""
_FORCED_ROWS = 16
ANSWER_TOKENS = 24
"""The most tokens of an answer to a sum."""
_NEGLIGIBLE = 1e-12


class Effects:
    """Runs the interventions one after the other. Call on the model thread."""

    def __init__(
        self,
        host: Host,
        arms: Arms,
        groups: Sequence[Group],
        *,
        tokens: Sequence[int],
        longest: int,
        questions: int,
        kept: Kept,
        judge: Judge | None = None,
        second: Second | None = None,
        control: str = "harmless",
    ) -> None:
        """Prepare a run.

        Args:
            host: The model.
            arms: The interventions, none first.
            groups: The requests.
            tokens: Ids of refusal tokens, or none.
            longest: The most tokens of a reply.
            questions: The most questions a set.
            kept: Where replies are kept.
            judge: A further judge, or none.
            second: A judge at an address, or none; it is not asked about random directions.
            control: Name of the group on whose replies damage is read.
        """
        self._host, self._arms, self._groups = host, arms, groups
        self._tokens, self._longest, self._kept, self._judge = tokens, longest, kept, judge
        self._second = second
        self.notes: list[str] = []
        self._questions = self._sets(questions) if questions else {}
        self._control = control
        self._base: dict[tuple[str, bool], tuple[Said, ...]] = {}
        self._right: dict[str, tuple[bool, ...]] = {}
        self._replied: list[Replied] = []
        self._done = self._found = 0
        self._again = partial(Effects, tokens=tuple(tokens), longest=longest, questions=questions, control=control)

    def _sets(self, n: int) -> dict[str, tuple[Question, ...]]:
        """The question sets that the model's letters can answer."""
        sets: dict[str, tuple[Question, ...]] = {}
        for name in QUESTION_SETS:
            questions = load_questions(self._host, name, n)
            try:
                if questions[0].words:
                    first_tokens(self._host, questions[0].words)
            except SteeringError as error:
                self.notes.append(error.left_out(f"questions of {name}"))
                continue
            sets[name] = questions
        return sets

    @property
    def total(self) -> int:
        """Replies that are wanted in all."""
        sums = sum(not questions[0].words and len(questions) for questions in self._questions.values())
        each = [sum(len(group.prompts) for group in self._groups) + sums for arm in self._arms.arms]
        return sum(each)

    def run(self, job: Job[Any]) -> Iterator[Rates | Cost]:
        """Rates of every group and the cost of every intervention, as they are done."""
        self._ahead(job, costs=False)
        for arm in self._arms.arms:
            try:
                speaker = self._speaker(arm)
            except SteeringError as error:
                self.notes.append(error.left_out(arm.title))
                continue
            for group, replies in self._spoken(job, speaker):
                yield self._rates(job, speaker, group, replies)
            if arm is self._arms.arms[0]:
                self._ahead(job, costs=True)
            yield self._cost(job, speaker)
            self._found += speaker.found

    def alone(self, job: Job[Any], replied: Sequence[Replied] | None) -> Iterator[int]:
        """What a single intervention makes of the groups, and what it costs; gives replies as they come."""
        (arm,) = self._arms.arms
        try:
            speaker = self._speaker(arm)
        except SteeringError:  # who comes to it says so
            return
        for group, replies in self._spoken(job, speaker):
            speaker.odds(group.read, self._tokens)
            yield len(replies)
        if replied is not None:
            self._replied = list(replied)
            self._cost(job, speaker)
            yield sum(len(each) for each in self._questions.values() if not each[0].words)

    def _ahead(self, job: Job[Any], *, costs: bool) -> None:
        """Have workers, where there are any, read what comes next: all groups under no intervention; then, since it is
        said now on what damage is read, all others and the costs.
        """
        if not spreads(self._host):
            return
        items, replied = [], tuple(self._replied) if costs else None
        for arm in self._arms.arms if costs else self._arms.arms[:1]:
            groups = () if costs and arm is self._arms.arms[0] else tuple(self._groups)
            if arm.weights or self._together(groups):  # edited, or decoded, once for all groups
                items.append(self._part(arm, groups, replied))
                continue
            items += [self._part(arm, (group,), None) for group in groups]
            items += [self._part(arm, (), replied)] if costs else []
        ahead(job, self._host, [each for each in items if each], self._kept, "replies of all interventions")

    def _part(self, arm: Arm, groups: tuple[Group, ...], replied: tuple[Replied, ...] | None) -> Ahead | None:
        """One intervention on some groups, for a worker; None where all of it is kept."""
        names = {*arm.recipe.vectors, *([REFUSAL] if arm.weights else [])}
        arms = Arms((arm,), {name: self._arms.vectors[name] for name in names})
        speaker = Speaker(self._host, arm, arms.vectors, self._kept, self._host)
        prompts = [prompt for group in groups for prompt in group.prompts]
        known, missing = speaker.known(prompts, self._longest)
        if not missing and (replied is None or speaker.remembers(_damage_of(replied))):
            return None
        return Ahead(arms, groups, replied, known, self._again)

    def _speaker(self, arm: Arm) -> Speaker:
        host = self._edited() if arm.weights else self._host
        return Speaker(host, arm, self._arms.vectors, self._kept, self._host)

    def _edited(self) -> Host:
        vector = self._arms.vectors[REFUSAL]
        return orthogonalised(self._host, vector.directions[vector.default_block])

    def _spoken(self, job: Job[Any], speaker: Speaker) -> Iterator[tuple[Group, list[Reply]]]:
        """Replies to every group, those of all together where they are one batch."""
        if not self._together(self._groups):
            for group in self._groups:
                yield group, self._replies(job, speaker, group.name, group.prompts, self._longest)
            return
        everything = [prompt for group in self._groups for prompt in group.prompts]
        replies = iter(self._replies(job, speaker, "all requests", everything, self._longest))
        for group in self._groups:
            yield group, list(islice(replies, len(group.prompts)))

    @staticmethod
    def _together(groups: Sequence[Group]) -> bool:
        return sum(len(group.prompts) for group in groups) <= BATCH

    def _rates(self, job: Job[Any], speaker: Speaker, group: Group, replies: Sequence[Reply]) -> Rates:
        odds = speaker.odds(group.read, self._tokens)
        said = tuple(
            judged(speaker.arm, group.name, group.system, group.asked, replies, odds, self._judge, target=group.target)
        )
        if self._second and not speaker.arm.floor:
            verdicts = self._second.judge(job, group.asked, [reply.answer for reply in replies])
            said = tuple(replace(each, endpoint=given) for each, given in zip(said, verdicts, strict=True))
        base = self._base.setdefault((group.name, group.system), said)
        if speaker.arm.key == NONE and group.name == self._control and not self._replied:
            pairs = zip(group.prompts, replies, strict=True)
            answers = [answer_of(self._host, prompt, reply) for prompt, reply in pairs]
            self._replied = [(prompt, ids[:FORCED_TOKENS]) for prompt, ids in answers if ids]
        return rates_of(speaker.arm, said, base)

    def _replies(
        self, job: Job[Any], speaker: Speaker, what: str, prompts: Sequence[Prompt], longest: int
    ) -> list[Reply]:
        replies = {}
        for index, reply in speaker.say(job, prompts, longest):
            replies[index] = reply
            self._done += 1
            found = self._found + speaker.found
            share = (self._done - found) / max(1, self.total - found)  # what was kept took no time
            job.report(self._done, self.total, f"replies, {speaker.arm.title}, {what}", share=share)
        return [replies[index] for index in range(len(prompts))]

    def _cost(self, job: Job[Any], speaker: Speaker) -> Cost:
        replied = self._replied
        damage = speaker.remembered(_damage_of(replied), lambda: self._damage(job, speaker))
        return Cost(
            arm=speaker.arm.key,
            title=speaker.arm.title,
            floor=speaker.arm.floor,
            kl_mean=mean_interval(np.array(damage["kl"])),
            kl_p95=damage["p95"] if replied else math.nan,
            perplexity=math.exp(damage["loss"]) if replied else math.nan,
            n_tokens=sum(len(ids) for _, ids in replied),
            answers={name: self._asked(job, name, speaker) for name in self._questions},
        )

    def _asked(self, job: Job[Any], name: str, speaker: Speaker) -> Answers:
        questions = self._questions[name]
        if questions[0].words:
            return self._by_chance(name, speaker)
        prompts = prompts_of(self._host, [each.messages for each in questions])
        replies = self._replies(job, speaker, name, prompts, ANSWER_TOKENS)
        right = tuple(right_number(each, reply.answer) for each, reply in zip(questions, replies, strict=True))
        return self._answers(name, right, math.nan, math.nan)

    def _damage(self, job: Job[Any], speaker: Speaker) -> dict[str, Any]:
        """On the model's own answers: mean KL of each, the 95th percentile of KL and the mean loss over all tokens."""
        divergence, losses = [], []
        size = replies_at_once(self._host, 1, self._replied, _FORCED_ROWS)
        for start in range(0, len(self._replied), size):
            job.check()
            part = self._replied[start : start + size]
            base, edited = read_forced(self._host, [()], part), read_forced(speaker.host, [speaker.plan], part)
            apart, loss = edited.divergence(base)[0, :, :-1], edited.losses[0]
            for row, used in enumerate(edited.used[:, :-1]):
                divergence.append(apart[row][used].numpy())
                losses.append(loss[row][used].numpy())
        every = np.concatenate(divergence) if divergence else np.zeros(1)
        return {
            "kl": [float(each.mean()) for each in divergence],
            "p95": float(np.percentile(every, 95)),
            "loss": float(np.concatenate(losses).mean()) if losses else 0.0,
        }

    def _by_chance(self, name: str, speaker: Speaker) -> Answers:
        questions = self._questions[name]
        prompts = read_prompts_of(self._host, [each.messages for each in questions], kept=self._kept)
        chances = torch.tensor(
            speaker.remembered(
                ("chances", [prompt.ids for prompt in prompts], questions[0].words),
                lambda: chances_of_answers(speaker.host, questions, speaker.plan, prompts).tolist(),
            ),
            dtype=torch.float64,
        )
        place = torch.tensor([each.words.index(each.answer) for each in questions])
        mass = chances.sum(dim=1)
        of_right = chances[torch.arange(len(questions)), place] / mass.clamp(min=_NEGLIGIBLE)
        right = tuple((chances.argmax(dim=1) == place).tolist())
        return self._answers(name, right, float(of_right.mean()), float(mass.mean()))

    def _answers(self, name: str, right: tuple[bool, ...], chance: float, mass: float) -> Answers:
        known = self._right.get(name)
        self._right.setdefault(name, right)
        p_value = math.nan if known is None else mcnemar(known, right)
        return Answers(wilson(sum(right), len(right)), chance, mass, len(right), p_value, right)


def _damage_of(replied: Sequence[Replied]) -> tuple[str, Any]:
    """What damage depends on beside the intervention."""
    return "damage", [(prompt.ids, ids) for prompt, ids in replied]
