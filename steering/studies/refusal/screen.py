"""Scores every candidate on validation requests, many of them as rows of one batch.

Definitions are those of Arditi et al. 2024 (arXiv 2406.11717, section 2.3) and of COSMIC, Siu et al. 2025 (arXiv
2506.00085).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.exact import divergence
from steering.studies.refusal.candidates import Candidate, Directions
from steering.studies.refusal.passes import AT_ONCE, Passes
from steering.studies.refusal.rules import By, Rules, Score
from steering.studies.refusal.tokens import log_odds


_EPSILON = 1e-6
_LOOKED_AT = 0.1
"""Share of the blocks that COSMIC looks at."""


class Screen:
    """Scores candidates on validation prompts. Call on the model thread."""

    def __init__(
        self,
        host: Host,
        target: Sequence[Prompt],
        control: Sequence[Prompt],
        directions: Directions,
        tokens: Sequence[int],
    ) -> None:
        """Prepare a screen.

        Args:
            host: The model.
            target: Validation requests that it refuses.
            control: Those that it answers.
            directions: What is scored.
            tokens: Ids of refusal tokens; without any, only KL and COSMIC are scored.
        """
        self._host, self._directions, self._tokens = host, directions, tuple(tokens)
        self._target, self._control = Passes(host, target), Passes(host, control, keep_inputs=True)
        self._found: dict[Candidate, Score] = {}
        self._known: Mapping[Candidate, Score] = {}
        self._half: dict[Candidate, float] = {}

    def scores(
        self,
        job: Job[Any],
        rules: Rules,
        by: By = "bypass",
        *,
        complete: bool = True,
        known: Mapping[Candidate, Score] | None = None,
    ) -> Iterator[Score]:
        """Every candidate's scores, each given anew whenever more of them is known.

        Adding is scored first, from the known states at the candidate's block; then ablating on target requests, which
        must run every block, those first that no rule has dropped; then ablating on control requests.

        Args:
            job: Told of the progress, and asked for a stop.
            rules: What drops a candidate.
            by: What the choice will be made by.
            complete: Whether every candidate gets every score. Otherwise what a rule has dropped is left alone, and
                ablating on control requests ends with the first of the best that passes: the choice is the same.
            known: Scores that need not be measured again, where all of a batch are known: so that what goes on from
                them measures the others in the batches, and to the numbers, of a run that knew nothing.
        """
        self._known = known or {}
        self._found = {each: self._unscored(each) for each in self._directions.candidates}
        yield from self._found.values()
        directed = [each for each, score in self._found.items() if not score.flat]
        steps = _Steps(job, 3 * len(_without(directed, self._known)))

        def passing() -> list[Candidate]:
            return [each for each in directed if not self._found[each].reasons(rules, self._host.info.blocks, by)]

        first = passing()
        yield from self._noted(steps, self._added(directed if complete else first))
        best = passing()
        yield from self._noted(steps, self._ablated_on_target([*best, *(_without(directed, best) if complete else ())]))
        best.sort(key=lambda each: self._found[each].rank(by))
        if not complete:
            for candidate in best:
                yield from self._noted(steps, self._ablated_on_control([candidate]))
                if not self._found[candidate].reasons(rules, self._host.info.blocks, by):
                    return
            # None passes: which breaks fewest rules cannot be told without every score.
            yield from self._noted(steps, self._added(_without(directed, first)))
            yield from self._noted(steps, self._ablated_on_target(_without(directed, best)))
        rest = _without(directed, best)
        yield from self._noted(steps, self._ablated_on_control([*best, *rest] if complete else rest))

    def _noted(self, steps: _Steps, scores: Iterator[Score]) -> Iterator[Score]:
        for score in scores:
            if score.candidate not in self._known:
                steps.done()
            self._found[score.candidate] = score
            yield score

    def _told(self, part: Sequence[Candidate], *names: str) -> list[Score]:
        """The scores of a batch, where they are known of all; nothing otherwise."""
        whole = all(each in self._known for each in part)
        return [self._scored(each, **dict.fromkeys(names)) for each in part] if whole else []

    def _scored(self, candidate: Candidate, **values: float | None) -> Score:
        """A candidate with what was measured now, or is known."""
        if (known := self._known.get(candidate)) is not None:
            values = {name: getattr(known, name) for name in values}
        return replace(self._found[candidate], **values)  # type: ignore[arg-type]

    def _unscored(self, candidate: Candidate) -> Score:
        return Score(candidate, self._directions.token(candidate), flat=self._directions.unit(candidate) is None)

    def _added(self, candidates: Sequence[Candidate]) -> Iterator[Score]:
        """Induce, and the half of COSMIC that adding gives (kept aside)."""
        for block in sorted({each.block for each in candidates}):
            for part in _parts([each for each in candidates if each.block == block]):
                if told := self._told(part, "induce"):
                    yield from told
                    continue
                plans = [self._directions.addition(each) for each in part]
                odds, states = self._control.run(plans, self._looked_at, self._odds, from_block=block)
                for index, candidate in enumerate(part):
                    self._half[candidate] = _cosine(states[index], self._target.outputs[:, self._looked_at])
                    yield self._scored(candidate, induce=self._mean(odds[index]))

    def _ablated_on_target(self, candidates: Sequence[Candidate]) -> Iterator[Score]:
        """Bypass and COSMIC."""
        for part in _parts(candidates):
            if told := self._told(part, "bypass", "cosmic"):
                yield from told
                continue
            plans = [self._directions.ablation(each, self._host) for each in part]
            odds, states = self._target.run(plans, self._looked_at, self._odds)
            for index, candidate in enumerate(part):
                alike = _cosine(states[index], self._control.outputs[:, self._looked_at])
                cosmic = alike + self._half.get(candidate, math.nan)  # of what is known, nobody asks for it
                yield self._scored(candidate, bypass=self._mean(odds[index]), cosmic=cosmic)

    def _ablated_on_control(self, candidates: Sequence[Candidate]) -> Iterator[Score]:
        """KL."""
        for part in _parts(candidates):
            if told := self._told(part, "kl"):
                yield from told
                continue
            plans = [self._directions.ablation(each, self._host) for each in part]
            apart, _ = self._control.run(plans, (), _smoothed_kl)
            for index, candidate in enumerate(part):
                yield self._scored(candidate, kl=float(apart[index].mean()))

    def _odds(self, logits: Tensor, _: Tensor) -> Tensor:
        return log_odds(logits, self._tokens) if self._tokens else torch.full((len(logits),), torch.nan)

    def _mean(self, odds: Tensor) -> float | None:
        return float(odds.mean()) if self._tokens else None

    @cached_property
    def _looked_at(self) -> list[int]:
        """The tenth of the blocks, and at least one, whose mean states of both sides are least alike.

        The published code ranks them on training requests and keeps int(0.1 L), none under ten blocks. Here it is the
        requests that a direction is chosen on, and the nearest whole number.
        """
        target, control = (side.outputs.mean(dim=0) for side in (self._target, self._control))
        alike = torch.nn.functional.cosine_similarity(target, control, dim=-1)
        return sorted(alike.argsort()[: max(1, round(_LOOKED_AT * len(alike)))].tolist())


class _Steps:
    """Counts passes for the job's progress."""

    def __init__(self, job: Job[Any], total: int) -> None:
        self._job, self._total, self._done = job, total, 0

    def done(self) -> None:
        self._done += 1
        self._job.report(min(self._done, self._total), self._total, "scores of candidates")


def _smoothed_kl(logits: Tensor, base: Tensor) -> Tensor:
    """Σ p (ln(p + 1e-6) - ln(q + 1e-6)) in nats, with p of `base`, as in the code of Arditi et al."""
    return divergence(base, logits, smoothing=_EPSILON)


def _cosine(states: Tensor, reference: Tensor) -> float:
    """Of means over prompts and over the blocks looked at, as in COSMIC's code; (prompt, block, width) each."""
    first, second = (each.double().mean(dim=(0, 1)) for each in (states, reference))
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def _parts(candidates: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    for start in range(0, len(candidates), AT_ONCE):
        yield candidates[start : start + AT_ONCE]


def _without(candidates: Sequence[Candidate], some: Iterable[Candidate]) -> list[Candidate]:
    left_out = set(some)
    return [each for each in candidates if each not in left_out]
