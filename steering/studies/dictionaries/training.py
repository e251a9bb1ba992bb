"""A training from its settings to a folder: texts, states, steps, and what was measured on held-out texts."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.sites import Place, ReadPlace
from steering.names import short_name
from steering.store import digest
from steering.studies.dictionaries.corpus import Corpus, corpus
from steering.studies.dictionaries.course import Course
from steering.studies.dictionaries.folders import Folder, card_of, write_card, written
from steering.studies.dictionaries.learning import Learner, learn
from steering.studies.dictionaries.measuring import measured, measured_random
from steering.studies.dictionaries.settings import TrainingSettings
from steering.studies.dictionaries.states import TokenStates, read_tokens


_BESIDE = {"dictionaries", "name", "source", "chat", "block", "effects", "exclusive"}
"""Settings on which no weight depends, or which stand in what it does: tokens, place and fingerprint."""


@dataclass(frozen=True)
class Plan:
    """Which dictionary is trained."""

    study: str
    kind: str
    """`autoencoder` or `transcoder`."""
    architecture: str
    """As it is trained: `topk`, `batchtopk`, `jumprelu`."""
    reads: ReadPlace
    gives: Place
    rate: float
    learner: Callable[[TokenStates, Course, Any], Learner]
    """From states, and with sae-lens's metadata."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the card and the weights' own configuration say of it."""
        return {"block": self.reads[0], "kind": self.kind, "reads": self.reads[1], "gives": self.gives[1]}

    @property
    def named(self) -> str:
        """How its folder is called behind the model's name."""
        return f"block-{self.reads[0]}-{self.architecture if self.kind == 'autoencoder' else self.kind}"


@dataclass(frozen=True)
class Trained:
    """A dictionary that was trained."""

    card: dict[str, Any]
    """What its folder says of it."""
    folder: Path | None
    """Where it lies; None where it was not kept."""
    notes: tuple[str, ...]


def trained(host: Host, settings: TrainingSettings, plan: Plan, job: Job[Any]) -> Trained:
    """Train a dictionary, or find it finished. Call on the model thread.

    A stop leaves a checkpoint, from which the same training goes on.

    Raises:
        SteeringError: Texts that cannot be read or are too few, a place that cannot be written, or too little memory.
    """
    texts = corpus_of(host, settings)
    key = training_key(plan.study, [host], settings, texts, list(map(list, (plan.reads, plan.gives))))
    wanted = f"{short_name(host.name)}-{plan.named}"
    with folder_for(settings, wanted, key, _bytes(host, settings)) as (folder, place):
        if place is not None and place.finished:
            job.report(1, 1, "found finished")
            return Trained(card_of(place.folder), place.folder, texts.notes)
        check_memory(texts, [host.info.width] * len({plan.reads, plan.gives}), settings)
        card = _train(host, settings, plan, texts, folder, key, place.checkpoint if place else None, job)
    return Trained(card, place.folder if place else None, texts.notes)


def _train(
    host: Host,
    settings: TrainingSettings,
    plan: Plan,
    texts: Corpus,
    folder: Path,
    key: str,
    checkpoint: Path | None,
    job: Job[Any],
) -> dict[str, Any]:
    began, places = time.perf_counter(), tuple(dict.fromkeys((plan.reads, plan.gives)))
    train, held_out = read_both(host, texts, places, job)
    facts = {"model": short_name(host.name), **plan.facts, "dataset": texts.title}
    course = settings.course(plan.rate)
    learner = plan.learner(train, course, _metadata(facts))
    curve = learn(learner, len(train), course, checkpoint=checkpoint, key=key, report=follow(job, course.steps))
    with written(folder):
        learner.save(folder)
    dictionary = load_dictionary(str(folder))  # what is measured is what was saved
    before, behind = ((states.at[plan.reads], states.at[plan.gives]) for states in (train, held_out))
    found = measured(dictionary, behind[0], behind[1], held_out.text, seed=settings.seed)
    random = measured_random(settings.features, found.l0, before, behind, held_out.text, seed=settings.seed)
    card = {
        **facts,
        "width": host.info.width,
        "features": settings.features,
        "held_out": found.plain,
        "random": random.plain,
        "first_token": {"left_out": True, "norm_over_mean": round(train.first_norm[plan.gives], 2)},
        "long_tokens": {"left_out": train.long + held_out.long},
        "trained_on": len(train),
        **how_trained(settings, course.rate, curve),
        "trained_as": plan.architecture,
        "seconds": round(time.perf_counter() - began),
        "training": key,
    }
    write_card(folder, card)
    return card


