"""What probes are trained and tested on, whatever is made of it: pairs in folds, their controls, and states of them."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from torch import Tensor

from steering.passes.schedule import Place
from steering.studies.probing.prepared import Prepared, prepare
from steering.studies.probing.settings import ProbeSettings
from steering.studies.probing.states import States, StatesHere
from steering.texts.negation import marked, marked_elsewhere, negations
from steering.texts.statements import StatementPair


class Sample:
    """Pairs of statements with their states, which whoever probes them reads."""

    states: States | StatesHere | None

    def __init__(
        self,
        settings: ProbeSettings,
        pairs: tuple[StatementPair, ...],
        fold: np.ndarray,
        states: StatesHere | None = None,
    ) -> None:
        """Take pairs.

        Args:
            settings: What to probe.
            pairs: The pairs that are probed.
            fold: The fold of each, (pair,).
            states: Those that are known of their texts and of the controls'.
        """
        self.settings, self.pairs, self.fold, self.states = settings, pairs, fold, states

    @cached_property
    def texts(self) -> list[str]:
        """Statements, safe and harmful in turn."""
        return [text for pair in self.pairs for text in (pair.safe, pair.harmful)]

    @cached_property
    def harmful(self) -> np.ndarray:
        """Boolean, (statement,)."""
        return np.arange(len(self.texts)) % 2 == 1

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

    def prepared(self, place: Place, texts: list[str] | None = None) -> Prepared:
        """States at a place, scaled and centred."""
        assert self.states is not None
        no, yes = self.states.at(texts or self.texts, *place)
        return prepare(no, yes, self.fold, l2=self.settings.l2, centring=self.settings.centring)

    def raw(self, place: Place) -> tuple[Tensor, Tensor]:
        """States with "No" and with "Yes" as they were read, (statement, width) each."""
        assert self.states is not None
        return self.states.at(self.texts, *place)
