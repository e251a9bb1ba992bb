"""The study of a crosscoder: two models' states of the same tokens, what they share, and what is one model's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from steering.dictionaries.beside import like
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import Place, site_words
from steering.names import short_name
from steering.studies.dictionaries.corpus import Corpus
from steering.studies.dictionaries.crosscoder_findings import result_of
from steering.studies.dictionaries.crosscoders import ARCHITECTURE, Crosscoder, CrosscoderLearner, load_crosscoder
from steering.studies.dictionaries.exclusive import Exclusive
from steering.studies.dictionaries.folders import Folder, card_of, write_card, written
from steering.studies.dictionaries.learning import learn
from steering.studies.dictionaries.measuring import measured_crosscoder, measured_random
from steering.studies.dictionaries.settings import CrosscoderSettings
from steering.studies.dictionaries.size import size_of
from steering.studies.dictionaries.states import TokenStates, read_together
from steering.studies.dictionaries.training import (
    check_memory,
    corpus_of,
    folder_for,
    follow,
    how_trained,
    training_key,
)
from steering.studies.size import Size
from steering.studies.study import Result


DEMO_BASE = "demo-helpful"
"""The demo model that demo's refusals were added to."""


def crosscoder_size(host: Host, settings: CrosscoderSettings) -> Size:
    """Texts that are read by both models, and steps."""
    return size_of(host, settings, models=2)


def crosscoder(host: Host, settings: CrosscoderSettings, job: Job[Result]) -> Result:
    """Train a crosscoder, or find it finished, and say what is whose.

    Raises:
        SteeringError: No second model, or one of another shape or with other tokens; and as `trained`.
    """
    settings.check()
    host = host.under(settings.chat)
    block = settings.block_of(host)
    place: Place = (block, host.sites.check(settings.site, block))
    hosts = base_of(host, settings, place), host
    texts = corpus_of(host, settings)
    key = training_key("crosscoder", hosts, settings, texts, place)
    wanted = f"{short_name(host.name)}-{short_name(hosts[0].name)}-block-{block}-crosscoder"
    needed = 4 * settings.features * (4 * host.info.width + 1)
    with folder_for(settings, wanted, key, needed) as (folder, kept):
        check_memory(texts, [host.info.width] * 2, settings)
        n = 2 * len(texts.held_out)
        held_out = read_together(
            hosts, texts.held_out, place, report=lambda done: job.report(done, n, "held-out texts read")
        )
        _check_apart(hosts, place, held_out)
        if kept is None or not kept.finished:
            _train(hosts, settings, texts, place, held_out, folder, key, kept, job)
        card, found = card_of(folder), load_crosscoder(folder)
    own = Exclusive(hosts, found, settings, texts.held_out, place, held_out)
    own.measure(job)
    return result_of(host, settings, card, own, kept.folder if kept else None, texts.notes)


def base_of(host: Host, settings: CrosscoderSettings, place: Place) -> Host:
    """The second model, loaded beside the first.

    Raises:
        SteeringError: None was named, it cannot be loaded, or it does not go with the first.
    """
    name = settings.base.strip() or (DEMO_BASE if host.info.demo and host.name != DEMO_BASE else "")
    if not name:
        raise SteeringError(
            "No second model was named.",
            "the model that this one was tuned from.",
            "Name it as base, by name or folder.",
        )
    base = like(host, name, short_name(name), "Name the model that this one was tuned from.")
    base.sites.check(place[1], place[0])
    return base


def _check_apart(hosts: tuple[Host, Host], place: Place, held_out: list[TokenStates]) -> None:
    if torch.equal(held_out[0].at[place], held_out[1].at[place]):
        raise SteeringError(
            f"{short_name(hosts[0].name)} and {short_name(hosts[1].name)} have the same states at block {place[0]}, "
            f"{site_words(place[1])}.",
            "two models that differ there.",
            "Name the model that this one was tuned from, or a later block.",
        )


def _train(
    hosts: tuple[Host, Host],
    settings: CrosscoderSettings,
    texts: Corpus,
    place: Place,
    held_out: list[TokenStates],
    folder: Path,
    key: str,
    kept: Folder | None,
    job: Job[Any],
) -> None:
    """Train, and write weights and card."""
    began, n = time.perf_counter(), 2 * len(texts.train)
    train = read_together(hosts, texts.train, place, report=lambda done: job.report(done, n, "texts read"))
    course = settings.course(settings.rate)
    learner = CrosscoderLearner([each.at[place] for each in train], course, hosts[1].device)
    curve = learn(
        learner,
        len(train[0]),
        course,
        checkpoint=kept.checkpoint if kept else None,
        key=key,
        report=follow(job, course.steps),
    )
    with written(folder):
        learner.save(folder)
    measured = _measured(load_crosscoder(folder), settings, place, train, held_out)  # what was saved
    names = dict(zip(("base", "model"), (short_name(each.name) for each in hosts), strict=True))
    card = {
        **names,
        "block": place[0],
        "kind": ARCHITECTURE,
        "reads": place[1],
        "gives": place[1],
        "dataset": texts.title,
        "width": hosts[1].info.width,
        "features": settings.features,
        **measured,
        "first_token": {
            "left_out": True,
            "norm_over_mean": [round(each.first_norm[place], 2) for each in train],
        },
        "long_tokens": {"left_out": train[0].long + held_out[0].long},
        "trained_on": len(train[0]),
        **how_trained(settings, course.rate, curve),
        "seconds": round(time.perf_counter() - began),
        "training": key,
    }
    write_card(folder, card)


def _measured(
    found: Crosscoder,
    settings: CrosscoderSettings,
    place: Place,
    train: list[TokenStates],
    held_out: list[TokenStates],
) -> dict[str, Any]:
    text, seed = held_out[0].text, settings.seed
    of_both = measured_crosscoder(found, torch.stack([each.at[place] for each in held_out]), text, seed=seed)
    random = [
        measured_random(
            settings.features, each.l0, (one.at[place],) * 2, (other.at[place],) * 2, text, seed=settings.seed
        )
        for each, one, other in zip(of_both, train, held_out, strict=True)
    ]
    return {"held_out": [each.plain for each in of_both], "random": [each.plain for each in random]}
