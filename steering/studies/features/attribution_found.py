"""What was found of a logit's attribution to features, and as tables; docs/features.md says what every column means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from steering.dictionaries.dictionary import Dictionary
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.studies.features.attribution import Shares
from steering.studies.features.attribution_logits import LogitDifference
from steering.studies.features.attribution_replaced import TREATMENTS, Replacement
from steering.studies.features.attribution_settings import AttributionSettings
from steering.studies.features.cause_effects import rank_agreement


WAYS = {"direct": "decoder times unembedding, the final norm linearised", "whole": "activation times gradient"}
_PLACES = 5
"""Tokens of a feature that are listed, those where it adds or takes most."""


@dataclass(frozen=True, eq=False)
class Attributed:
    """Everything that was found."""

    host: Host
    dictionary: Dictionary
    settings: AttributionSettings
    prompt: Prompt
    difference: LogitDifference
    shares: Shares
    shown: tuple[int, ...]
    random: tuple[int, ...]
    measured: np.ndarray
    """What switching each off at every token changes, shown ones first, logits, (feature,)."""
    replaced: tuple[Replacement, ...]
    """Empty where it was not asked for."""

    @property
    def value(self) -> float:
        """The logit difference itself."""
        return float(self.shares.values[0])

    @property
    def held(self) -> float:
        """What all features add together, to first order, logits."""
        return float(self.shares.whole.sum())


def tables_of(found: Attributed) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every table by its name, the one to show first ahead."""
    yield "features", feature_table(found)
    yield "agreement", agreement_table(found)
    yield "places", _place_table(found)
    if found.replaced:
        yield "replaced", _replaced_table(found)


def feature_table(found: Attributed) -> pd.DataFrame:
    """One row a feature: what it adds to the logit difference by both readings, and what changes without it."""
    shares, features = found.shares, [*found.shown, *found.random]
    direct, whole = shares.total(shares.direct), shares.total(shares.whole)
    rows = []
    for feature, measured in zip(features, found.measured, strict=True):
        own = shares.features == feature
        rows.append(
            {
                "feature": feature,
                "random": feature in found.random,
                "tokens": int(own.sum()),
                "activation": float(shares.activations[own].max()),
                "direct": float(direct[feature]),
                "whole": float(whole[feature]),
                "measured": float(-measured),
            }
        )
    return pd.DataFrame(rows)


def agreement_table(found: Attributed) -> pd.DataFrame:
    """How far the order of effects agrees with what foretold them."""
    features = feature_table(found)
    rows = []
    for way, words in WAYS.items():
        value = rank_agreement(features[way].to_numpy(), features["measured"].to_numpy(), seed=found.settings.seed)
        row = {"by": way, "in_words": words, "features": len(features), "rank_correlation": value.value}
        rows.append({**row, "rank_correlation_low": value.low, "rank_correlation_high": value.high})
    return pd.DataFrame(rows)


def _place_table(found: Attributed) -> pd.DataFrame:
    """One row a shown feature and token, those where it adds or takes most."""
    rows: list[dict[str, Any]] = []
    shares = found.shares
    for feature in found.shown:
        entries = torch.nonzero(shares.features == feature)[:, 0]
        order = entries[shares.whole[entries].abs().argsort(descending=True)][:_PLACES]
        for entry in order.tolist():
            place = int(shares.places[entry])
            rows.append(
                {
                    "feature": feature,
                    "place": place,
                    "token": found.prompt.tokens[place],
                    "activation": float(shares.activations[entry]),
                    "direct": float(shares.direct[entry]),
                    "whole": float(shares.whole[entry]),
                }
            )
    return pd.DataFrame(rows)


def _replaced_table(found: Attributed) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "treatment": each.name,
                "in_words": TREATMENTS[each.name],
                "kl_mean": each.kl.value,
                "kl_mean_low": each.kl.low,
                "kl_mean_high": each.kl.high,
                "kl_p95": each.kl_p95,
                "same_token": each.same.value,
                "same_token_low": each.same.low,
                "same_token_high": each.same.high,
                "difference": each.value,
                "difference_change": each.value - found.value,
                "tokens": each.tokens,
            }
            for each in found.replaced
        ]
    )
