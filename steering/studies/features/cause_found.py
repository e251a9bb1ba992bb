"""What features cause, from the prompts to the effects: read, choose, draw random ones, change, measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.edits import switched_off
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.ranges import compact
from steering.studies.features.attribution import Shares, read_shares
from steering.studies.features.attribution_logits import LogitDifference, found_difference
from steering.studies.features.cause_changes import Change, Done, changes, singles
from steering.studies.features.cause_draws import Draw, draws
from steering.studies.features.cause_effects import Effect, rated, read_differences, speak
from steering.studies.features.cause_plans import off_plan, up_plan
from steering.studies.features.cause_settings import CauseSettings
from steering.studies.features.placement import Placement, placement
from steering.studies.features.pooled import maxima
from steering.studies.features.reading import read_features
from steering.studies.refusal.groups import Group
from steering.studies.refusal.outcomes import Rates
from steering.studies.refusal.requests import Requests, Sides, load_requests
from steering.writes.interventions import Plan


TYPICAL = 0.995
"""Share of a feature's activations, where it is active, that lie under its typical maximum."""


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of every feature from the training prompts, (feature,) each."""

    activity: Tensor
    """Mean length that it adds to a token of target prompts, raw."""
    rate: Tensor
    """Share of these tokens at which it is active."""
    maximum: Tensor
    """Typical maximum: 99.5th percentile of its activation where it is active, on both kinds of prompts; 0 where it
    never is.
    """
    score: Tensor
    """What it adds to the logit difference of a target prompt, to first order and at all tokens, logits."""


@dataclass(frozen=True)
class Foretold:
    """One feature alone: what two first-order readings say of its change, and what it does, logits, (prompt,)."""

    change: Change
    direct: np.ndarray
    whole: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True, eq=False)
class Found:
    """Everything that was found."""

    host: Host
    settings: CauseSettings
    dictionary: Dictionary
    requests: Requests
    place: Placement
    difference: LogitDifference
    known: Known
    chosen: tuple[int, ...]
    random: tuple[Draw, ...]
    effects: Mapping[Done, Sequence[Effect]]
    """Of switching off, on target prompts, and of turning up, on control ones; nothing changed first."""
    foretold: Mapping[Done, Sequence[Foretold]]
    other: Mapping[Done, np.ndarray]
    """The logit difference of the other kind's prompts, unchanged, (prompt,): where switching off would end."""


def find(job: Job[Any], host: Host, settings: CauseSettings, dictionary: Dictionary) -> Found:
    """Go through all steps. Call on the model thread.

    Raises:
        SteeringError: Prompts that cannot be read, a dictionary that does not belong there, features that it does not
            have or that are never active, or no token by which both kinds differ.
    """
    switched_off(dictionary, settings.features or (0,))  # before anything is read: a feature that it does not have
    requests = requests_of(host, settings)
    target, control = _groups(host, requests, requests.train, settings)
    place = placement(host, dictionary, [*target.read, *control.read])
    if settings.check_place:
        place.check()
    job.report(0, None, "first tokens of replies")
    difference = found_difference(
        host,
        target.read,
        control.read,
        toward=settings.toward,
        against=settings.against,
        refusal=settings.behaviour == "refusal",
    )
    seen = read_features(host, [*target.read, *control.read], dictionary)
    known = known_of(read_shares(job, host, dictionary, target.read, difference), maxima(seen.activations, TYPICAL))
    chosen = settings.features or likeliest(known.score, settings.n_features)
    check_chosen(dictionary, chosen, known, settings)
    random = tuple(draws(known.activity, chosen, settings.random_sets, seed=settings.seed))
    found = _Measured(job, host, settings, dictionary, difference, known, chosen, random)
    tests = dict(zip(("off", "up"), _groups(host, requests, requests.test, settings), strict=True))
    for done, wanted in changes(settings.do, chosen, random).items():
        found.measure(done, tests[done], wanted)
    plain = {done: read_differences(job, host, group.read, [()], difference)[0] for done, group in tests.items()}
    other: dict[Done, np.ndarray] = {"off": plain["up"], "up": plain["off"]}
    return Found(
        host,
        settings,
        dictionary,
        requests,
        place,
        difference,
        known,
        chosen,
        random,
        found.effects,
        found.foretold,
        other,
    )


def requests_of(host: Host, settings: CauseSettings) -> Requests:
    """The prompts that the settings name.

    Raises:
        SteeringError: As `load_requests`.
    """
    return load_requests(
        host,
        data=settings.data,
        target=settings.target,
        control=settings.control,
        column=settings.column,
        sizes=(settings.n_train, 2, settings.n_test),
        seed=settings.seed,
    )


def _groups(host: Host, requests: Requests, sides: Sides, settings: CauseSettings) -> tuple[Group, Group]:
    return (
        Group.of(host, requests.target_label, sides.target, settings.system, target=settings.behaviour == "refusal"),
        Group.of(host, requests.control_label, sides.control, settings.system),
    )