def how_trained(settings: TrainingSettings, rate: float, curve: list[list[float]]) -> dict[str, Any]:
    """What every card says of a training."""
    return {
        "settings": {"active": settings.active, "steps": settings.steps, "batch": settings.batch, "rate": rate},
        "seed": settings.seed,
        "variance_left": curve,
        "versions": {name: version(name) for name in ("torch", "sae-lens")},
    }


def corpus_of(host: Host, settings: TrainingSettings) -> Corpus:
    """The texts that settings name, as tokens; see `corpus`."""
    same = ("source", "reading", "tokens", "held_out", "features", "seed")
    return corpus(host, **{name: getattr(settings, name) for name in same})


def training_key(
    study: str, hosts: Sequence[Host], settings: TrainingSettings, texts: Corpus, places: Sequence[Any]
) -> str:
    """A digest of all that a training depends on: weights, tokens, place and settings."""
    said = settings.model_dump(
        mode="json", exclude={"dictionaries", "name", "source", "chat", "block", "effects", "exclusive"}
    )
    ids = hashlib.sha256(json.dumps([texts.train, texts.held_out]).encode()).hexdigest()
    return digest("dictionary", study, [fingerprint(host) for host in hosts], said, ids, list(places))


def read_both(host: Host, texts: Corpus, places: Sequence[ReadPlace], job: Job[Any]) -> tuple[TokenStates, TokenStates]:
    """States of the texts to train on, and of the held-out ones."""
    n = len(texts.train) + len(texts.held_out)
    before = len(texts.train)
    train = read_tokens(host, texts.train, places, report=lambda done: job.report(done, n, "texts read"))
    rest = read_tokens(host, texts.held_out, places, report=lambda done: job.report(before + done, n, "texts read"))
    return train, rest


def follow(job: Job[Any], steps: int) -> Callable[[int, float], None]:
    """Tells a job how far a training is."""

    def report(done: int, left: float) -> None:
        job.report(done, steps, f"steps, {100 * left:.1f} % of the variance left")

    return report


@contextmanager
def folder_for(settings: TrainingSettings, wanted: str, key: str, needed: int) -> Iterator[tuple[Path, Folder | None]]:
    """The folder to write into, and its place; a temporary one, and None, where nothing is kept.

    Args:
        settings: Which name the folder of dictionaries and perhaps the name.
        wanted: The name where none is given.
        key: Of the training.
        needed: Bytes of the dictionary.
    """
    if not settings.dictionaries.strip():
        with TemporaryDirectory() as folder:
            yield Path(folder), None
        return
    place = Folder.of(settings.dictionaries, settings.name, wanted, key)
    if place.finished:
        yield place.folder, place
        return
    with place.taken(needed) as fresh:
        yield fresh, place


def _bytes(host: Host, settings: TrainingSettings) -> int:
    return 4 * settings.features * (2 * host.info.width + 2)


def check_memory(texts: Corpus, widths: Sequence[int], settings: TrainingSettings) -> None:
    """Refuse a training whose states and weights do not fit into memory.

    Args:
        texts: As tokens.
        widths: Of the states that are kept of each token.
        settings: Of the training.

    Raises:
        SteeringError: They do not fit.
    """
    tokens = sum(texts.tokens)
    needed = 4 * (tokens * sum(widths) + 8 * settings.features * sum(widths) + 6 * settings.features * settings.batch)
    try:
        room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system that does not say
        return
    if needed > room:
        raise SteeringError(
            f"The training takes {needed / 1e9:,.1f} GB, for the states of {tokens:,} tokens and {settings.features:,} "
            f"features; this machine has {room / 1e9:,.1f} GB of memory in all.",
            "a training that fits.",
            "Allow fewer tokens, ask for fewer features, or make the batch smaller.",
        )


def _metadata(facts: dict[str, Any]) -> Any:
    from sae_lens.saes.sae import SAEMetadata

    reads, gives = (f"block {facts['block']} {facts[end]}" for end in ("reads", "gives"))
    return SAEMetadata(model_name=facts["model"], hook_name=reads, hook_name_out=gives, prepend_bos=True, **facts)
