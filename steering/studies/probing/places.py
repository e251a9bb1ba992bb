"""The probes of some places, trained together: a part that any process works out which is sent their states."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from steering.lane import Job
from steering.model.host import Host
from steering.parts.part import Alone
from steering.passes.schedule import Place
from steering.ranges import compact
from steering.store import Kept
from steering.studies.probing.analysis import lines_at
from steering.studies.probing.block import SHUFFLED_STARTS, AtBlock, Searched, search
from steering.studies.probing.ccs import Training
from steering.studies.probing.prepared import Prepared
from steering.studies.probing.references import REFERENCES, random_verdicts, referred
from steering.studies.probing.sample import Sample
from steering.studies.probing.separation import Separation, separation
from steering.studies.probing.states import States


@dataclass(frozen=True, eq=False)
class Places(Alone):
    """What is found of each: `at`, `lines` and `apart`, as `Found` has them, and the `seconds` that it took."""

    places: tuple[Place, ...]
    sample: Sample
    before: int
    """Places that are done before these."""
    total: int
    """Places in all."""

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Train and test them."""
        began, settings = time.monotonic(), self.sample.settings
        given = [self.sample.prepared(place) for place in self.places]
        ccs, shuffled, *controls = self._searched(job, host, given)
        for index, (place, each) in enumerate(zip(self.places, given, strict=True)):
            job.check()
            others = {name: referred(each, reference) for name, reference in REFERENCES.items()}
            random = random_verdicts(each, settings.random, settings.seed)
            altered = {name: control[index] for name, control in zip(self.sample.altered, controls, strict=True)}
            at = AtBlock(place, ccs[index], shuffled[index], others, random, altered)
            found = {"at": at, "lines": lines_at(self.sample, at), "apart": self._apart(place, each)}
            kept[str(place)] = {**found, "seconds": (time.monotonic() - began) / len(self.places)}
            yield 1

    def pieces(self, host: Host) -> tuple[Places]:
        """Itself."""
        return (self,)

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the states of other places."""
        sample, states = self.sample, self.sample.states
        here = states.only(self.places) if isinstance(states, States) else states
        own = Sample(sample.settings, sample.pairs, sample.fold, here)
        return Places, (self.places, own, self.before, self.total)

    def _searched(self, job: Job[Any], host: Host, given: Sequence[Prepared]) -> list[list[Searched]]:
        """By CCS, by CCS on shuffled pairs, and on the statements of each control."""
        settings, altered = self.sample.settings, self.sample.altered
        training = Training(settings.learning_rate, settings.weight_decay, settings.steps)
        blocks, rounds = compact(block for block, _ in self.places), 2 + len(altered)

        def found(done: int, prepared: Sequence[Prepared], **more: Any) -> list[Searched]:
            def report(step: int) -> None:
                share = self.before + len(self.places) * (done + step / settings.steps) / rounds
                job.report(round(100 * share / self.total), 100, f"% of training, block {blocks}")

            more = {"restarts": settings.restarts, "published": settings.centring == "published", **more}
            return search(prepared, training, seed=settings.seed, device=host.device, report=report, **more)

        return [
            found(0, given),
            found(1, given, shuffled=True, restarts=min(settings.restarts, SHUFFLED_STARTS)),
            *(
                found(2 + index, [self.sample.prepared(place, texts) for place in self.places])
                for index, texts in enumerate(altered.values())
            ),
        ]

    def _apart(self, place: Place, given: Prepared) -> dict[str, Separation]:
        sample, settings = self.sample, self.sample.settings
        (no, yes), more = sample.raw(place), {"aqi_n": settings.aqi_n, "seed": settings.seed}
        return {
            "statement": separation((no + yes) / 2, sample.fold, **more),
            "answer": separation(torch.from_numpy(given.difference(given.folds)), sample.fold, **more),
        }