def known_of(target: Shares, maximum: np.ndarray) -> Known:
    """What the training prompts say of every feature."""
    ones = torch.ones(len(target.features))
    return Known(
        activity=target.total(target.lengths) / target.tokens,
        rate=target.total(ones) / target.tokens,
        maximum=torch.from_numpy(maximum),
        score=target.total(target.whole) / len(target.values),
    )


def likeliest(score: Tensor, n: int) -> tuple[int, ...]:
    """The features with the highest scores that are above 0, highest first.

    Raises:
        SteeringError: There is none.
    """
    order = score.argsort(descending=True)[:n].tolist()
    found = tuple(feature for feature in order if score[feature] > 0)
    if not found:
        raise SteeringError(
            "No feature adds anything to the logit difference of target prompts.",
            "a dictionary with features that the output depends on.",
            "Take a dictionary of another block, or other prompts.",
        )
    return found


def moving(dictionary: Dictionary, features: Sequence[int], known: Known) -> list[int]:
    """Those of some features that are ever active and then add anything."""
    lengths = dictionary.decoder(features).norm(dim=-1).tolist()
    return [feature for feature, length in zip(features, lengths, strict=True) if known.maximum[feature] * length > 0]


def check_chosen(dictionary: Dictionary, chosen: Sequence[int], known: Known, settings: CauseSettings) -> None:
    """
    Raises:
        SteeringError: None of them is active on what was read, or not all where they are to be turned up.
    """
    silent = sorted({*chosen} - {*moving(dictionary, chosen, known)})
    if len(silent) == len(chosen) or (silent and settings.do != "off"):
        raise SteeringError(
            f"The features {compact(silent)} are active at no token of the training prompts.",
            "features that are active on prompts of the two kinds: others have no typical maximum to be turned up to, "
            "and switching them off changes nothing.",
            "Choose other features or prompts.",
        )


class _Measured:
    """Measures changes of one direction after the other."""

    def __init__(
        self,
        job: Job[Any],
        host: Host,
        settings: CauseSettings,
        dictionary: Dictionary,
        difference: LogitDifference,
        known: Known,
        chosen: Sequence[int],
        random: Sequence[Draw],
    ) -> None:
        self._job, self._host, self._settings, self._dictionary = job, host, settings, dictionary
        self._difference, self._known, self._chosen, self._random = difference, known, chosen, random
        self.effects: dict[Done, list[Effect]] = {}
        self.foretold: dict[Done, list[Foretold]] = {}

    def measure(self, done: Done, group: Group, wanted: Sequence[Change]) -> None:
        """Every change on one kind of prompts, and what was foretold of single features."""
        further = singles(self._chosen, self._random, done)
        plans = [self._plan(change) for change in (*wanted, *further)]
        values = read_differences(self._job, self._host, group.read, plans, self._difference)
        rates: Sequence[Rates | None] = [None] * len(wanted)
        if self._settings.behaviour == "refusal":
            asked = [n for n, change in enumerate(wanted) if self._settings.each or not change.alone]
            replies = speak(self._job, self._host, group, [plans[n] for n in asked], self._settings.reply_tokens)
            judged = dict(zip(asked, rated(group, [wanted[n] for n in asked], replies), strict=True))
            rates = [judged.get(n) for n in range(len(wanted))]
        self.effects[done] = [
            Effect(change, group.name, own, rate)
            for change, own, rate in zip(wanted, values[: len(wanted)], rates, strict=True)
        ]
        alone = [
            (change, own) for change, own in zip((*wanted, *further), values, strict=True) if len(change.features) == 1
        ]
        self.foretold[done] = self._foretold(done, group, alone, values[0])

    def _foretold(
        self, done: Done, group: Group, alone: Sequence[tuple[Change, np.ndarray]], before: np.ndarray
    ) -> list[Foretold]:
        shares = read_shares(self._job, self._host, self._dictionary, group.read, self._difference)
        features = [change.features[0] for change, _ in alone]
        if done == "off":
            direct, whole = (-shares.by_prompt(of, features) for of in (shares.direct, shares.whole))
        else:
            added = torch.stack([self._added(change) for change, _ in alone]).double()
            direct, whole = shares.ends.double() @ added.T, shares.slopes.double() @ added.T
        return [
            Foretold(change, direct[:, n].numpy(), whole[:, n].numpy(), own - before)
            for n, (change, own) in enumerate(alone)
        ]

    def _plan(self, change: Change) -> Plan:
        if change.done == "none":
            return ()
        if change.done == "off":
            return off_plan(self._dictionary, change.features)
        return up_plan(self._dictionary, self._added(change))

    def _added(self, change: Change) -> Tensor:
        """What turning up adds to every token, (width,): each feature as far as the chosen one that it stands for."""
        rows = self._dictionary.decoder(change.features).cpu()
        own = self._dictionary.decoder(change.stands_for).cpu().norm(dim=-1)
        lengths = self._settings.times * self._known.maximum[list(change.stands_for)].float() * own
        return (lengths / rows.norm(dim=-1)) @ rows
