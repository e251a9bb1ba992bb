"""Strength in nats: how far an intervention moves what the model says, whatever the vector, block or method.

An intervention of B nats is the one at which the 95th percentile over tokens of KL(unsteered || steered) is B. Tokens
are those of the unsteered model's own greedy replies to a calibration set, fed to both (teacher forcing), so that both
see equal text. Where a reply is bound to go on in one way, even a strong intervention shows little: so the 95th
percentile and not the mean, and not the maximum, which one token decides.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
import yaml
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.model.learnt import Learnt
from steering.model.prompts import render
from steering.numbers import with_unit
from steering.passes.decoding import generate
from steering.passes.forced import Replied, read_forced, replies_at_once
from steering.passes.own_thoughts import behind_thoughts
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.modes import MODES
from steering.recipes.recipe import Intervention, Recipe
from steering.recipes.writes import Vectors, writes_of
from steering.resources import resource
from steering.vectors.strength import unit_words
from steering.writes.interventions import Plan


PERCENTILE = 95
REPLY_TOKENS = 32
"""Tokens of each calibration reply."""
_CLOSE = 0.02
"""The root is found where it is off by no more than this share of the budget."""
_AT_A_TIME = 4
"""Strengths in one batched pass, beside the unsteered row."""
_MOST_PASSES = 6
_ROWS = 40
_LONGEST = 512.0
"""The most that is tried of a length, in mean differences; of another scale it is that scale's end."""
_FIRST = (0.125, 0.5, 2.0, 8.0)
"""Lengths that are tried first; of another scale, four parts of it, each a quarter of the next."""


class BeyondReachError(SteeringError):
    """No strength costs as many nats as were asked for."""

    def __init__(self, asked: float, most: float, up_to: str) -> None:
        super().__init__(
            f"A strength of {with_unit(f'{asked:g}', 'nats')} was asked for.",
            f"at most {most:.2g} nats, the most that was measured up to {up_to}.",
            "Ask for less, or write at other blocks.",
        )
        self.most = most
        """The most that was measured, in nats."""


@dataclass(frozen=True)
class Calibration:
    """What a budget came to."""

    strength: float
    """In the mode's own unit: mean differences for add, affine and clamp, typical maxima of features; share for ablate;
    degrees for rotate.
    """
    measured: float
    """The 95th percentile of KL there, in nats."""
    n_tokens: int
    """Tokens behind it."""
    passes: int
    """Batched passes that the search took."""


def calibrated(
    host: Host,
    intervention: Intervention,
    vectors: Vectors,
    *,
    prompts: Sequence[str] | None = None,
) -> Calibration:
    """The strength at which an intervention has the budget that its `strength` gives in nats.

    A negative budget searches on the other side of zero, where the mode has one. Found by log-log interpolation; equal
    questions about the same model are answered from memory.

    Args:
        host: The model.
        intervention: With the budget as its strength. Its unit does not count, nor does its gate: measured is what it
            does where the gate is open.
        vectors: By name.
        prompts: The calibration set; the one that ships with the project where None.

    Raises:
        SteeringError: A mode without strength, a budget that is zero, not finite or on a side that the mode does not
            have, or one that no strength reaches.
    """
    texts = tuple(prompts or calibration_prompts())
    budget = _check(intervention)
    intervention = intervention.model_copy(update={"gate": None, "unit": "nats"})
    contents = [vectors[name].content for name in intervention.names if name in vectors]
    key = json.dumps([intervention.model_dump(mode="json"), contents, texts])
    known = _KNOWN.setdefault(host, {})
    if key not in known:
        sign = math.copysign(1.0, intervention.strength)
        length = unit_words("mean_difference", vectors.get(intervention.vector))

        def plan(strength: float) -> Plan:
            natural = {"strength": sign * strength, "unit": "mean_difference"}
            return tuple(writes_of(intervention.model_copy(update=natural), host, vectors))

        known[key] = host.run(
            lambda job: _search(job, host, plan, own_replies(host, texts), budget, intervention.mode, length),
            title="Calibrating",
        )
    found = known[key]
    return replace(found, strength=math.copysign(found.strength, intervention.strength))


def search_ahead(recipes: Iterable[Recipe]) -> str:
    """What to tell before a run whose strengths in nats may have to be found first; "" where none is in nats."""
    asked = any(each.unit == "nats" for recipe in recipes for each in recipe.interventions)
    return "Finding the strength in nats comes beside it, unless it is known by now." if asked else ""


