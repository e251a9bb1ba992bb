"""What the study found as tables; docs/results.md says what every column means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from steering.model.token_pieces import readable
from steering.statistics import Estimate, mean_interval
from steering.studies.features.cause_changes import Done
from steering.studies.features.cause_effects import Effect, rank_agreement, share_of
from steering.studies.features.cause_found import Found
from steering.studies.refusal.tables import reply_table


WAYS = {"direct": "straight to the output", "whole": "through every later block"}
"""How an effect is foretold, by the column's name."""


def tables_of(found: Found) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every table by its name, the one to show first ahead."""
    yield "changes", change_table(found)
    yield "features", feature_table(found)
    yield "agreement", agreement_table(found)
    if found.random:
        yield "draws", _draw_table(found)
    yield "tokens", _token_table(found)
    said = [one for effects in found.effects.values() for each in effects if each.rates for one in each.rates.said]
    if said:
        yield "replies", reply_table(said)


def change_table(found: Found) -> pd.DataFrame:
    """One row a change: what it leaves of the logit difference and of refusals."""
    return pd.DataFrame([_change(found, done, each) for done, effects in found.effects.items() for each in effects])


def shares(found: Found, done: Done, effect: Effect) -> dict[str, Estimate]:
    """Which share of the behaviour a switching off takes away, by what it is measured on."""
    if done != "off" or effect.change.done == "none":
        return {}
    before, seed = found.effects[done][0], found.settings.seed
    ends = float(found.other[done].mean())
    known = {"difference": share_of(before.differences, effect.differences, ends, seed=seed)}
    if effect.rates is not None:
        known["refusal"] = share_of(before.refused, effect.refused, 0.0, seed=seed)
    return known


def _change(found: Found, done: Done, effect: Effect) -> dict[str, Any]:
    change, rates = effect.change, effect.rates
    row: dict[str, Any] = {
        "change": change.title,
        "done": change.done,
        "features": ", ".join(map(str, change.features)),
        "random": change.draw is not None,
        "group": effect.group,
        "n": len(effect.differences),
        **_spread("difference", mean_interval(effect.differences, seed=found.settings.seed)),
    }
    nothing = Estimate(nan, nan, nan)
    if found.settings.behaviour == "refusal":
        row |= _spread("refusal", rates.refusal if rates else nothing)
        row |= {"compliance": rates.compliance.value if rates else nan}
        row |= {"degenerate": rates.degenerate.value if rates else nan, "p_value": rates.p_value if rates else nan}
    known = shares(found, done, effect)
    for name in ("difference", "refusal") if found.settings.behaviour == "refusal" else ("difference",):
        row |= _spread(f"share_of_{name}", known.get(name, nothing))
    return row


def feature_table(found: Found) -> pd.DataFrame:
    """One row a feature and change: how active it is, what was foretold of it alone, and what it does."""
    rows = []
    for done, each in found.foretold.items():
        for one in each:
            (feature,) = one.change.features
            row = {
                "feature": feature,
                "done": done,
                "random": one.change.draw is not None,
                "group": found.effects[done][0].group,
                "n": len(one.measured),
                "activity": float(found.known.activity[feature]),
                "rate": float(found.known.rate[feature]),
                "maximum": float(found.known.maximum[feature]),
                "score": float(found.known.score[feature]),
                "direct": float(one.direct.mean()),
                "whole": float(one.whole.mean()),
                **_spread("measured", mean_interval(one.measured, seed=found.settings.seed)),
            }
            rows.append(row)
    return pd.DataFrame(rows)


def agreement_table(found: Found) -> pd.DataFrame:
    """One row a change and way of foretelling: how far the order of effects agrees with the order that was measured."""
    features = feature_table(found)
    rows = []
    for done, own in features.groupby("done", sort=False):
        for way, words in WAYS.items():
            value = rank_agreement(own[way].to_numpy(), own["measured"].to_numpy(), seed=found.settings.seed)
            signs = np.sign(own[way]) == np.sign(own["measured"])
            row = {"done": done, "by": way, "in_words": words, "features": len(own)}
            rows.append({**row, **_spread("rank_correlation", value), "same_sign": float(signs.mean())})
    return pd.DataFrame(rows)


def _draw_table(found: Found) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "set": draw.number,
                "features": ", ".join(map(str, draw.features)),
                "stand_for": ", ".join(map(str, found.chosen)),
                "activity_ratio": draw.ratio,
            }
            for draw in found.random
        ]
    )


def _token_table(found: Found) -> pd.DataFrame:
    sides: Mapping[str, tuple[int, ...]] = {"toward": found.difference.toward, "against": found.difference.against}
    tokenizer = found.host.tokenizer
    rows = [
        {"side": side, "id": token, "text": readable(tokenizer, token)} for side, ids in sides.items() for token in ids
    ]
    return pd.DataFrame(rows)


def _spread(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
