"""Scores every candidate on validation requests, many of them as rows of one batch.

Definitions are those of Arditi et al. 2024 (arXiv 2406.11717, section 2.3) and of COSMIC, Siu et al. 2025 (arXiv
2506.00085).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from steering.host import Host
from steering.interventions import Plan
from steering.lane import Job
from steering.prompts import Prompt
from steering.rows import Batch
from steering.schedule import Place, Schedule
from steering.studies.refusal.candidates import Candidate, Directions
from steering.studies.refusal.rules import By, Rules, Score
from steering.studies.refusal.tokens import log_odds
from steering.tracing import Start, read_prompts


ROWS = 256
"""Rows of a batch at most: candidates times prompts."""
_PROMPTS = 32
"""Prompts of similar length that share a batch."""
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
        self._host = host
        self._prompts = [*target, *control]
        self._is_target = torch.tensor([True] * len(target) + [False] * len(control))
        self._directions = directions
        self._tokens = tuple(tokens)
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

        Adding is scored first, from the known states at the candidate's block; ablating, which must run every block,
        afterwards: first for those that no rule has dropped, then for the rest.

        Args:
            job: Told of the progress, and asked for a stop.
            rules: What drops a candidate.
            by: What the choice will be made by.
            complete: Whether dropped candidates are scored to the end too; the choice does not depend on it.
            known: Scores that need not be measured again.
        """
        found = {each: self._unscored(each) for each in self._directions.candidates} | dict(known or {})
        yield from found.values()
        missing = [each for each, score in found.items() if not score.measured]
        total, done = len(found), len(found) - len(missing)

        def passing() -> list[Candidate]:
            return [each for each in missing if not found[each].reasons(rules, self._host.info.blocks, by)]

        for score in self._added(missing if complete else passing()):
            job.report(done, total, "candidates, adding first")
            found[score.candidate] = score
            yield score
        best = passing()
        rest = [each for each in missing if each not in set(best)] if complete else []
        for score in self._ablated([*best, *rest], found):
            done += 1
            job.report(done, total, "candidates")
            yield score

    def _unscored(self, candidate: Candidate) -> Score:
        return Score(candidate, self._directions.token(candidate), flat=self._directions.unit(candidate) is None)

    def _added(self, candidates: Sequence[Candidate]) -> Iterator[Score]:
        """Induce, and the half of COSMIC that adding gives (kept aside)."""
        for block in sorted({each.block for each in candidates}):
            at_block = [each for each in candidates if each.block == block]
            size = max(1, ROWS // _PROMPTS)
            for start in range(0, len(at_block), size):
                part = at_block[start : start + size]
                plans = [self._directions.addition(each) for each in part]
                logits, states = self._run(plans, ~self._is_target, from_block=block)
                odds = (
                    log_odds(logits, self._tokens).mean(dim=1) if self._tokens else torch.full((len(part),), math.nan)
                )
                for index, candidate in enumerate(part):
                    self._half[candidate] = _cosine(states[index], self._base.target)
                    yield replace(self._unscored(candidate), induce=float(odds[index]) if self._tokens else None)

    def _ablated(self, candidates: Sequence[Candidate], known: dict[Candidate, Score]) -> Iterator[Score]:
        size = max(1, ROWS // _PROMPTS)
        for start in range(0, len(candidates), size):
            part = candidates[start : start + size]
            plans = [self._directions.ablation(each, self._host) for each in part]
            logits, states = self._run(plans, torch.ones_like(self._is_target))
            divergence = smoothed_kl(self._base.logits[~self._is_target], logits[:, ~self._is_target]).mean(dim=1)
            odds = log_odds(logits[:, self._is_target], self._tokens).mean(dim=1) if self._tokens else None
            for index, candidate in enumerate(part):
                like_control = _cosine(states[index, self._is_target], self._base.control)
                yield replace(
                    known[candidate],
                    bypass=None if odds is None else float(odds[index]),
                    kl=float(divergence[index]),
                    cosmic=like_control + self._half[candidate],
                )

    def _run(self, plans: Sequence[Plan], which: Tensor, from_block: int = 0) -> tuple[Tensor, Tensor]:
        """Logits at the last token, (plan, prompt, vocabulary), and the states COSMIC looks at, (plan, prompt, block,
        width), of the prompts of `which`, under each plan.
        """
        picked = which.nonzero()[:, 0].tolist()
        logits: dict[int, Tensor] = {}
        states: dict[int, Tensor] = {}
        for bucket in self._buckets:
            inside = [index for index in bucket.indices if bool(which[index])]
            if not inside:
                continue
            rows = [bucket.indices.index(index) for index in inside]
            found = self._pass(bucket, rows, plans, from_block)
            for place, index in enumerate(inside):
                logits[index], states[index] = found[0][:, place], found[1][:, place]
        return tuple(torch.stack([each[index] for index in picked], dim=1) for each in (logits, states))  # type: ignore[return-value]

    def _pass(
        self, bucket: _Bucket, rows: Sequence[int], plans: Sequence[Plan], from_block: int
    ) -> tuple[Tensor, Tensor]:
        n = len(plans)
        batch = _repeated(bucket.batch, rows, n)
        start = Start(from_block, bucket.inputs[from_block][list(rows)].repeat(n, 1, 1)) if from_block else None
        schedule = Schedule(self._host, [plan for plan in plans for _ in rows])
        kept: dict[Place, Tensor] = {}
        places = [(block, "block_output") for block in self._looked_at if block >= from_block]
        forward = read_prompts(
            self._host,
            batch,
            schedule,
            read=lambda place, states: kept.update({place: states[:, -1].float()}),
            places=places,  # type: ignore[arg-type]
            start=start,
        )
        below = {
            block: bucket.outputs[list(rows), block].repeat(n, 1) for block in self._looked_at if block < from_block
        }
        read = [kept[block, "block_output"].cpu() if block >= from_block else below[block] for block in self._looked_at]
        shape = (n, len(rows))
        return forward.logits.cpu().unflatten(0, shape), torch.stack(read, dim=1).unflatten(0, shape)

    @cached_property
    def _buckets(self) -> list[_Bucket]:
        """The prompts by length, with what the model makes of them when nothing is written."""
        order = sorted(range(len(self._prompts)), key=lambda index: len(self._prompts[index]))
        parts = [order[start : start + _PROMPTS] for start in range(0, len(order), _PROMPTS)]
        return [self._read(part) for part in parts]

    def _read(self, indices: list[int]) -> _Bucket:
        blocks = self._host.info.blocks
        batch = Batch.of(self._host, [self._prompts[index] for index in indices])
        kept: dict[Place, Tensor] = {}

        def read(place: Place, states: Tensor) -> None:
            kept[place] = states.clone() if place[1] == "block_input" else states[:, -1].float().cpu()

        places = [(block, site) for block in range(blocks) for site in ("block_input", "block_output")]
        schedule = Schedule(self._host, [()] * len(indices))
        logits = read_prompts(self._host, batch, schedule, read=read, places=places).logits.cpu()  # type: ignore[arg-type]
        inputs = [kept[block, "block_input"] for block in range(blocks)]
        outputs = torch.stack([kept[block, "block_output"] for block in range(blocks)], dim=1)
        return _Bucket(indices, batch, inputs, outputs, logits)

    @cached_property
    def _looked_at(self) -> tuple[int, ...]:
        """The tenth of the blocks, and at least one, whose mean states of both sides are least alike."""
        target, control = (self._outputs[side].mean(dim=0) for side in (self._is_target, ~self._is_target))
        alike = torch.nn.functional.cosine_similarity(target, control, dim=-1)
        return tuple(sorted(alike.argsort()[: max(1, round(_LOOKED_AT * len(alike)))].tolist()))

    @cached_property
    def _outputs(self) -> Tensor:
        """Unsteered states after every block at the last token, (prompt, block, width)."""
        return self._in_order([bucket.outputs for bucket in self._buckets])

    def _in_order(self, parts: Sequence[Tensor]) -> Tensor:
        order = torch.tensor([index for bucket in self._buckets for index in bucket.indices])
        return torch.cat(list(parts))[order.argsort()]

    @cached_property
    def _base(self) -> _Base:
        looked = self._outputs[:, list(self._looked_at)]
        return _Base(
            logits=self._in_order([bucket.logits for bucket in self._buckets]),
            target=looked[self._is_target],
            control=looked[~self._is_target],
        )


@dataclass(frozen=True, eq=False)
class _Bucket:
    """Prompts of similar length, and an unsteered pass over them."""

    indices: list[int]
    batch: Batch
    inputs: list[Tensor]
    """At the input of every block, (prompt, position, width), in the model's precision, on its device."""
    outputs: Tensor
    """After every block at the last token, float32, (prompt, block, width)."""
    logits: Tensor
    """(prompt, vocabulary)"""


@dataclass(frozen=True, eq=False)
class _Base:
    logits: Tensor
    """Of all prompts, (prompt, vocabulary)."""
    target: Tensor
    """States of target prompts at the blocks that COSMIC looks at, (prompt, block, width)."""
    control: Tensor


def smoothed_kl(base: Tensor, edited: Tensor) -> Tensor:
    """Σ p (ln(p + 1e-6) - ln(q + 1e-6)) in nats, float64, as in the code of Arditi et al.

    Args:
        base: Logits of p, (..., vocabulary).
        edited: Logits of q, broadcastable.
    """
    p, q = (torch.softmax(logits.double(), dim=-1) for logits in (base, edited))
    return (p * ((p + _EPSILON).log() - (q + _EPSILON).log())).sum(dim=-1)


def _cosine(states: Tensor, reference: Tensor) -> float:
    """Of means over prompts and over the blocks looked at, as in COSMIC's code; (prompt, block, width) each."""
    first, second = (each.double().mean(dim=(0, 1)) for each in (states, reference))
    return float(torch.nn.functional.cosine_similarity(first, second, dim=0))


def _repeated(batch: Batch, rows: Sequence[int], times: int) -> Batch:
    ids, real, last = (each[list(rows)] for each in (batch.ids, batch.real, batch.last))
    return Batch(ids.repeat(times, 1), real.repeat(times, 1), last.repeat(times))
