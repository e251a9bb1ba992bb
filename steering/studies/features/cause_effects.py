"""What every change of features does: to the logit difference of every prompt, and to replies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.parts.part import Part, parts
from steering.passes.gradients import OfLogits
from steering.passes.replies import Reply
from steering.passes.rows import Row
from steering.recipes.recipe import Recipe
from steering.statistics import Estimate
from steering.store import HandedOn
from steering.studies.features.cause_changes import Change
from steering.studies.features.cause_parts import Differences, Spoken
from steering.studies.refusal.arms import Arm
from steering.studies.refusal.groups import Group
from steering.studies.refusal.outcomes import Rates, rates_of
from steering.studies.refusal.replies import BATCH, judged
from steering.writes.interventions import Plan


@dataclass(frozen=True, eq=False)
class Effect:
    """One change on the prompts of one kind."""

    change: Change
    group: str
    differences: np.ndarray
    """The logit difference, (prompt,)."""
    rates: Rates | None
    """How replies were judged; None where they were not asked for."""

    @property
    def refused(self) -> np.ndarray:
        """Which replies are refusals, (prompt,), 0 or 1."""
        assert self.rates is not None
        return np.array([float(said.refusal) for said in self.rates.said])


def read_differences(
    job: Job[Any], host: Host, prompts: Sequence[Prompt], plans: Sequence[Plan], of: OfLogits
) -> np.ndarray:
    """The number at the reply's first token under every plan, (plan, prompt). Call on the model thread."""
    found = torch.zeros(len(plans), len(prompts), dtype=torch.float64)

    def take(read: Mapping[str, Any]) -> None:
        found[torch.tensor(read["plans"])[:, None], torch.tensor(read["items"])] = read["values"]

    item = Differences(dict(enumerate(prompts)), dict(enumerate(plans)), of)
    _all_of(job, host, [item], take, found.numel(), "prompts read under a change")
    return found.numpy()


def speak(job: Job[Any], host: Host, group: Group, plans: Sequence[Plan], longest: int) -> list[list[Reply]]:
    """Greedy replies to every prompt under every plan, rows of shared batches. Call on the model thread."""
    rows = [(plan, index) for plan in range(len(plans)) for index in range(len(group.prompts))]
    rows.sort(key=lambda row: len(group.prompts[row[1]]))
    found: list[dict[int, Reply]] = [{} for _ in plans]

    def take(said: Mapping[str, Any]) -> None:
        plan, index = said["row"]
        found[plan][index] = said["reply"]

    starts = range(0, len(rows), BATCH)
    batches = [
        Spoken({row: Row(group.prompts[row[1]], plans[row[0]]) for row in rows[start : start + BATCH]}, longest)
        for start in starts
    ]
    _all_of(job, host, batches, take, len(rows), "replies")
    return [[each[index] for index in range(len(group.prompts))] for each in found]


def _all_of(
    job: Job[Any], host: Host, items: Sequence[Part], take: Callable[[Mapping[str, Any]], None], total: int, what: str
) -> None:
    """Compute parts, by workers where there are any."""
    done = 0
    with closing(parts(job, host, items, HandedOn(take))) as told:
        for each in told:
            if each.n:
                done += each.n
                job.report(done, total, what)


def rated(group: Group, changes: Sequence[Change], replies: Sequence[Sequence[Reply]]) -> list[Rates]:
    """Replies under every change as the rules sort them, against those under the first, which changes nothing."""
    found: list[Rates] = []
    base = None
    for change, own in zip(changes, replies, strict=True):
        arm = Arm(change.key, change.title, Recipe(), floor=change.floor)
        unknown = [float("nan")] * len(own)
        said = tuple(judged(arm, group.name, group.system, group.asked, own, unknown, None, target=group.target))
        base = base or said
        found.append(rates_of(arm, said, base))
    return found


def share_of(before: np.ndarray, after: np.ndarray, floor: float, *, seed: int = 0, resamples: int = 2000) -> Estimate:
    """Which share of what a behaviour has above a floor is gone: 1 - (after - floor) / (before - floor), of the means.

    Args:
        before: Of every prompt, unchanged, (prompt,).
        after: Under a change, (prompt,).
        floor: Where nothing of the behaviour is left: 0 of refusals, the mean of control prompts of a logit difference.
        seed: Of the bootstrap over prompts, which draws both sides of a prompt together.
        resamples: Its samples.

    Returns:
        The share with its 95 % percentile interval; NaN where there is nothing above the floor.
    """
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    if not len(before) or not before.mean() > floor:
        return nothing
    picked = np.random.default_rng(seed).integers(0, len(before), size=(resamples, len(before)))
    whole = before[picked].mean(axis=1) - floor
    shares = 1 - (after[picked].mean(axis=1)[whole > 0] - floor) / whole[whole > 0]
    low, high = np.quantile(shares, [0.025, 0.975])
    return Estimate(float(1 - (after.mean() - floor) / (before.mean() - floor)), float(low), float(high))


def rank_agreement(foretold: np.ndarray, measured: np.ndarray, *, seed: int = 0, resamples: int = 1000) -> Estimate:
    """Spearman's rank correlation over features, with its 95 % percentile-bootstrap interval over them; NaN where there
    are fewer than three, or one side is the same of all.
    """
    nothing = Estimate(float("nan"), float("nan"), float("nan"))
    if len(foretold) < 3:
        return nothing
    n = len(foretold)
    drawn = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    values = _spearman(*(each[np.vstack([np.arange(n), drawn])] for each in (foretold, measured)))
    known = values[1:][~np.isnan(values[1:])]  # a draw in which one side is the same of all has none
    if np.isnan(values[0]) or not len(known):
        return nothing
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(float(values[0]), float(low), float(high))


def _spearman(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of every row, (row, item) -> (row,); NaN where one side is the same of all."""
    from scipy.stats import rankdata  # takes long to import

    first, second = (rankdata(each, axis=1) - (each.shape[1] + 1) / 2 for each in (one, other))
    sizes = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    found: np.ndarray = np.divide((first * second).sum(axis=1), sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)
    return found
