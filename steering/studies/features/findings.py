"""What was found of features, in sentences."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from steering.numbers import counted, plain_number, spread
from steering.studies.features.found import Found, Made, Prompted
from steering.studies.features.placement import place_words
from steering.studies.features.settings import FeaturesSettings
from steering.studies.features.telling import Told


Row = Mapping[Hashable, Any]
"""Of the table of features."""
_ALPHA = 0.05
_NAMED = 3
"""Features that a sentence names."""


def findings(found: Found, rows: pd.DataFrame, settings: FeaturesSettings) -> Iterator[str]:
    """The most important first.

    Args:
        found: What was found.
        rows: The table of the features that are shown.
        settings: How it was looked for.
    """
    shown = rows.to_dict("records")
    yield from told_findings(found, rows, settings)
    if found.made is not None:
        yield from _made(found, found.made)
    if found.prompted is not None:
        yield _prompted(found, found.prompted)
    if shown and "output_score" in rows:
        yield _effect(shown, settings)
    texts, tokens = counted(len(found.sources.texts), "text"), f"{len(found.reading.tokens):,} tokens"
    yield (
        f"maximum is the 99.5th percentile of a feature's activations where it is active, on {texts} "
        f"({tokens}); active "
        "is the share of these tokens."
    )


def told_findings(found: Found, table: pd.DataFrame, settings: FeaturesSettings) -> Iterator[str]:
    """Of the contrast set alone, where there is one; as `findings`."""
    told, contrast = found.told, found.sources.contrast
    if told is None or contrast is None:
        return
    rows: Mapping[Any, Row] = {row["feature"]: row for row in table.to_dict("records")}
    sure = int((told.p < _ALPHA).sum())
    names = f"{contrast.positive_label} and {contrast.negative_label}"
    what = "signs of pairs" if told.held_out.paired else "labels"
    yield (
        f"{sure:,} of {len(told.tested):,} features that are active on the {sum(told.n_train)} training texts tell "
        f"{names} apart (p < {_ALPHA}, {settings.permutations:,} permutations of {what}, corrected for all of them by "
        "the largest statistic of any)."
    )
    best = told.best(1)
    if best and best[0] in rows:
        row = rows[best[0]]
        auroc = spread(*(float(row[name]) for name in ("auroc", "auroc_low", "auroc_high")))
        side = contrast.positive_label if told.statistic[best[0]] > 0 else contrast.negative_label
        yield (
            f"Feature {best[0]} differs most, and is more active on {side} texts: AUROC {auroc} for "
            f"{contrast.positive_label} ones on {sum(told.n_held_out)} held-out texts, active on "
            f"{_percent(told.frequency[0][best[0]])} of {contrast.positive_label} and "
            f"{_percent(told.frequency[1][best[0]])} of {contrast.negative_label} ones. It promotes {row['promotes']}."
        )
    if found.floor is not None:
        yield _floor(found.floor, names)
    if told.note:
        yield told.note


def _floor(floor: Told, names: str) -> str:
    """What random directions do, chosen and scored in the same way."""
    sure, best = int((floor.p < _ALPHA).sum()), floor.best(1)
    low, high = floor.intervals(best, 0)
    said = (
        f"; the one that differs most has AUROC {spread(float(floor.auroc[best[0]]), low[0], high[0])}" if best else ""
    )
    return (
        f"As many random directions, with as many active at a token, chosen and scored alike: {sure:,} tell {names} "
        f"apart (p < {_ALPHA}){said}."
    )


def _made(found: Found, made: Made) -> Iterator[str]:
    parts, block = made.decomposition, found.dictionary.gives
    kept = sum(weight > 0 for weight in parts.weights)
    low, high = made.chance[:, -1].min(), made.chance[:, -1].max()
    order = np.argsort(-np.array(parts.weights))[:_NAMED]
    named = ", ".join(f"{parts.features[each]} (weight {plain_number(parts.weights[each])})" for each in order)
    yield (
        f"{counted(kept, 'feature')} explain{'s' if kept == 1 else ''} {_percent(parts.share)} of the squared norm of "
        f"'{made.vector.name}' at {place_words(block)}: {named or 'none'}{', …' if kept > _NAMED else ''}. As many "
        f"explain {_percent(low)} to {_percent(high)} of {len(made.chance)} random vectors."
    )
    if made.vector.site != block[1]:
        yield (
            f"'{made.vector.name}' was read at {made.vector.site.replace('_', ' ')}, and the dictionary gives "
            f"{place_words(block)}."
        )


def _prompted(found: Found, prompted: Prompted) -> str:
    active = prompted.reading.activations
    best = prompted.best(_NAMED)
    return (
        f"{counted(len(active.features.unique()), 'feature')} {'is' if active.n_tokens == 1 else 'are'} active at the "
        f"prompt's {counted(active.n_tokens, 'token')}, {plain_number(len(active.features) / active.n_tokens)} a "
        f"token; {', '.join(map(str, best))} add most to a state."
    )


def _effect(rows: Sequence[Row], settings: FeaturesSettings) -> str:
    scores = [float(row["output_score"]) for row in rows]
    best, top, median = rows[int(np.argmax(scores))]["feature"], plain_number(max(scores)), float(np.median(scores))
    return (
        f"Output scores: turned up by {settings.effect_factor:g} times the largest activation at a text's end, "
        f"feature {best} makes its own tokens likeliest ({top}; median of those shown {plain_number(median)})."
    )


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f} %"
