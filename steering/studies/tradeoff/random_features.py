"""What a feature that is switched off or scaled is held against: random features of equal activity, changed alike.

A random direction of equal norm says what a push of that size does. Switching a feature off pushes nothing where it is
not active, so it is held against features that add as much to the states of the same texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from steering.dictionaries.normed import on_model
from steering.extraction.features import vector_of_feature
from steering.model.host import Host
from steering.model.prompts import render
from steering.numbers import counted
from steering.recipes.features import dictionary_of, feature_of
from steering.recipes.recipe import Intervention
from steering.studies.features.cause_draws import RULE, activity_of, draws
from steering.studies.features.pooled import maxima
from steering.studies.features.reading import read_features, within_context
from steering.texts.questions import Pair
from steering.vectors.feature import PERCENTILE
from steering.vectors.vector import SteeringVector


MODES_ALIKE = ("feature_off", "feature_scale")
"""Modes whose strength is no length: what they do hangs on how active their features are."""


def random_features(
    host: Host,
    intervention: Intervention,
    vectors: Mapping[str, SteeringVector],
    pairs: Sequence[Pair],
    n: int,
    *,
    seed: int,
) -> tuple[list[tuple[SteeringVector, ...]], str]:
    """Sets of random features, each in the order of the intervention's own, and what to know of them.

    Args:
        host: The model.
        intervention: Which features are changed.
        vectors: By name, the intervention's among them.
        pairs: On whose prompts activity is read.
        n: How many sets.
        seed: Of the draws.

    Raises:
        SteeringError: Too few other features are active on those prompts.
    """
    own = [feature_of(vectors[name]) for name in intervention.names]
    dictionary = on_model(dictionary_of(vectors[intervention.vector]), host)
    prompts, _ = within_context(host, [render(host, pair.messages) for pair in pairs])
    reading = read_features(host, prompts, dictionary)
    active = reading.activations
    lengths = active.values.abs() * dictionary.decoder(range(dictionary.n_features)).norm(dim=-1).cpu()[active.features]
    activity = activity_of(active.features, lengths, len(reading.tokens), dictionary.n_features)
    typical, read_on = maxima(active, PERCENTILE / 100), f"{counted(len(prompts), 'prompt')} of the answer pairs"
    sets, ratios = [], []
    for draw in draws(activity, [feature.index for feature in own], n, seed=seed):
        made = (
            vector_of_feature(host, dictionary, feature, maximum=float(typical[feature]), read_on=read_on)
            for feature in draw.features
        )
        sets.append(tuple(_random(vector, draw.number, seed) for vector in made))
        ratios.append(draw.ratio)
    return sets, (
        f"Random features instead of random directions: {RULE.replace('target prompts', read_on)}. Their activity is "
        f"{min(ratios):.2f} to {max(ratios):.2f} times that of the features."
    )


def _random(vector: SteeringVector, number: int, seed: int) -> SteeringVector:
    """Marked as random, so that it is left with the run."""
    name = f"random {number}: {vector.name}"
    return replace(vector, name=name, provenance=replace(vector.provenance, method="random", seed=seed))
