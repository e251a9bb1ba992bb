"""The study of a dictionary's health on somebody's own texts, before anything else is believed of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.loading import why_read_only
from steering.dictionaries.sparse import SparseActivations
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.numbers import counted, spread
from steering.statistics import Estimate
from steering.studies.features.chosen import dictionary_of, source_of
from steering.studies.features.health_figures import OWN, RANDOM
from steering.studies.features.health_found import BEYOND, DENSE, Health
from steering.studies.features.health_settings import HealthSettings
from steering.studies.features.losses import losses
from steering.studies.features.measuring import Measured, Texts, measured
from steering.studies.features.placement import placement
from steering.studies.features.random_dictionary import RandomDictionary
from steering.studies.features.reading import Tokens, encoded, given_back, within_context
from steering.studies.features.replaced import treatments
from steering.studies.features.sources import Kind, Sources
from steering.studies.features.streams import stream_inputs
from steering.studies.features.sums import Sums, draws, estimate
from steering.studies.size import Size, Work, tokens_of
from steering.studies.study import Result, Study, origin


_NOT_MEASURED = (
    "Explained variance, cosine and loss recovered are not available: one layer's features give a part of what an MLP "
    "gives. What all layers explain together is said above, where their files are there."
)
_NOT_REPLACED = (
    "Loss recovered is not available: nothing is replaced by a dictionary that is read only. Explained variance and "
    "cosine are of the one state that is looked at."
)
_SAMPLE = 2000
"""Tokens by which the random dictionary's factor is found, about."""


def run(host: Host, settings: HealthSettings, job: Job[Result]) -> Result:
    """Look at the place, measure, measure a random one, replace states."""
    host = host.under(settings.chat)
    dictionary, known = dictionary_of(host, settings.dictionary)
    sources = settings.sources(host)
    texts, cut = _texts(host, settings, sources)
    found = health(host, dictionary, texts, settings, job)
    return Result(
        **origin("dictionary_health", host, settings),
        measures=tuple(found.measures()),
        tables=found.tables(),
        headline="health",
        notes=(*findings(found), *known, *sources.notes, *cut, *chat_notes(host)),
    )


def health(host: Host, dictionary: Dictionary, texts: Texts, settings: HealthSettings, job: Job[Result]) -> Health:
    """Everything that a health card says.

    Raises:
        SteeringError: The dictionary fits another place better, unless that is not to be checked.
    """
    first = settings.first_token
    place = placement(host, dictionary, texts.prompts, first=first)
    if settings.check_place:
        place.check()

    def own(states: Tensor, counts: Tensor) -> tuple[SparseActivations, Tensor]:
        if dictionary.why_not_given:
            return encoded(dictionary, states, counts), _unknown(dictionary, states)
        return given_back(dictionary, states, counts)

    of_own = measured(host, dictionary, texts, own, job, first=first, what="tokens encoded")
    random = _random(host, dictionary, texts, of_own, settings)

    def by_chance(states: Tensor, counts: Tensor) -> tuple[SparseActivations, Tensor]:
        active, given = random.given_back(states)
        return active, _unknown(dictionary, states) if dictionary.why_not_given else given

    of_random = measured(
        host, dictionary, texts, by_chance, job, first=first, what="tokens, random", on_given=_on_given(dictionary)
    )
    lost = None
    if settings.loss and not dictionary.read_only:
        given = {
            OWN: dictionary.reconstruct,
            RANDOM: lambda states: random.given_back(states.flatten(0, -2))[1].unflatten(0, states.shape[:-1]),
        }
        plans = treatments(dictionary, given, of_own.gives, first=first)
        lost = losses(host, dictionary, texts, plans, job, first=first)
    both = {OWN: of_own, RANDOM: of_random}
    return Health(dictionary, texts, place, both, lost, random.active, settings.resamples, settings.seed)


def _unknown(dictionary: Dictionary, states: Tensor) -> Tensor:
    """What is given back where that is not known, (token, width)."""
    return states.new_full((len(states), dictionary.width_out), torch.nan)


def _on_given(dictionary: Dictionary) -> bool:
    """Whether random directions are of the state that is looked at: of a crosscoder, one of several that it reads."""
    return bool(dictionary.inputs) and dictionary.layers is None


