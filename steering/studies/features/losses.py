"""What it costs the model when states are replaced: cross-entropy of the next token under each treatment.

`recovered` is (L_ablated - L_given) / (L_ablated - L_clean): 1 where the model predicts as well with what a dictionary
gives back as with its own states, 0 where no better than with the states' mean, or zeros, in their place (the "CE loss
score" of sae-lens, there against zeros).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.parts.part import parts
from steering.passes.exact import losses_of, rows_at_once
from steering.passes.given import TOKENS
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_replies
from steering.store import HandedOn, Kept
from steering.studies.features.measuring import Group, Texts
from steering.studies.features.sources import Kind
from steering.writes.interventions import Plan


Plans = Callable[[int], Mapping[str, Plan]]
"""From the length of a text to what is written under each treatment, by its name."""
CLEAN = "unchanged"


@dataclass(frozen=True, eq=False)
class Losses:
    """Nats by treatment, group and text."""

    sums: Mapping[tuple[str, Group], np.ndarray]
    """Sum of -log p(next token) over a text's tokens, (text,)."""
    counts: Mapping[Group, np.ndarray]
    """Tokens that have a next one, (text,)."""

    def mean(self, treatment: str, groups: Sequence[Group], weights: np.ndarray) -> np.ndarray:
        """Nats a token of every draw of texts, (draw,); NaN where there are no tokens."""
        total = weights @ sum(self.sums[treatment, group] for group in groups)
        counts = weights @ sum(self.counts[group] for group in groups)
        return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)

    def recovered(self, treatment: str, ablated: str, groups: Sequence[Group], weights: np.ndarray) -> np.ndarray:
        """The share of the loss that a treatment brings back, (draw,); NaN where ablation costs nothing."""
        worst, own, clean = (self.mean(each, groups, weights) for each in (ablated, treatment, CLEAN))
        cost = worst - clean
        return np.where(cost > 0, (worst - own) / np.where(cost > 0, cost, 1), np.nan)


def losses(host: Host, dictionary: Dictionary, texts: Texts, plans: Plans, job: Job[Any], *, first: bool) -> Losses:
    """Read every text under every treatment.

    Args:
        host: The model.
        dictionary: Where it reads decides which tokens count.
        texts: What is read; a text's last token has no next one and does not count.
        plans: The treatments beside `CLEAN`, which writes nothing.
        job: Told of every pass.
        first: Whether first tokens count, too.
    """
    names = [CLEAN, *plans(2)]
    kinds = {kind: texts.groups(kind) for kind in texts.kinds}
    groups = [group for of_kind in kinds.values() for group in of_kind]
    sums = {(name, group): torch.zeros(texts.n, dtype=torch.float64) for name in names for group in groups}
    counts = {group: torch.zeros(texts.n, dtype=torch.float64) for group in groups}
    batches = [
        _Lost(kind, tuple(indices), tuple(tokens.prompts[index] for index in indices), plans, dictionary)
        for kind, tokens in texts.kinds.items()
        for indices in _alike(host, tokens.prompts, len(names))
    ]

    def take(found: Mapping[str, Any]) -> None:
        kind, indices, nats = found["kind"], list(found["indices"]), found["nats"][:, :, 0 if first else 1 :]
        own = torch.stack([texts.kinds[kind].offsets[index] + torch.arange(nats.shape[2]) for index in indices])
        for group, belongs in kinds[kind].items():
            mask = belongs[own].double()
            counts[group][indices] += mask.sum(dim=1)
            for row, name in enumerate(names):
                sums[name, group][indices] += (nats[row] * mask).sum(dim=1)

    done, total = 0, len(texts.prompts)
    with closing(parts(job, host, batches, HandedOn(take))) as told:
        for each in told:
            if each.n:
                done += each.n
                job.report(done, total, "texts read with states replaced")
    return Losses(
        {key: each.numpy() for key, each in sums.items()}, {key: each.numpy() for key, each in counts.items()}
    )


@dataclass(frozen=True, eq=False)
class _Lost:
    """Texts of equal length under all treatments: what is found are `nats`, (treatment, text, token)."""

    kind: Kind
    indices: tuple[int, ...]
    """Which of the kind's texts."""
    prompts: tuple[Prompt, ...]
    plans: Plans
    dictionary: Dictionary

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Read them."""
        self.dictionary.to(host.device)
        nats = _read(host, self.prompts, {CLEAN: (), **self.plans(len(self.prompts[0]))})
        kept[f"{self.kind} {self.indices[0]}"] = {"kind": self.kind, "indices": self.indices, "nats": nats}
        yield len(self.indices)

    def pieces(self, host: Host) -> tuple[_Lost]:
        """Itself."""
        return (self,)


def _alike(host: Host, prompts: Sequence[Prompt], treatments: int) -> Iterator[list[int]]:
    """Texts of equal length of two tokens or more, as many as one pass takes under all treatments."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        by_length[len(prompt)].append(index)
    for length, indices in sorted(by_length.items()):
        if length < 2:
            continue
        each = treatments * length
        most = rows_at_once(each * host.info.vocabulary, max(1, TOKENS // each))
        yield from (indices[start : start + most] for start in range(0, len(indices), most))


def _read(host: Host, prompts: Sequence[Prompt], plans: Mapping[str, Plan]) -> Tensor:
    """-log p of every token but the first, float64 on the CPU, (treatment, text, token)."""
    batch = Batch.of(host, prompts).repeated(len(plans))
    schedule = Schedule(host, [plan for plan in plans.values() for _ in prompts])
    logits = read_replies(host, batch, schedule, n=batch.ids.shape[1])
    return losses_of(logits[:, :-1], batch.ids[:, 1:]).unflatten(0, (len(plans), len(prompts)))
