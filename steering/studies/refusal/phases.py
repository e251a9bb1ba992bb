"""The study in its steps: requests and tokens, candidates, effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from steering.extraction.provenance import made_here
from steering.judges.classifier import load_classifier
from steering.judges.second import Second
from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.names import short_name
from steering.passes.tail_states import tail_length
from steering.recipes.recipe import Recipe
from steering.store import Kept, digest
from steering.studies.refusal.arms import ARMS, NONE, Arm, Arms, make_arms
from steering.studies.refusal.candidates import Candidate, Directions, read_directions
from steering.studies.refusal.effects import Effects
from steering.studies.refusal.groups import Group
from steering.studies.refusal.requests import Requests, Sides, load_requests, read_prompts_of
from steering.studies.refusal.rules import Score
from steering.studies.refusal.screen import Screen
from steering.studies.refusal.settings import DEFAULT_SYSTEM, RefusalSettings
from steering.studies.refusal.tokens import RefusalTokens, find_tokens, first_masses, token_ids
from steering.texts.system_prompts import takes_system
from steering.vectors.vector import Provenance


_LEAST = {"training": 4, "validation": 2}
_EVEN = 0.5
"""Probability at which log-odds are 0."""
_NUMBERS = ("bypass", "induce", "kl", "cosmic")
Prompts = tuple[list[Prompt], list[Prompt]]
"""Of target and control."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Step 1: what is read, and what a refusal begins with."""

    requests: Requests
    tokens: RefusalTokens
    train: Prompts
    """What directions are means over: target requests that the model refuses, control ones that it answers."""
    validation: Prompts
    tail: int
    """Tokens of the chat template after the user's message."""
    template: bool
    """Whether the model has a chat template."""
    obstacle: str
    """Why no direction can be looked for; empty where one can."""


def prepare(host: Host, settings: RefusalSettings, job: Job[Any], store: Kept | None = None) -> Prepared:
    """Load the requests, find the refusal tokens, and keep what the model refuses and answers as it should.

    Call on the model thread.

    Raises:
        SteeringError: Requests that cannot be read, too few of them, unknown tokens, or a model on which no direction
            can be ablated everywhere, by which candidates are scored.
    """
    host.sites.everywhere()
    job.report(0, None, "reading the requests")
    requests = requests_of(host, settings)
    if settings.both_systems and not takes_system(host):
        said = f"Only without a system prompt: {short_name(host.name)}'s chat template has no place for one."
        requests = replace(requests, notes=(*requests.notes, said))
    train, validation = (
        _prompts(host, sides, settings.system, store) for sides in (requests.train, requests.validation)
    )
    job.report(0, None, "first tokens of replies")
    tokens = find_tokens(host, *train, chosen=token_ids(host, settings.tokens))
    kept = [_as_expected(train, tokens, tokens.masses)]
    kept.append(_as_expected(validation, tokens, [_masses(host, side, tokens) for side in validation]))
    return Prepared(
        requests=requests,
        tokens=tokens,
        train=kept[0],
        validation=kept[1],
        tail=1 if settings.last_only else tail_length([*train[0], *train[1], *validation[0], *validation[1]]),
        template=host.info.chat_template,
        obstacle=_obstacle(requests, tokens, settings, kept),
    )


def requests_of(host: Host, settings: RefusalSettings) -> Requests:
    """The requests that the settings name.

    Raises:
        SteeringError: As `load_requests`.
    """
    return load_requests(
        host,
        data=settings.data,
        target=settings.target,
        control=settings.control,
        borderline=settings.borderline,
        column=settings.column,
        sizes=settings.sizes,
        seed=settings.seed,
    )


def directions_of(host: Host, prepared: Prepared) -> Directions:
    """Step 2, first half: mean differences at every template token and block."""
    return read_directions(host, *prepared.train, prepared.tail, _provenance(host, prepared))


def screen(
    host: Host, settings: RefusalSettings, prepared: Prepared, directions: Directions, job: Job[Any], kept: Kept
) -> Iterator[Score]:
    """Step 2, second half: every candidate's scores; finished ones are kept."""
    identity = [
        fingerprint(host),
        [[prompt.ids for prompt in side] for side in (*prepared.train, *prepared.validation)],
        prepared.tokens.chosen,
    ]
    keys = {each: digest("candidate", identity, each.position, each.block) for each in directions.candidates}
    done = {each: value for each, key in keys.items() if (value := kept.get(key)) is not None}
    known = {each: Score(each, directions.token(each), **value) for each, value in done.items()}
    screening = Screen(host, *prepared.validation, directions, prepared.tokens.chosen)
    for score in screening.scores(job, settings.rules, settings.by, complete=settings.complete, known=known):
        if score.measured and not score.flat and score.candidate not in known:
            kept[keys[score.candidate]] = {name: getattr(score, name) for name in _NUMBERS}
        yield score


