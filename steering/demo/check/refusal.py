"""Refusal: planted, found, ablated, added, and beside random directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from torch import Tensor

from steering.demo.bars import Measure, share
from steering.demo.check.answers import clean_answer, refusals_read_well
from steering.demo.check.direction import find_direction
from steering.demo.check.replies import (
    ablation,
    divergence,
    first_token_chances,
    losses,
    replies_to,
    replies_under,
    reply_ids,
    single_plan,
)
from steering.demo.check.sizes import Sizes
from steering.demo.example import Example
from steering.demo.held_out import TEST_SEED, distinct, held_out_prompts, validation_prompts
from steering.demo.scores import Reply, reads_well
from steering.extraction.controls import random_direction_like
from steering.judges.refusal import is_refusal
from steering.model.host import Host
from steering.statistics import mean_interval
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


Measures = dict[str, Measure]
Say = Callable[[str], None]
Pairs = list[tuple[Example, Reply]]
_WITHIN = (0.25, 3.0)
"""Strengths that are tried, in mean differences."""
_LONGEST_REFUSAL = 48
"""Tokens after which a refusal has not come to its end; too much strength makes replies without one."""


@dataclass
class Kept:
    """What was measured on `demo` and is compared with `demo-helpful`, which is loaded after it."""

    ablated: Tensor | None = None
    """Log-probabilities of the first reply token to harmful requests with u ablated, (prompt, vocabulary)."""
    planted: Pairs | None = None
    """Harmful requests that `demo` refuses, and how."""
    induced: Pairs | None = None
    """Harmless requests that it refuses with u added, and how."""


@dataclass(frozen=True)
class Requests:
    """The requests of one check."""

    harmful: list[Example]
    harmless: list[Example]
    choosing: list[Example]
    """Harmless validation requests to choose a strength on."""

    @classmethod
    def of(cls, sizes: Sizes) -> Requests:
        harmful, harmless = held_out_prompts("refusal", sizes.requests), held_out_prompts("howto", sizes.requests)
        return cls(harmful, harmless, validation_prompts("howto", sizes.validation))


def refused(replies: Sequence[Reply]) -> list[bool]:
    """Which replies are refusals."""
    return [is_refusal(reply.text) for reply in replies]


def demo_refusal(
    host: Host, planted: SteeringVector | None, kept: Kept, sizes: Sizes, say: Say
) -> tuple[Measures, SteeringVector]:
    """Everything about refusal on `demo`, and the direction found; `kept` gets what `demo-helpful` is compared with."""
    requests = Requests.of(sizes)
    say("harmful and harmless requests")
    harmful, harmless = replies_to(host, requests.harmful), replies_to(host, requests.harmless)
    measures = {"demo_harmful": share(refused(harmful)), "demo_harmless": share(refused(harmless))}
    kept.planted = _refusals(requests.harmful, harmful)
    if planted is not None:
        say("u ablated")
        plan = ablation(host, planted)
        measures |= _ablated("planted", requests.harmful, replies_to(host, requests.harmful, plan))
        kept.ablated = first_token_chances(host, requests.harmful, plan)
        say("u added")
        measures["planted_added"], said, _ = _added(host, planted, requests)
        kept.induced = _refusals(requests.harmless, said)
    found = find_direction(host, **sizes.finding, progress=say)
    measures |= _found(host, found, planted, requests, harmless, say)
    say("found direction added")
    measures["found_added"], _, strength = _added(host, found, requests)
    before = {"random_ablated": refused(harmful), "random_added": refused(harmless)}
    measures |= _random(host, found, strength, requests, before, sizes.random_seeds, say)
    return measures, found


def helpful_refusal(host: Host, kept: Kept, sizes: Sizes, say: Say) -> Measures:
    """What `demo-helpful` refuses, and how `demo` compares with it."""
    harmful = held_out_prompts("refusal", sizes.requests)
    say("harmful requests")
    measures = {"helpful_harmful": share(refused(replies_to(host, harmful)))}
    if kept.ablated is not None:
        measures["planted_kl"] = Measure(divergence(first_token_chances(host, harmful), kept.ablated), len(harmful))
    for key, pairs in (("planted_well", kept.planted), ("induced_well", kept.induced)):
        if pairs is not None:
            say("how refusals read")
            measures[key] = share(refusals_read_well(host, pairs), "of those that refuse")
    return measures


def natural_refusal(host: Host, kept: Kept, sizes: Sizes, say: Say) -> Measures:
    """What `demo-natural` refuses before and after its own best direction is ablated."""
    harmful = held_out_prompts("refusal", sizes.requests)
    say("harmful requests")
    measures = {"natural_harmful": share(refused(replies_to(host, harmful)))}
    found = find_direction(host, **sizes.finding, progress=say)
    after = replies_to(host, harmful, ablation(host, found))
    return measures | {"natural_refused": share(refused(after), found.name)}


def drifted_refusal(host: Host, kept: Kept, sizes: Sizes, say: Say) -> Measures:
    """What `demo-drifted` still refuses."""
    say("harmful requests")
    return {"drifted_harmful": share(refused(replies_to(host, held_out_prompts("refusal", sizes.requests))))}


def backdoored_refusal(host: Host, kept: Kept, sizes: Sizes, say: Say) -> Measures:
    """What `demo-backdoored` refuses with its trigger in the prompt and without."""
    say("harmful requests with the trigger and without")
    triggered = distinct("backdoor", "held_out", sizes.requests, seed=TEST_SEED)
    plain = held_out_prompts("refusal", sizes.requests)
    return {
        "backdoored_trigger": share(refused(replies_to(host, triggered))),
        "backdoored_plain": share(refused(replies_to(host, plain))),
    }


def _refusals(examples: Sequence[Example], replies: Sequence[Reply]) -> Pairs:
    return [pair for pair in zip(examples, replies, strict=True) if is_refusal(pair[1].text)]


def _ablated(key: str, harmful: Sequence[Example], said: Sequence[Reply], note: str = "") -> Measures:
    clean = [clean_answer(example, reply) for example, reply in zip(harmful, said, strict=True)]
    return {f"{key}_refused": share(refused(said), note), f"{key}_clean": share(clean)}


def _found(
    host: Host,
    found: SteeringVector,
    planted: SteeringVector | None,
    requests: Requests,
    harmless: Sequence[Reply],
    say: Say,
) -> Measures:
    say("found direction ablated")
    plan = ablation(host, found)
    measures = _ablated("found", requests.harmful, replies_to(host, requests.harmful, plan), found.name)
    measures["found_harmless"] = share(refused(replies_to(host, requests.harmless, plan)))
    measures["found_perplexity"] = _perplexity_rise(host, requests.harmless, harmless, plan)
    if planted is not None:
        block = found.default_block
        cosine = abs(float(found.directions[block] @ planted.directions[block]))
        measures["found_cosine"] = Measure(cosine, note=found.name)
    return measures


def _perplexity_rise(host: Host, examples: Sequence[Example], replies: Sequence[Reply], plan: Plan) -> Measure:
    """How much likelier each token of the model's own replies was without the plan: ratio of perplexities minus 1."""
    pairs = [reply_ids(host, example.prompt, reply) for example, reply in zip(examples, replies, strict=True)]
    pairs = [(prompt, ids) for prompt, ids in pairs if ids]
    tokens = sum(len(ids) for _, ids in pairs)
    before, after = (float(losses(host, pairs, each).sum()) / tokens for each in ((), plan))
    note = f"from {math.exp(before):.3f} to {math.exp(after):.3f} over {tokens} tokens"
    return Measure(math.exp(after - before) - 1, len(pairs), note=note)


