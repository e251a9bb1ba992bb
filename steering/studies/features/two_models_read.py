"""The same texts read by two models and encoded by one dictionary: firing and activation, text by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix

from steering.confines import check_model
from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.normed import on_model
from steering.errors import SteeringError
from steering.lane import Job
from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.names import short_name
from steering.statistics import Estimate
from steering.studies.features.pooled import pooled
from steering.studies.features.reading import FeatureReading, Tokens, read_features
from steering.studies.features.streams import stream_tokens
from steering.studies.features.sums import Sums, draws, estimate
from steering.studies.features.telling import Sides, against_chance


BASES = {"demo": "demo-helpful", "demo-natural": "demo-helpful", "demo-drifted": "demo", "demo-backdoored": "demo"}
"""Which demo model each was tuned from."""


def other_model(host: Host, reference: str, dictionary: Dictionary) -> Host:
    """The model that this one was tuned from, loaded on the same lane. Call on the model thread.

    Args:
        host: The fine-tune.
        reference: The other's name, folder or Hub id; empty for that of a demo model.
        dictionary: What is to read both.

    Raises:
        SteeringError: None is named, it may not be loaded, or its states cannot stand beside these.
    """
    name = reference.strip() or (BASES.get(short_name(host.name), "") if host.info.demo else "")
    if not name:
        raise SteeringError(
            f"It was not said from which model {host.name} was tuned.",
            "a second model of the same architecture and tokenizer (reference).",
            "Name the model that this one was tuned from.",
        )
    check_model(name)
    other = Host.load(name, lane=host.lane, options=LoadOptions(dtype=host.info.dtype)).under(host.chat)
    mine, its = ((each.info.blocks, each.info.width) for each in (host, other))
    if mine != its:
        raise SteeringError(
            f"{other.name} has {its[0]} blocks of width {its[1]}.",
            f"{mine[0]} of width {mine[1]}, as {host.name} has.",
            "Name the model that this one was tuned from.",
        )
    for place in (dictionary.reads, dictionary.gives):
        other.sites.check_read(place[1], place[0])
    return other


def check_alike(prompts: Sequence[Prompt], others: Sequence[Prompt], host: Host, other: Host) -> None:
    """
    Raises:
        SteeringError: A text has other tokens for the other model, so that there is nothing to pair.
    """
    differing = sum(one.ids != its.ids for one, its in zip(prompts, others, strict=True))
    if differing:
        raise SteeringError(
            f"{differing} of {len(prompts)} texts have other tokens for {other.name} than for {host.name}.",
            "two models with the same tokenizer and chat template, so that features are compared token by token.",
            "Read the texts without a template (kind=plain), or name another model.",
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """What one model makes of the texts."""

    activation: csr_matrix
    """Mean activation over a text's tokens, (text, feature)."""
    firing: csr_matrix
    """Share of its tokens at which a feature is active, (text, feature)."""
    tokens: np.ndarray
    """Of every text, (text,)."""
    fit: Sums


def seen(job: Job[Any], host: Host, prompts: Sequence[Prompt], dictionary: Dictionary, *, first: bool) -> Seen:
    """Read texts, encode them and sum up how well they are given back. Call on the model thread."""
    dictionary = on_model(dictionary, host)
    reading = read_features(host, prompts, dictionary, first=first)
    active = reading.activations
    ones = FeatureReading(reading.tokens, replace(active, values=torch.ones_like(active.values)))
    return Seen(
        activation=pooled(reading, "mean"),
        firing=pooled(ones, "mean"),
        tokens=reading.tokens.offsets.diff().numpy(),
        fit=_fit(job, host, reading.tokens, dictionary, first=first),
    )


def _fit(job: Job[Any], host: Host, tokens: Tokens, dictionary: Dictionary, *, first: bool) -> Sums:
    fit, counts, done = Sums(len(tokens.prompts), dictionary.width_out), tokens.offsets.diff(), 0
    places = list(dict.fromkeys((dictionary.reads, dictionary.gives)))
    for indices, states in stream_tokens(host, tokens.prompts, places, first=first):
        given = dictionary.reconstruct(states[dictionary.reads])
        texts = torch.repeat_interleave(torch.tensor(indices), counts[indices])
        fit.add(texts, states[dictionary.gives], given)
        done += len(indices)
        job.report(done, len(tokens.prompts), "texts given back")
    return fit


@dataclass(frozen=True, eq=False)
class Shift:
    """How one number of every feature differs between two models, the fine-tune's less its base's."""

    before: np.ndarray
    """The base's, the mean over tokens, (feature,)."""
    after: np.ndarray
    """The fine-tune's, (feature,)."""
    p: np.ndarray
    """Corrected for all features that were tested, (feature,); NaN where it is active on no text of either."""
    statistic: np.ndarray
    """Standardised difference, between -1 and 1, (feature,); NaN likewise."""
    pairs: Sides
    weights: np.ndarray
    """Tokens of every text, (text,)."""

    @classmethod
    def of(cls, after: csr_matrix, before: csr_matrix, tokens: np.ndarray, *, permutations: int, seed: int) -> Shift:
        """Compare two models' numbers text by text."""
        pairs = Sides(after, before, paired=True)
        found = against_chance(pairs, permutations=permutations, seed=seed)
        means = [tokens @ each / tokens.sum() for each in (before, after)]
        return cls(means[0], means[1], found.p, found.statistic, pairs, tokens)

    def interval(self, feature: int, *, resamples: int, seed: int) -> Estimate:
        """The difference with its 95 % interval, by bootstrap over texts, both models' readings of a text together."""
        drawn = draws(len(self.weights), resamples, seed) * self.weights
        own = (self.pairs.positive[:, [feature]] - self.pairs.negative[:, [feature]]).toarray()[:, 0]
        return estimate(drawn @ own / drawn.sum(axis=1))