def _random(
    host: Host, dictionary: Dictionary, texts: Texts, found: Measured, settings: HealthSettings
) -> RandomDictionary:
    """As many random directions, as many of them active; its factor is found on some of the texts."""
    whole = Sums.joined(found.fits.values())
    active = round(float(whole.mean_of("active", draws(texts.n, 0, 0))[0]))
    shared: dict[str, Any] = {"n_features": dictionary.n_features, "active": active, "seed": settings.seed}
    if dictionary.why_not_given:
        return RandomDictionary.drawn(**shared, means=(found.reads, found.reads))
    some = texts.prompts[:: max(1, texts.n_tokens // _SAMPLE)]
    gives, first = dictionary.gives, settings.first_token
    read = list(stream_inputs(host, some, dictionary, also=[gives], first=first))
    targets = torch.cat([states[gives] for _, _, states in read])
    if _on_given(dictionary):
        return RandomDictionary.fitted(targets, targets, **shared, means=(found.gives, found.gives))
    inputs = torch.cat([states for _, states, _ in read])
    return RandomDictionary.fitted(inputs, targets, **shared, means=(found.reads, found.gives))


def _texts(host: Host, settings: HealthSettings, sources: Sources) -> tuple[Texts, tuple[str, ...]]:
    """The texts in every kind, cut to the context."""
    kinds: dict[Kind, Tokens] = {}
    notes: list[str] = []
    for kind in settings.kinds:
        prompts, said = within_context(host, sources.rendered(host, kind))
        kinds[kind] = Tokens.of(prompts, first=settings.first_token)
        notes += said
    return Texts(len(sources.texts), kinds), tuple(dict.fromkeys(notes))


def findings(found: Health) -> Iterator[str]:
    """What was found, in sentences, the most important first."""
    dictionary = found.dictionary
    yield found.placement.says
    for kind in found.kinds:
        yield _of_kind(found, kind)
    if dictionary.read_only:
        yield _NOT_MEASURED if dictionary.why_not_given else _NOT_REPLACED
    if len(found.kinds) > 1 and not dictionary.why_not_given:
        yield _apart(found)
    fired = torch.stack([found.measured[OWN].fired[kind] for kind in found.kinds]).sum(dim=0)
    dead, tokens = int((fired == 0).sum()), found.texts.n_tokens
    dense = int((fired > DENSE * tokens).sum())
    yield (
        f"{counted(dead, 'feature')} of {dictionary.n_features:,} {'is' if dead == 1 else 'are'} active at none of "
        f"{tokens:,} tokens and {dense:,} at more than {100 * DENSE:.0f} % of them. More texts wake more."
    )
    if dictionary.why_not_edited and not dictionary.read_only:
        yield dictionary.why_not_edited


def _of_kind(found: Health, kind: Kind) -> str:
    """What is given back of chat or plain tokens, or at least how many features are active there."""
    dictionary = found.dictionary
    active = estimate(found.fit(OWN, kind).mean_of("active", found.weights)).value
    tokens = f"{'chat' if kind == 'chat' else 'plain'} tokens ({found.fit(OWN, kind).n:,})"
    if dictionary.why_not_given:
        return f"At {tokens} {active:.3g} of {dictionary.n_features:,} features are active, on average."
    own, random = (estimate(found.fit(of, kind).explained(found.weights)) for of in (OWN, RANDOM))
    lost = found.recovered(OWN, kind, "mean")
    back = f" and brings {_percent(lost)} of the loss back that mean states cost" if lost.value == lost.value else ""
    return (
        f"Of {tokens} it explains {_percent(own)} of the variance with {active:.3g} features active{back}; "
        f"{found.active} of {dictionary.n_features:,} random directions explain {_percent(random)}."
    )


def _apart(found: Health) -> str:
    """How much of either kind the dictionary gives back worse than the other kind, which says what it was made for."""
    chat, plain = found.beyond(OWN, "chat"), found.beyond(OWN, "plain")
    return (
        f"{_percent(chat)} of chat tokens have a larger error than {100 * BEYOND:.0f} % of plain ones, and "
        f"{_percent(plain)} of plain tokens a larger one than {100 * BEYOND:.0f} % of chat ones; were both "
        f"alike to the "
        f"dictionary, it would be {100 * (1 - BEYOND):.0f} % each."
    )


def _percent(value: Estimate) -> str:
    return f"{spread(100 * value.value, 100 * value.low, 100 * value.high)} %"


def size_of(host: Host, settings: HealthSettings) -> Size:
    """Readings of every text: twice for the states, once under each treatment.

    Raises:
        SteeringError: There is no such dictionary, or as `sources_of`.
    """
    settings.check(host)
    sources = settings.sources(host)
    length = tokens_of([turn.content for each in sources.texts for turn in each.messages])
    loss = settings.loss and not why_read_only(source_of(host, settings.dictionary))
    times = len(settings.kinds) * (2 + 5 * loss)
    return Size((Work("readings", times * len(sources.texts), length),))


HEALTH = Study(
    name="dictionary_health",
    title="Health of a dictionary",
    summary="What a sparse dictionary gives back of your own texts, beside random directions, and whether it belongs "
    "where it says.",
    settings=HealthSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={"texts_n": 20, "resamples": 200},
    without=frozenset({"decoding steps"}),
)