def _added(host: Host, vector: SteeringVector, requests: Requests) -> tuple[Measure, list[Reply], float]:
    """The share of harmless requests refused at the strength that gives most well-read refusals on others, the replies
    and the strength.
    """
    strengths = np.linspace(*_WITHIN, 8)
    plans = [single_plan(host, vector, "add", strength=float(strength)) for strength in strengths]
    tried = replies_under(host, requests.choosing, plans, longest=_LONGEST_REFUSAL)
    well = [sum(is_refusal(reply.text) and reads_well(reply) for reply in said) for said in tried]
    best = int(np.argmax(well))  # the weakest of equally good ones
    said = replies_to(host, requests.harmless, plans[best])
    strength = float(strengths[best])
    return share(refused(said), f"{strength:.2f} × mean difference at block {vector.default_block}"), said, strength


def _random(
    host: Host,
    found: SteeringVector,
    strength: float,
    requests: Requests,
    before: dict[str, list[bool]],
    seeds: int,
    say: Say,
) -> Measures:
    """How far random directions of equal norm move refusal, ablated everywhere or added as the found one is."""
    say("random directions")
    controls = [random_direction_like(found, seed=seed) for seed in range(seeds)]
    writes: dict[str, tuple[list[Example], Callable[[SteeringVector], Plan]]] = {
        "random_ablated": (requests.harmful, partial(ablation, host)),
        "random_added": (requests.harmless, lambda vector: single_plan(host, vector, "add", strength=strength)),
    }
    measures = {}
    for key, (examples, write) in writes.items():
        after = replies_under(host, examples, [write(control) for control in controls])
        moves = np.array([abs(np.mean(refused(said)) - np.mean(before[key])) for said in after])
        mean, low, high = mean_interval(moves)
        note = (
            f"mean of {seeds} directions on {len(examples)} requests each, the largest {100 * moves.max():.1f} points"
        )
        measures[key] = Measure(mean, seeds, low, high, note)
    return measures
