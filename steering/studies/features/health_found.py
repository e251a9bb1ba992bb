"""What was found of a dictionary's health, worked out once for tables, measures, figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import get_args

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.statistics import Estimate
from steering.studies.features.health_figures import OWN, RANDOM
from steering.studies.features.losses import CLEAN, Losses
from steering.studies.features.measuring import GROUPS, Group, Measured, Texts
from steering.studies.features.placement import Placement
from steering.studies.features.sources import Kind
from steering.studies.features.sums import Sums, draws, estimate
from steering.studies.measure import Measure


DENSE = 0.1
"""A feature that is active at more than this share of tokens is called dense."""
BEYOND = 0.95
"""Which quantile of one kind's errors the other kind's are held against."""
_EDGES = (0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
_NEVER = "never"
_BINS = (_NEVER, *(f"{100 * low:g} to {100 * high:g} %" for low, high in pairwise(_EDGES)))
ABLATED = ("mean", "zeros")
_NAN = Estimate(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class Health:
    """A dictionary and a random one on the same texts."""

    dictionary: Dictionary
    texts: Texts
    placement: Placement
    measured: Mapping[str, Measured]
    """Of `OWN` and `RANDOM`."""
    losses: Losses | None
    active: int
    """Features that the random dictionary uses for a token."""
    resamples: int
    seed: int

    @cached_property
    def weights(self) -> np.ndarray:
        """Draws of texts; texts of both kinds are drawn together."""
        return draws(self.texts.n, self.resamples, self.seed)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """How the texts were read."""
        return tuple(self.texts.kinds)

    def groups(self, row: str) -> tuple[Group, ...]:
        """The groups of tokens that a row is of: a kind, or a group by its name."""
        return tuple(group for group in GROUPS if group == row or group.startswith(f"{row},"))

    @property
    def rows(self) -> list[str]:
        """Kinds, and the parts of chat behind it."""
        present = {group for group, fit in self.measured[OWN].fits.items() if fit.n}
        return [row for row in ("chat", *GROUPS) if any(group in present for group in self.groups(row))]

    def fit(self, of: str, row: str) -> Sums:
        """The sums over a row's tokens."""
        return Sums.joined(self.measured[of].fits[group] for group in self.groups(row))

    def fired(self, of: str, row: str) -> Tensor | None:
        """At which share of a kind's tokens each feature is active, (feature,); None of a part of a kind."""
        if row not in get_args(Kind):
            return None
        counts = self.measured[of].fired[row]  # type: ignore[index]
        return counts.double() / max(1, self.fit(of, row).n)

    def recovered(self, of: str, row: str, ablated: str) -> Estimate:
        """The share of the loss that is recovered."""
        if self.losses is None:
            return _NAN
        return estimate(self.losses.recovered(of, ablated, self.groups(row), self.weights))

    def beyond(self, of: str, row: str) -> Estimate:
        """Share of a kind's tokens with a larger error than all but 5 % of the other kind's tokens have."""
        other: Kind = "plain" if row == "chat" else "chat"
        if row not in get_args(Kind) or len(self.kinds) < 2 or self.dictionary.why_not_given:
            return _NAN
        errors = self.measured[of].errors
        bound = torch.quantile(errors[other].double()[:_MOST], BEYOND)
        over = (errors[row] > bound).double()  # type: ignore[index]
        text = self.texts.kinds[row].text  # type: ignore[index]
        sums = [
            torch.zeros(self.texts.n, dtype=torch.float64).index_add_(0, text, each) for each in (over, over * 0 + 1)
        ]
        shares = (self.weights @ sums[0].numpy()) / np.maximum(self.weights @ sums[1].numpy(), 1)
        return estimate(shares)

    def tables(self) -> dict[str, pd.DataFrame]:
        """All of them, `health` first."""
        health = pd.DataFrame([self._row(of, row) for row in self.rows for of in (OWN, RANDOM)])
        found = {"health": health, "places": self.placement.table, "frequencies": self._frequencies()}
        return found if self.losses is None else {**found, "losses": self._losses()}

    def measures(self) -> list[Measure]:
        """The figures of each kind of text."""
        return [each for kind in self.kinds for each in self._measures(kind)]

    def _measures(self, kind: Kind) -> list[Measure]:
        fit, n, found = self.fit(OWN, kind), self.fit(OWN, kind).n, []
        shares = {
            "explained variance": estimate(fit.explained(self.weights)),
            "explained variance, random dictionary": estimate(self.fit(RANDOM, kind).explained(self.weights)),
            "active features a token (L0)": estimate(fit.mean_of("active", self.weights)),
            "cosine": estimate(fit.mean_of("cosine", self.weights)),
            **{f"loss recovered, against {what}": self.recovered(OWN, kind, what) for what in ABLATED},
        }
        for name, value in shares.items():
            if value.value == value.value:
                found.append(Measure(f"{name} ({kind})", *_plain(value), n))
        fired = self.fired(OWN, kind)
        assert fired is not None
        found.append(Measure(f"dead features ({kind})", float((fired == 0).double().mean()), None, None, n))
        found.append(Measure(f"dense features ({kind})", float((fired > DENSE).double().mean()), None, None, n))
        return found

    def _row(self, of: str, row: str) -> dict[str, object]:
        fit, fired = self.fit(of, row), self.fired(of, row)
        estimates = {
            "l0": estimate(fit.mean_of("active", self.weights)),
            "explained_variance": estimate(fit.explained(self.weights)),
            "cosine": estimate(fit.mean_of("cosine", self.weights)),
            **{f"recovered_{what}": self.recovered(of, row, what) for what in ABLATED},
            "beyond": self.beyond(of, row),
        }
        spread = {f"{name}{end}": each for name, value in estimates.items() for end, each in _ends(value)}
        return {
            "kind": row,
            "of": of,
            **spread,
            "dead": float("nan") if fired is None else float((fired == 0).double().mean()),
            "dense": float("nan") if fired is None else float((fired > DENSE).double().mean()),
            "texts": self.texts.n,
            "tokens": fit.n,
        }

    def _losses(self) -> pd.DataFrame:
        assert self.losses is not None
        rows = []
        for row in self.rows:
            for treatment in (CLEAN, OWN, RANDOM, *ABLATED):
                value = estimate(self.losses.mean(treatment, self.groups(row), self.weights))
                rows.append({"kind": row, "states": treatment, **{f"nats{end}": each for end, each in _ends(value)}})
        return pd.DataFrame(rows)

    def _frequencies(self) -> pd.DataFrame:
        rows = []
        for kind in self.kinds:
            fired = self.fired(OWN, kind)
            assert fired is not None
            counts, _ = np.histogram(fired[fired > 0].numpy(), bins=np.array(_EDGES))
            shares = [int((fired == 0).sum()), *counts.tolist()]
            rows += [
                {"kind": kind, "active": name, "features": count, "share": count / len(fired)}
                for name, count in zip(_BINS, shares, strict=True)
            ]
        return pd.DataFrame(rows)


_MOST = 10_000_000
"""Numbers of which torch takes a quantile."""


def _ends(value: Estimate) -> Sequence[tuple[str, float]]:
    return [("", value.value), ("_low", value.low), ("_high", value.high)]


def _plain(value: Estimate) -> tuple[float, float | None, float | None]:
    known = value.low == value.low
    return value.value, value.low if known else None, value.high if known else None
