"""One inquiry into a model's refusal, from the requests to the effects: what it has found so far, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from steering.demo.planted import planted_vector
from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.prompts import conversation
from steering.recipes.recipe import Intervention, Recipe
from steering.store import Kept, kept_in
from steering.studies.refusal import findings
from steering.studies.refusal.arms import NONE, REFUSAL, Arms
from steering.studies.refusal.candidates import Candidate, Directions
from steering.studies.refusal.location import (
    Drift,
    Projection,
    Surrogate,
    TwoProbes,
    drift,
    projections,
    surrogate,
    two_probes,
)
from steering.studies.refusal.outcomes import Cost, Rates
from steering.studies.refusal.phases import (
    Prepared,
    compare,
    directions_of,
    effects_of,
    groups_of,
    prepare,
    screen,
    without_direction,
)
from steering.studies.refusal.replies import Said
from steering.studies.refusal.requests import read_prompts_of
from steering.studies.refusal.rules import Choice, Score, choose
from steering.studies.refusal.second import second_judge
from steering.studies.refusal.settings import RefusalSettings
from steering.studies.refusal.size import STEPS, note_step_done
from steering.vectors.vector import SteeringVector


Part = Literal["requests", "choice", "effects", "place"]
"""What a note is about."""
SHOWN_PROMPTS = 2
"""Test requests of each kind whose projections are shown."""
RECIPE = Recipe(interventions=(Intervention(vector=REFUSAL, mode="ablate", blocks="everywhere"),))
"""Directional ablation, as the study sends it to other panels and writes it to a file."""


@dataclass(frozen=True, eq=False)
class Place:
    """Where refusal lives."""

    projections: tuple[Projection, ...]
    """Empty without a direction."""
    probes: TwoProbes | None
    """None without a direction."""
    asked: tuple[Said, ...]
    """The unedited model's replies, which the probes and the surrogate are about."""
    surrogate: Surrogate
    drift: Drift | None
    """None without a reference."""


