"""Whether a feature moves what the model says, and whether it stands for what it reads (Arad, Mueller and Belinkov
2025, "SAEs Are Good for Steering - If You Select the Right Features", arXiv 2505.20063).

Features that are active on the tokens that they promote (a high input score) are mostly poor ones to steer with; those
whose tokens become likely when the feature is turned up (a high output score) are good ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import Site
from steering.passes.given import Given
from steering.passes.many_plans import read_many
from steering.studies.features.reading import FeatureReading
from steering.studies.features.streams import stream_tokens
from steering.writes.interventions import Plan, Write
from steering.writes.operations import Add


PROMPT = "From my experience,"
FACTOR = 10.0
TOKENS = 20
"""Tokens that a feature is held to promote."""
MOST_TEXTS, LEAST_TEXTS = 100, 10
"""Of the texts on which a feature is most active, how many count for the input score, and how many it needs."""


def output_scores(
    job: Job[Any],
    host: Host,
    dictionary: Dictionary,
    features: Sequence[int],
    tokens: Tensor,
    prompt: Prompt,
    factor: float,
) -> Tensor:
    """S_out = (1 - r / |V|) max p, (len(features),): p is the next-token distribution when the feature is turned up at
    the prompt's last token, max p the largest probability of its own tokens T in it, r the best rank of T from 0.

    The feature's activation rises by `factor` times the largest activation of any feature at that token; what the
    dictionary does not explain stays as it is. One row of a forward pass a feature. Call on the model thread.

    Args:
        job: Told of the progress.
        host: The model.
        dictionary: Whose features.
        features: Which.
        tokens: T of each, (len(features), tokens).
        prompt: What is read.
        factor: 10 as published.
    """
    block, site = dictionary.gives
    states = next(states for _, states in stream_tokens(host, [prompt], [dictionary.reads], first=True))
    last = states[dictionary.reads][-1:]
    values = dictionary.encode(last).values
    rise = factor * float(values.max() if len(values) else 0.0)
    added = [dictionary.contribution(last, [feature], torch.tensor([[rise]])).float().cpu()[0] for feature in features]
    plans = [_plan(each, block, site) for each in added]
    scores, done = torch.zeros(len(features)), 0
    for read in read_many(job, host, [Given(prompt)], plans):
        rows = list(read.plans)
        chances = torch.softmax(read.logits[:, 0, 0, 0], dim=-1).cpu()
        own = chances.gather(1, tokens[rows])
        best = own.max(dim=1).values
        rank = (chances > best[:, None]).sum(dim=1)
        scores[rows] = (1 - rank / chances.shape[1]) * best
        done += len(rows)
        job.report(done, len(features), "features turned up")
    return scores


def _plan(added: Tensor, block: int, site: Site) -> Plan:
    length = float(added.norm())
    return (Write(Add(added / length, length), block, site, "last"),) if length else ()


def input_scores(reading: FeatureReading, features: Sequence[int], tokens: Tensor) -> Tensor:
    """Of the texts on which a feature is most active (at most 100), the share whose most active token is one of its own
    tokens T, (len(features),); NaN where it is active on fewer than 10.

    Args:
        reading: Of somebody's own texts.
        features: Which.
        tokens: T of each, (len(features), tokens).
    """
    scores = torch.full((len(features),), torch.nan)
    ids = reading.tokens.ids
    for row, feature in enumerate(features):
        places = strongest(reading, feature, MOST_TEXTS)
        if len(places) >= LEAST_TEXTS:
            scores[row] = torch.isin(ids[places], tokens[row]).double().mean()
    return scores


def strongest(reading: FeatureReading, feature: int, n: int) -> Tensor:
    """The tokens at which a feature is most active, one a text, the most active first, (at most n,)."""
    active = reading.activations
    own = (active.features == feature).nonzero()[:, 0]
    order = own[active.values[own].argsort(descending=True)]
    places = active.tokens[order]
    texts = reading.tokens.text[places].tolist()
    first = {text: index for index, text in reversed(list(enumerate(texts)))}
    return places[sorted(first.values())[:n]]