def compare(
    host: Host,
    settings: RefusalSettings,
    prepared: Prepared,
    directions: Directions,
    chosen: Candidate,
    kept: Kept,
    second: Second | None = None,
) -> tuple[Effects, Arms]:
    """Step 3: what is to be compared, and the run that compares it."""
    arms = make_arms(
        host,
        directions,
        chosen,
        prepared.train,
        keys=settings.arms,
        share=settings.share,
        count=settings.directions,
        random=settings.random,
    )
    return effects_of(host, settings, prepared, arms, kept, second), arms


def effects_of(
    host: Host,
    settings: RefusalSettings,
    prepared: Prepared,
    arms: Arms,
    kept: Kept,
    second: Second | None = None,
) -> Effects:
    """The run over all interventions."""
    judge = load_classifier(host, settings.classifier, settings.classifier_label) if settings.classifier else None
    return Effects(
        host,
        arms,
        groups_of(host, settings, prepared.requests, kept),
        tokens=prepared.tokens.chosen,
        longest=settings.reply_tokens,
        questions=settings.questions,
        kept=kept,
        judge=judge,
        second=second,
        control=prepared.requests.control_label,
    )


def groups_of(host: Host, settings: RefusalSettings, requests: Requests, kept: Kept) -> list[Group]:
    """The test requests of every kind, under every system prompt that is asked for."""
    systems = [settings.system]
    if settings.both_systems and takes_system(host):
        systems.append("" if settings.system.strip() else DEFAULT_SYSTEM)
    kinds = {
        requests.target_label: requests.test.target,
        requests.control_label: requests.test.control,
        "borderline": requests.borderline,
    }
    return [
        Group.of(host, name, each, system, kept, target=name == requests.target_label)
        for system in systems
        for name, each in kinds.items()
        if each
    ]


def without_direction() -> Arms:
    """No intervention: what is left to measure where there is no direction."""
    return Arms((Arm(NONE, ARMS[NONE], Recipe()),), {})


def _prompts(host: Host, sides: Sides, system: str, kept: Kept | None) -> Prompts:
    target, control = (read_prompts_of(host, side, system, kept) for side in (sides.target, sides.control))
    return target, control


def _masses(host: Host, prompts: Sequence[Prompt], tokens: RefusalTokens) -> list[float]:
    """Total probability of the refusal tokens after every prompt."""
    found: list[float] = first_masses(host, prompts, tokens.chosen).tolist()
    return found


def _as_expected(prompts: Prompts, tokens: RefusalTokens, masses: Sequence[Sequence[float]]) -> Prompts:
    """Target requests whose refusal log-odds are above 0, control ones whose are below; all without tokens."""
    if not tokens.chosen:
        return prompts
    target = [prompt for prompt, mass in zip(prompts[0], masses[0], strict=True) if mass > _EVEN]
    control = [prompt for prompt, mass in zip(prompts[1], masses[1], strict=True) if mass <= _EVEN]
    return target, control


def _obstacle(requests: Requests, tokens: RefusalTokens, settings: RefusalSettings, kept: Sequence[Prompts]) -> str:
    if settings.by == "bypass" and not tokens.chosen:
        return (
            f"{tokens.warning} So no direction can be chosen by bypass. If the model refuses in other words, name its "
            "first tokens, or choose by COSMIC."
        )
    for (what, least), (target, control) in zip(_LEAST.items(), kept, strict=True):
        for prompts, label, does in (
            (target, requests.target_label, "refused"),
            (control, requests.control_label, "answered"),
        ):
            if len(prompts) < least:
                return (
                    f"Only {len(prompts)} {label} {what} requests are {does}, by the refusal tokens; at least {least} "
                    f"are needed. There is too little to take a mean over."
                )
    return ""


def _provenance(host: Host, prepared: Prepared) -> Provenance:
    requests = prepared.requests
    return Provenance(
        method="mean_difference",
        pooling="",  # every candidate fills in its own token
        contrast=requests.name,
        contrast_digest=digest([[prompt.ids for prompt in side] for side in prepared.train])[:12],
        positive_label=requests.target_label,
        negative_label=requests.control_label,
        n_train=(len(prepared.train[0]), len(prepared.train[1])),
        n_validation=(len(prepared.validation[0]), len(prepared.validation[1])),
        seed=0,
        settings={"refusal_tokens": list(prepared.tokens.chosen), "study": "refusal"},
        **made_here(host),
    )