class Inquiry:
    """Runs the steps in order; each goes through what is before it, which is quick where it has been kept.

    Every method that takes a job runs on the model thread and yields whenever there is something new to show.
    """

    def __init__(self, host: Host, settings: RefusalSettings, kept: Kept | None = None) -> None:
        """Begin with nothing found.

        Args:
            host: The model.
            settings: What to do.
            kept: Where finished parts are; what the settings say where None.

        Raises:
            SteeringError: The settings name a file that cannot be written, or a second judge that they allow too few
                calls.
        """
        self.host, self.settings = host.under(settings.chat), settings
        self.kept = kept_in(settings.kept) if kept is None else kept
        self._second = second_judge(settings, self.kept)
        self.prepared: Prepared | None = None
        self.directions: Directions | None = None
        self.scores: dict[Candidate, Score] = {}
        self.choice: Choice | None = None
        self.rates: list[Rates] = []
        self.costs: list[Cost] = []
        self.place: Place | None = None
        self.vectors: dict[str, SteeringVector] = {}
        self._notes: list[str] = []

    def run(self, job: Job[Any]) -> Iterator[None]:
        """Everything up to where the settings say."""
        began = time.monotonic()
        for until, step in zip(STEPS, (self.prepare, self.screen, self.measure), strict=True):
            yield from step(job)
            found = self.prepared.tokens.chosen if self.prepared else ()
            seconds = time.monotonic() - began
            note_step_done(self.host, self.settings, self.kept, until, found=found, seconds=seconds)
            if self.settings.until == until:
                return

    def prepare(self, job: Job[Any]) -> Iterator[None]:
        """Step 1: requests and refusal tokens."""
        if self._second:
            self._second.try_out()
        self.prepared = prepare(self.host, self.settings, job, self.kept)
        yield

    def screen(self, job: Job[Any]) -> Iterator[None]:
        """Step 2: candidates, scored, and one of them chosen. Nothing where step 1 met an obstacle."""
        assert self.prepared is not None
        if self.prepared.obstacle:
            return
        self.directions = directions_of(self.host, self.prepared)
        for score in screen(self.host, self.settings, self.prepared, self.directions, job, self.kept):
            self.scores[score.candidate] = score
            yield
        self.choice = self._choose()
        self.vectors[REFUSAL] = self.directions.vector(self.choice.score.candidate, REFUSAL)
        yield

    def measure(self, job: Job[Any]) -> Iterator[None]:
        """Step 3: what every intervention does, and where refusal lives; without a direction the model as it is."""
        prepared = self.prepared
        assert prepared is not None
        if self.directions is None or self.choice is None:
            arms = without_direction()
            effects = effects_of(self.host, self.settings, prepared, arms, self.kept, self._second)
        else:
            chosen = self.choice.score.candidate
            effects, arms = compare(
                self.host, self.settings, prepared, self.directions, chosen, self.kept, self._second
            )
        self.vectors |= _kept_vectors(arms)
        self._notes += arms.notes
        for found in effects.run(job):
            if isinstance(found, Rates):
                self.rates.append(found)
            else:
                self.costs.append(found)
            yield
        self._notes += effects.notes
        job.report(effects.total, effects.total, "where refusal lives")
        self.place = self._locate(prepared)
        yield

    @property
    def truth(self) -> Mapping[Candidate, float]:
        """Cosine of every candidate with the planted direction, on a demo model that has one; else empty."""
        planted = _planted(self.host)
        if planted is None or self.directions is None:
            return {}
        units = {each: self.directions.unit(each) for each in self.scores}
        return {each: float(unit @ planted.directions[0]) for each, unit in units.items() if unit is not None}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found so far, in plain words."""
        return tuple(dict.fromkeys(note for part in self.notes_by_part.values() for note in part))

    @property
    def notes_by_part(self) -> Mapping[Part, list[str]]:
        """The same by what they are about; empty before the requests are read."""
        if self.prepared is None:
            return {}
        requests, place = self.prepared.requests, self.place
        named = requests.target_label, requests.control_label
        return {
            "requests": [*findings.of_requests(self.prepared), *chat_notes(self.host)],
            "choice": self._of_choice(),
            "effects": [*findings.of_effects(self.rates, self.costs, *named), *self._notes],
            "place": findings.of_location(place.surrogate, place.drift, place.probes) if place else [],
        }

    def _of_choice(self) -> list[str]:
        if self.choice is None:
            return []
        settings = self.settings
        notes = [findings.of_choice(self.choice, settings.rules, settings.by, self.host.info.blocks)]
        cosine = self.truth.get(self.choice.score.candidate)
        if cosine is not None:
            notes.append(f"Its cosine with the planted direction of {self.host.name}: {cosine:.2f}.")
        return notes

    @property
    def said(self) -> list[Said]:
        """Every judged reply."""
        return [said for rates in self.rates for said in rates.said]

    def _choose(self) -> Choice:
        settings, blocks = self.settings, self.host.info.blocks
        choice = choose(list(self.scores.values()), settings.rules, blocks, settings.by)
        if not settings.candidate:
            return choice
        picked = _candidate(settings.candidate, self.scores)
        passes = not picked.reasons(settings.rules, blocks, settings.by)
        return replace(choice, score=picked, passes=passes)

    def _locate(self, prepared: Prepared) -> Place:
        system = bool(self.settings.system.strip())
        groups = [
            each for each in groups_of(self.host, self.settings, prepared.requests, self.kept) if each.system == system
        ]
        prompts = [prompt for group in groups for prompt in group.read]
        asked = tuple(said for each in self.rates if each.arm == NONE and each.system == system for said in each.said)
        vector = self.vectors.get(REFUSAL)
        own = [conversation(text) for text in self.settings.prompts if text.strip()]
        shown = read_prompts_of(self.host, own, self.settings.system, self.kept)
        shown = shown or [prompt for group in groups[:2] for prompt in group.read[:SHOWN_PROMPTS]]
        sides = prepared.requests.test
        target, control = prepared.requests.target_label, prepared.requests.control_label
        sided = tuple([n for n, said in enumerate(asked) if said.group == label] for label in (target, control))
        return Place(
            projections=tuple(projections(self.host, shown, vector)) if vector else (),
            probes=two_probes(self.host, prepared.train, prepared.validation, prompts, sided, vector)  # type: ignore[arg-type]
            if vector
            else None,
            asked=asked,
            surrogate=surrogate(self.host, prompts, [said.refusal for said in asked]),
            drift=drift(self.host, self.settings.reference, sides.target, sides.control, system=self.settings.system)
            if self.settings.reference
            else None,
        )


def _kept_vectors(arms: Arms) -> dict[str, SteeringVector]:
    """Those worth keeping: random ones are made again from their seeds."""
    return {name: vector for name, vector in arms.vectors.items() if not name.startswith("random")}


def _planted(host: Host) -> SteeringVector | None:
    if not host.info.demo:
        return None
    try:
        return planted_vector(host.name)
    except SteeringError:  # only `demo` has one
        return None


def _candidate(text: str, scores: Mapping[Candidate, Score]) -> Score:
    position, _, block = text.partition("/")
    try:
        return scores[Candidate(int(position), int(block))]
    except (ValueError, KeyError):
        known = ", ".join(f"{each.position}/{each.block}" for each in list(scores)[:6])
        raise SteeringError(
            f"The candidate '{text}' was asked for.", f"position/block, one of {known}, …", "Correct it."
        ) from None
