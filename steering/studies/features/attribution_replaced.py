"""What changes where a dictionary stands in for what it describes: a transcoder for an MLP's output, row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.exact import divergence, rows_at_once
from steering.passes.given import TOKENS
from steering.passes.gradients import OfLogits
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_replies
from steering.statistics import Estimate
from steering.studies.features.replaced import treatments
from steering.studies.features.streams import stream_tokens
from steering.studies.features.sums import draws, estimate
from steering.writes.interventions import Plan


OWN = "dictionary"
TREATMENTS: Mapping[str, str] = {
    OWN: "what the dictionary gives",
    "mean": "the mean over all tokens",
    "zeros": "nothing (zeros)",
}
"""What stands in place of the states, by its name."""


@dataclass(frozen=True, eq=False)
class Replacement:
    """One treatment: how far it moves the next-token distributions of texts, and the chosen logits of a prompt."""

    name: str
    kl: Estimate
    """Mean KL(unchanged || treated) over tokens, nats, with its interval by bootstrap over texts."""
    kl_p95: float
    """95th percentile over tokens."""
    same: Estimate
    """Share of tokens after which the likeliest next token stays."""
    value: float
    """The chosen logit difference of the prompt under it."""
    tokens: int


def replacements(
    job: Job[Any],
    host: Host,
    dictionary: Dictionary,
    texts: Sequence[Prompt],
    prompt: Prompt,
    of: OfLogits,
    *,
    seed: int,
) -> list[Replacement]:
    """Read texts and one prompt under each treatment, first tokens left as they are. Call on the model thread."""
    mean = _mean(host, dictionary, texts)
    plans = treatments(dictionary, {OWN: dictionary.reconstruct}, mean, first=False)
    moved: dict[str, list[np.ndarray]] = {name: [np.zeros(0)] * len(texts) for name in TREATMENTS}
    kept: dict[str, list[np.ndarray]] = {name: [np.zeros(0)] * len(texts) for name in TREATMENTS}
    done = 0
    for indices in _alike(host, texts):
        some = [texts[index] for index in indices]
        logits = _read(host, some, plans(len(some[0])))
        for row, name in enumerate(TREATMENTS, start=1):
            apart, same = divergence(logits[0], logits[row]), _likeliest(logits[0]) == _likeliest(logits[row])
            for place, index in enumerate(indices):
                moved[name][index], kept[name][index] = apart[place].numpy(), same[place].cpu().numpy()
        done += len(indices)
        job.report(done, len(texts), "texts read with states replaced")
    ends = of(_read(host, [prompt], plans(len(prompt)))[:, 0, -1])
    weights = draws(len(texts), 1000, seed)
    return [
        Replacement(
            name,
            _mean_of(moved[name], weights),
            float(np.quantile(np.concatenate(moved[name]), 0.95)),
            _mean_of(kept[name], weights),
            float(ends[row]),
            sum(map(len, moved[name])),
        )
        for row, name in enumerate(TREATMENTS, start=1)
    ]


def _mean(host: Host, dictionary: Dictionary, texts: Sequence[Prompt]) -> Tensor:
    """The mean of the states that are replaced, (width,)."""
    total, n = torch.zeros(dictionary.width_out, dtype=torch.float64), 0
    for _, states in stream_tokens(host, texts, [dictionary.gives]):
        total += states[dictionary.gives].cpu().double().sum(dim=0)
        n += len(states[dictionary.gives])
    return (total / n).float()


def _alike(host: Host, texts: Sequence[Prompt]) -> Iterator[list[int]]:
    """Texts of equal length of two tokens or more, as many as one pass takes under all treatments."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        by_length[len(text)].append(index)
    for length, indices in sorted(by_length.items()):
        each = (1 + len(TREATMENTS)) * length
        most = rows_at_once(each * host.info.vocabulary, max(1, TOKENS // each))
        yield from (indices[start : start + most] for start in range(0, len(indices), most) if length > 1)


def _read(host: Host, prompts: Sequence[Prompt], plans: Mapping[str, Plan]) -> Tensor:
    """Logits unchanged and under each treatment at every token but the first, (1 + treatment, prompt, token, id)."""
    every = [(), *(plans[name] for name in TREATMENTS)]
    batch = Batch.of(host, prompts).repeated(len(every))
    schedule = Schedule(host, [plan for plan in every for _ in prompts])
    logits = read_replies(host, batch, schedule, n=len(prompts[0]) - 1)
    return logits.unflatten(0, (len(every), len(prompts)))


def _likeliest(logits: Tensor) -> Tensor:
    return logits.argmax(dim=-1)


def _mean_of(values: Sequence[np.ndarray], weights: np.ndarray) -> Estimate:
    """The mean over tokens, texts drawn."""
    sums, counts = (np.array([float(size(each)) for each in values]) for size in (np.sum, len))
    return estimate(weights @ sums / np.maximum(weights @ counts, 1))
