"""What was found of features as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from steering.model.host import Host
from steering.model.token_pieces import readable
from steering.studies.features.found import Found, Made, Prompted


SHOWN = 5
"""Promoted tokens that are shown."""
_PER_TOKEN = 5
"""Features of every token of a prompt that are listed."""


def feature_table(host: Host, found: Found, tokens: Tensor, scores: dict[str, Tensor], seed: int) -> pd.DataFrame:
    """One row a feature that is shown, with everything that is known of it.

    Args:
        host: The model.
        found: What was found.
        tokens: Promoted tokens of every feature shown, (feature shown, n).
        scores: Further columns, (feature shown,) each.
        seed: Of the bootstrap.
    """
    features = list(found.chosen)
    columns: dict[str, Any] = {
        "feature": features,
        "found_by": [", ".join(ways) for ways in found.chosen.values()],
        **_labels(found, features),
        "promotes": [words(host, row) for row in tokens],
        "maximum": found.maxima[features],
        "active": found.active[features],
    }
    if found.told is not None:
        told = found.told
        low, high = told.intervals(features, seed)
        columns |= {
            "auroc": told.auroc[features],
            "auroc_low": low,
            "auroc_high": high,
            "p": told.p[features],
            "difference": told.difference[features],
            "frequency_positive": told.frequency[0][features],
            "frequency_negative": told.frequency[1][features],
        }
    if found.made is not None:
        weights = dict(zip(found.made.decomposition.features, found.made.decomposition.weights, strict=True))
        columns |= {
            "cosine": found.made.cosines[features].numpy(),
            "weight": [weights.get(feature, 0.0) for feature in features],
        }
    if found.prompted is not None:
        at = found.prompted.reading.activations.of(features)
        columns["at_prompt"] = at.max(dim=0).values.numpy() if len(at) else np.zeros(len(features))
    columns |= {name: values.numpy() for name, values in scores.items()}
    return pd.DataFrame(columns)


def set_names(names: Iterable[str]) -> list[str]:
    """The names of contrast sets, each once: the second of two that are called alike gets a number."""
    found: list[str] = []
    for name in names:
        found.append(f"{name} ({len(found) + 1})" if name in found else name)
    return found


def joined(by_set: Mapping[str, Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The tables of several contrast sets by their names, one below the other; with more than one set, rows say
    whose they are.
    """
    if len(by_set) == 1:
        return dict(*by_set.values())
    parts: dict[str, list[pd.DataFrame]] = {}
    for own, tables in by_set.items():
        for name, table in tables.items():
            parts.setdefault(name, []).append(table.assign(set=own))
    return {
        name: pd.concat([one for one in each if len(one)] or each[:1], ignore_index=True)
        for name, each in parts.items()
    }


def prompt_table(found: Found, prompted: Prompted) -> pd.DataFrame:
    """The features that are most active at every token of the prompt, the most active first."""
    reading, rows = prompted.reading, []
    offsets = reading.activations.offsets.tolist()
    for place, (low, high) in enumerate(pairwise(offsets)):
        values, order = reading.activations.values[low:high].sort(descending=True)
        for rank, (value, own) in enumerate(zip(values[:_PER_TOKEN].tolist(), order.tolist(), strict=False), start=1):
            feature = int(reading.activations.features[low + own])
            rows.append({**_at(prompted, place), "rank": rank, **_cell(found, feature, value)})
    return pd.DataFrame(rows, columns=[*_AT, "rank", *_CELL])


def map_table(found: Found, prompted: Prompted, features: Sequence[int]) -> pd.DataFrame:
    """Some features at every token of the prompt, active or not: a heat map's cells."""
    values = prompted.reading.activations.of(features)
    rows = [
        {**_at(prompted, place), **_cell(found, feature, float(values[place, column]))}
        for place in range(len(values))
        for column, feature in enumerate(features)
    ]
    return pd.DataFrame(rows, columns=[*_AT, *_CELL])


def decomposition_table(host: Host, made: Made, tokens: Tensor) -> pd.DataFrame:
    """The features that a vector is made of, in the order in which they were taken, and what is left of it.

    Args:
        host: The model.
        made: The vector taken apart.
        tokens: Promoted tokens of each of its features, and behind them those of what is left.
    """
    parts = made.decomposition
    rows = [
        {
            "step": step,
            "feature": str(feature),
            "weight": weight,
            "cosine": float(made.cosines[feature]),
            "explained": explained,
            "explained_random": float(made.chance[:, step - 1].mean()),
            "promotes": words(host, row),
        }
        for step, (feature, weight, explained, row) in enumerate(
            zip(parts.features, parts.weights, parts.explained, tokens, strict=False), start=1
        )
    ]
    left = float(parts.remainder.norm())
    rows.append(
        {
            "step": len(rows) + 1,
            "feature": "remainder",
            "weight": left,
            "cosine": float(parts.remainder @ made.direction) / max(left, 1e-12),
            "explained": 1.0,
            "explained_random": float("nan"),
            "promotes": words(host, tokens[-1]),
        }
    )
    return pd.DataFrame(rows)


def words(host: Host, ids: Tensor) -> str:
    """Some promoted tokens, quoted, the first first."""
    return " ".join(repr(readable(host.tokenizer, token)) for token in ids[:SHOWN].tolist())


_AT = ("token_number", "token", "role")
_CELL = ("feature", "activation", "of_maximum")


def _at(prompted: Prompted, place: int) -> dict[str, Any]:
    tokens = prompted.reading.tokens
    said = (int(tokens.place[place]), tokens.pieces[place], tokens.roles[place])
    return dict(zip(_AT, said, strict=True))


def _cell(found: Found, feature: int, value: float) -> dict[str, Any]:
    most = float(found.maxima[feature])
    return dict(zip(_CELL, (feature, value, value / most if most > 0 else 0.0), strict=True))


def _labels(found: Found, features: Sequence[int]) -> dict[str, Any]:
    """What the release says of each feature, where it says anything."""
    known = found.dictionary.card.get("labels")
    if not isinstance(known, dict):
        return {}
    return {"label": [str(known.get(str(feature), known.get(feature, ""))) for feature in features]}
