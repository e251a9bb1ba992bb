"""How much a trade-off will read: at most, from its settings alone, or what is missing of it."""

from __future__ import annotations

from collections.abc import Mapping

from steering.lane import Stopped
from steering.model.host import Host
from steering.recipes.nats import calibration_prompts, replied, search_ahead
from steering.store import Kept
from steering.studies.size import Size, Work
from steering.studies.tradeoff.comparison import Comparison
from steering.studies.tradeoff.further import OWN_REPLIES
from steering.studies.tradeoff.measures import MEASURES
from steering.studies.tradeoff.random_floor import floor_strengths
from steering.studies.tradeoff.readings import BATCH
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.vectors.vector import SteeringVector


_TOKENS = {"pairs": 60, "whole_pairs": 60, "letters": 60, "choice": 45, "raw": 45, "accuracy": 45}
"""Of a usual item."""
_SHARES = 11
_OWN_TOKENS = 50
_PATIENCE = 15.0
"""Seconds for which what is kept is counted; rather than wait longer, all that a run might do is told."""


def size_of(host: Host, settings: TradeoffSettings, vectors: Mapping[str, SteeringVector] | None = None) -> Size:
    """What a run reads at most, without touching the model.

    Raises:
        SteeringError: Strengths that are not in order, or nothing says on what alignment is measured.
    """
    settings = settings.on(host, vectors)
    strengths = len(settings.sweep)
    swept = {
        "pca": strengths,
        "affine": strengths,
        "shuffled": strengths,
        "trained": strengths,
        "ablation": min(_SHARES, strengths),
    }
    curves = [strengths] * len(settings.recipes)
    beside = {"examples": 2 * settings.examples, "best_of": 0}
    curves += [swept.get(key, beside.get(key, 2)) for key in settings.compare]
    main, floor = sum(curves), settings.random * len(floor_strengths(settings.sweep))
    works = [Work("readings", OWN_REPLIES * main, _OWN_TOKENS)]
    for name in (settings.alignment_by, settings.helpfulness):
        works.append(_work(settings, name, main + floor))
    further = {MEASURES[name].items: name for name in settings.also if name in MEASURES and name != "perplexity"}
    works += [_work(settings, name, main) for name in further.values()]
    if "trained" in settings.compare:
        works.append(Work("steps", settings.train_steps, _OWN_TOKENS))
    return Size(tuple(works), keeps=True, beside=search_ahead(settings.recipes))


def size_ahead(host: Host, settings: TradeoffSettings, kept: Kept, vectors: Mapping[str, SteeringVector]) -> Size:
    """What a run reads, and how much of that is kept from before.

    It is counted on the model thread, where that is near and idle and everything is at hand that the items and curves
    are made of; else it is what a run reads at most.

    Raises:
        SteeringError: As `size_of`, and whatever a run would say before it reads anything.
    """
    most = size_of(host, settings, vectors)
    idle = host.lane.near and not host.lane.jobs()
    if not idle or not _at_hand(host.under(settings.chat or settings.recipes[0].chat), settings, vectors):
        return most
    found = Comparison(host, settings, kept, vectors)
    job = host.submit(lambda job: found.size(), title="Counting what is kept")
    try:
        return job.result(timeout=_PATIENCE)
    except (TimeoutError, Stopped):
        job.stop()
        return most


def _work(settings: TradeoffSettings, name: str, treatments: int) -> Work:
    if name in _TOKENS:
        return Work("readings", settings.n * treatments, _TOKENS[name])
    samples = settings.best_of if "best_of" in settings.compare else 0
    return Work("replies", settings.n_replies * (treatments + samples), settings.reply_tokens, batch=BATCH)


def _at_hand(host: Host, settings: TradeoffSettings, vectors: Mapping[str, SteeringVector]) -> bool:
    """Whether nothing has to be computed to know what is read: no vectors, strengths in nats, replies or judges."""
    named = {name for recipe in settings.recipes for name in recipe.vectors}
    nats = any(each.unit == "nats" for recipe in settings.recipes for each in recipe.interventions)
    anew = bool({"pca", "shuffled", "trained"} & set(settings.compare)) or (
        settings.alignment_by == "judged" and settings.classifier
    )
    replies = host.info.demo or replied(host, calibration_prompts()[:OWN_REPLIES])
    return named <= set(vectors) and not nats and not anew and replies