def divergences(host: Host, plans: Sequence[Plan], replied: Sequence[Replied]) -> Tensor:
    """KL(unsteered || plan) at every token of given replies, their end included, in nats.

    Args:
        host: The model.
        plans: What is compared with the unsteered model.
        replied: Prompts and the token ids that follow each.

    Returns:
        float64, (plan, token).
    """

    def work(job: Job[Tensor]) -> Tensor:
        size, parts = replies_at_once(host, len(plans), replied, max(1, _ROWS // len(plans))), []
        for start in range(0, len(replied), size):
            job.check()
            part = replied[start : start + size]
            base, steered = read_forced(host, [()], part), read_forced(host, plans, part)
            parts.append(steered.divergence(base)[:, base.used])
        return torch.cat(parts, dim=1)

    return host.run(work, title="Reading replies")


@cache
def calibration_prompts() -> tuple[str, ...]:
    """Everyday requests of many kinds."""
    return tuple(yaml.safe_load(resource("presets", "calibration.yaml").read_text(encoding="utf-8"))["prompts"])


_KNOWN = Learnt[dict[str, Calibration]]("strengths in nats")
_REPLIED = Learnt[dict[tuple[str, ...], list[Replied]]]("own replies")


def _check(intervention: Intervention) -> float:
    budget, mode = intervention.strength, intervention.mode
    if not MODES[mode].in_nats:
        taking = [name for name, each in MODES.items() if each.in_nats]
        raise SteeringError(f"A strength in nats was given for '{mode}'.", f"one of {', '.join(taking)}.")
    scale = MODES[mode].scale
    one_sided = scale is not None and scale.low >= 0
    if not math.isfinite(budget) or budget == 0 or (one_sided and budget < 0):
        raise SteeringError(
            f"A budget of {budget} nats was given.",
            "a number above 0" + ("." if one_sided else ", or below it to steer away."),
            "Type a number such as 1.",
        )
    return abs(budget)


def own_replies(host: Host, texts: tuple[str, ...]) -> list[Replied]:
    """The unsteered model's greedy answers to prompts, at most `REPLY_TOKENS` long, generated once a model; the prompts
    end behind its thoughts where it is let think.
    """
    known = _REPLIED.setdefault(host, {})
    if texts not in known:
        prompts = behind_thoughts(host, [render(host, text) for text in texts])
        said = generate(host, [Row(prompt) for prompt in prompts], DecodeSettings(max_new_tokens=REPLY_TOKENS))
        known[texts] = [(prompt, reply.ids) for prompt, reply in zip(prompts, said, strict=True)]
    return known[texts]


def replied(host: Host, texts: tuple[str, ...]) -> bool:
    """Whether `own_replies` knows its answers to these prompts already."""
    return texts in _REPLIED.get(host, {})


def _search(
    job: Job[Calibration],
    host: Host,
    plan: Callable[[float], Plan],
    replied: list[Replied],
    budget: float,
    mode: str,
    length: str,
) -> Calibration:
    scale = MODES[mode].scale
    largest, unit = (_LONGEST, length) if scale is None else (scale.high, scale.unit)
    seen, tried = {0.0: 0.0}, list(_FIRST if scale is None else (largest / 4**power for power in (3, 2, 1, 0)))
    for passes in range(1, _MOST_PASSES + 1):
        job.report(passes - 1, _MOST_PASSES, "passes")
        found = divergences(host, [plan(strength) for strength in tried], replied)
        seen |= dict(zip(tried, np.percentile(found.numpy(), PERCENTILE, axis=1).tolist(), strict=True))
        best = min(seen, key=lambda strength: abs(seen[strength] - budget))
        if abs(seen[best] / budget - 1) <= _CLOSE:
            break
        tried = _next(seen, budget, largest)
    if abs(seen[best] / budget - 1) > 0.25:
        raise BeyondReachError(budget, max(seen.values()), f"{max(seen):g} {unit}")
    return Calibration(best, seen[best], found.shape[1], passes)


def _next(seen: Mapping[float, float], budget: float, largest: float) -> list[float]:
    """Strengths around the first crossing of the budget, by interpolation in the logarithms; larger ones if none."""
    strengths = sorted(seen)
    over = next((i for i, strength in enumerate(strengths) if seen[strength] >= budget), None)
    if over is None:
        reach = min(strengths[-1] * 16, largest)
        return np.geomspace(strengths[-1] * 1.5, reach, _AT_A_TIME).tolist() if reach > strengths[-1] else [largest]
    low, high = strengths[over - 1], strengths[over]
    if low == 0:
        return [high / 4**power for power in range(1, _AT_A_TIME + 1)]
    x = np.log([low, high])
    y = np.log([max(seen[low], 1e-12), seen[high]])
    root = x[0] + (math.log(budget) - y[0]) / (y[1] - y[0]) * (x[1] - x[0]) if y[1] > y[0] else x.mean()
    spread = (x[1] - x[0]) / 4
    return np.exp([max(x[0], root - spread), root - spread / 8, root + spread / 8, min(x[1], root + spread)]).tolist()
