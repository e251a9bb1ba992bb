"""Looking for features by contrast set, prompt, vector and number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt, conversation, render, render_text
from steering.numbers import counted
from steering.studies.features.decomposition import by_chance, decompose
from steering.studies.features.found import (
    BY_CONTRAST,
    BY_NUMBER,
    BY_PROMPT,
    BY_VECTOR,
    Found,
    Made,
    Prompted,
    chosen_of,
)
from steering.studies.features.placement import Placement, placement
from steering.studies.features.pooled import pooled
from steering.studies.features.random_dictionary import RandomDictionary
from steering.studies.features.reading import FeatureReading, read_features, within_context
from steering.studies.features.settings import FeaturesSettings
from steering.studies.features.sources import Sources
from steering.studies.features.streams import made_of
from steering.studies.features.telling import Sides, Told, splits_of, tell_apart
from steering.studies.study import Result


_RANDOM = 20
"""Random vectors that are taken apart beside a vector."""


def find(
    host: Host, dictionary: Dictionary, sources: Sources, settings: FeaturesSettings, job: Job[Result]
) -> tuple[Found, Placement, tuple[str, ...]]:
    """Everything that the settings ask for, and what to know of it.

    Raises:
        SteeringError: The dictionary fits another place better, a feature that it does not have, a vector that does not
            fit the model, or texts that cannot be read.
    """
    _check_features(dictionary, settings)
    lengths, directions = _directions(dictionary)
    made = _made(host, dictionary, directions, settings) if settings.vector else None
    prompted = _prompted(host, dictionary, lengths, settings) if settings.prompt.strip() else None
    prompts, cut = within_context(host, sources.rendered(host, settings.kind))
    place = placement(host, dictionary, prompts, first=settings.first_token)
    if settings.check_place:
        place.check()
    reading = read_features(host, prompts, dictionary, first=settings.first_token)
    told = _told(sources, reading, settings) if sources.contrast is not None else None
    floor = None
    if sources.contrast is not None and settings.beside_random:
        floor = _told(sources, _random(job, host, dictionary, prompts, reading, settings), settings)
    job.check()
    ways = {
        BY_NUMBER: settings.features,
        BY_CONTRAST: told.best(settings.n) if told else (),
        BY_VECTOR: made.best(settings.n) if made else (),
        BY_PROMPT: prompted.best(settings.n) if prompted else (),
    }
    found = Found(dictionary, sources, reading, directions, told, floor, made, prompted, chosen_of(ways))
    return found, place, cut


def _check_features(dictionary: Dictionary, settings: FeaturesSettings) -> None:
    wrong = [each for each in settings.features if each >= dictionary.n_features]
    if wrong:
        raise SteeringError(
            f"Feature {wrong[0]} of '{dictionary.name}' was asked for.",
            f"a number from 0 to {dictionary.n_features - 1}.",
            "Features are counted from 0; choose one of them.",
        )


def _directions(dictionary: Dictionary) -> tuple[Tensor, Tensor]:
    """Lengths of all decoder rows, (feature,), and the rows at unit length, (feature, width), on the CPU."""
    rows = dictionary.decoder(torch.arange(dictionary.n_features)).cpu()
    lengths = rows.norm(dim=-1)
    return lengths, rows / lengths.clamp(min=1e-12)[:, None]


def _told(sources: Sources, reading: FeatureReading, settings: FeaturesSettings) -> Told:
    contrast = sources.contrast
    assert contrast is not None
    activations = pooled(reading, settings.pool)
    train, held_out, note = splits_of(contrast, settings.texts_n)
    return tell_apart(
        _sides(sources, activations, train.tolist()),
        _sides(sources, activations, held_out.tolist()),
        permutations=settings.permutations,
        seed=settings.seed,
        note=note,
    )


def _random(
    job: Job[Result],
    host: Host,
    dictionary: Dictionary,
    prompts: Sequence[Prompt],
    reading: FeatureReading,
    settings: FeaturesSettings,
) -> FeatureReading:
    """As many random directions as there are features on the same texts, as many of them active at a token."""
    first = settings.first_token
    sums = made_of(
        job, host, prompts, dictionary, lambda states, _: states.sum(dim=0).cpu(), first=first, what="texts read"
    )
    mean = torch.stack([each for _, each in sums]).sum(dim=0) / len(reading.tokens)
    active = round(float(reading.activations.counts.double().mean()))
    random = RandomDictionary.drawn(
        n_features=dictionary.n_features, active=active, seed=settings.seed, means=(mean, mean)
    )
    return read_features(host, prompts, dictionary, first=first, encode=lambda states, _: random.given_back(states)[0])


def _sum(states: Tensor, counts: Tensor) -> Tensor:
    return states.sum(dim=0).cpu()


def _sides(sources: Sources, activations: csr_matrix, wanted: Sequence[bool]) -> Sides:
    """Some of a contrast set's texts, which come before all others, side by side."""
    contrast = sources.contrast
    assert contrast is not None
    both = {
        side: [index for index, keep in enumerate(wanted) if keep and sources.texts[index].side == side]
        for side in ("positive", "negative")
    }
    return Sides(activations[both["positive"]], activations[both["negative"]], contrast.paired)


def _made(host: Host, dictionary: Dictionary, directions: Tensor, settings: FeaturesSettings) -> Made:
    vector = settings.vector_named(host, settings.vector)
    block, _ = dictionary.gives
    direction = vector.directions[block].float()
    parts = decompose(direction, directions, settings.parts)
    chance = by_chance(directions, settings.parts, draws=_RANDOM, seed=settings.seed)
    return Made(vector, direction / direction.norm(), parts, directions @ direction, chance)


def _prompted(host: Host, dictionary: Dictionary, lengths: Tensor, settings: FeaturesSettings) -> Prompted:
    if settings.kind == "chat":
        prompt = render(host, conversation(settings.prompt, settings.system))
    else:
        prompt = render_text(host, settings.prompt)
    (prompt,), _ = within_context(host, [prompt])
    return Prompted(read_features(host, [prompt], dictionary, first=settings.first_token), lengths)


def texts_words(sources: Sources) -> str:
    """The texts that were read, in words, as a vector's record says them."""
    named = [f"'{sources.contrast.name}'"] if sources.contrast else []
    listed = sum(not each.side for each in sources.texts)
    return " and ".join([*named, *([counted(listed, "text") + " of a list"] if listed else [])])
