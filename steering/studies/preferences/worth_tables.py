"""What pairs are worth as tables, and how well it is foretold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from steering.numbers import counted
from steering.statistics import Estimate, wilson
from steering.studies.preferences.making import said
from steering.studies.study import Measure
from steering.texts.preferences import Preference
from steering.training.leaving_out import Influences
from steering.training.selection import Learnt


def pair_table(
    pairs: Sequence[Preference], weights: Mapping[str, Influences], checked: Mapping[int, float]
) -> pd.DataFrame:
    """One row a pair, the most harmful one first, by every way that there is; rank 1 harms most."""
    rows = []
    ranks = {way: _ranks(each) for way, each in weights.items()}
    for index, pair in enumerate(pairs):
        row: dict[str, object] = {"pair": index + 1, "where": pair.where}
        for way, each in weights.items():
            row |= {way: float(each.values[index]), f"{way}_rank": ranks[way][index]}
        row["retrained"] = checked.get(index, float("nan"))
        rows.append(row | {"prompt": said(pair.messages), "chosen": pair.chosen, "rejected": pair.rejected})
    last = list(weights)[-1]
    return pd.DataFrame(rows).sort_values(f"{last}_rank", ignore_index=True)


def _ranks(each: Influences) -> dict[int, int]:
    return {index: rank for rank, index in enumerate(each.harmful_first, start=1)}


def agreement(weights: Mapping[str, Influences], checked: Mapping[int, float]) -> list[Measure]:
    """Rank correlations of what is foretold with what trainings without pairs gave, and with the exact way."""
    found = []
    ways = {way: np.asarray(each.values) for way, each in weights.items()}
    if len(checked) > 2:
        which, real = list(checked), np.array(list(checked.values()))
        for way in ("foretold", "traced"):
            found.append(_correlation(f"{way} and retrained", ways[way][which], real))
    if len(ways) > 1:
        found.append(_correlation("foretold and exact", ways["foretold"], ways["exact"]))
    return found


def _correlation(name: str, one: np.ndarray, other: np.ndarray) -> Measure:
    value, low, high = rank_correlation(one, other)
    return Measure(f"rank correlation, {name}", value, low, high, len(one))


def rank_correlation(one: np.ndarray, other: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> Estimate:
    """Spearman's rank correlation, with its 95 % percentile-bootstrap interval over items."""
    frames = np.random.default_rng(seed).integers(0, len(one), size=(resamples, len(one)))
    low, high = np.nanquantile(_spearman(one[frames], other[frames]), [0.025, 0.975])
    return Estimate(float(_spearman(one, other)), float(low), float(high))


def _spearman(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of every row, (..., item) -> (...); NaN where all of one are alike."""
    from scipy.stats import rankdata  # takes long to import

    ranks = [rankdata(each, axis=-1) for each in (one, other)]
    apart, beside = (each - each.mean(axis=-1, keepdims=True) for each in ranks)
    with np.errstate(invalid="ignore"):
        found = (apart * beside).sum(axis=-1) / np.sqrt((apart**2).sum(axis=-1) * (beside**2).sum(axis=-1))
    return np.clip(found, -1.0, 1.0)


def planted_table(planted: Sequence[Mapping[str, int]], among: int) -> pd.DataFrame:
    """One row a draw and way: the rank of the pair whose sides are swapped, 1 the most harmful, and whether found."""
    return pd.DataFrame(
        [
            {"draw": number + 1, "way": way, "rank": rank + 1, "found": rank < among, "among": among}
            for number, each in enumerate(planted)
            for way, rank in each.items()
        ]
    )


def found_again(planted: pd.DataFrame) -> list[Measure]:
    """How often the swapped pair is among the most harmful ones."""
    measures = []
    for way, rows in planted.groupby("way", sort=False):
        rate = wilson(int(rows["found"].sum()), len(rows))
        name = f"swapped pair among the {int(rows['among'].iloc[0])} most harmful ({way})"
        measures.append(Measure(name, rate.value, rate.low, rate.high, len(rows)))
    return measures


def curve_table(curves: Sequence[Learnt]) -> pd.DataFrame:
    """One row a way to choose and a number of pairs: what came of it, and by how much more than a random choice."""
    random = next(each for each in curves if each.name == "random")
    rows = []
    for each in curves:
        for size, value, over in zip(each.sizes, each.estimates, each.over(random), strict=True):
            row: dict[str, object] = {"chosen_by": each.name, "size": size, "draws": len(each.values)}
            rows.append(row | _named("worth", value) | _named("over_random", over))
    return pd.DataFrame(rows)


def _named(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def gain(curves: Sequence[Learnt]) -> list[Measure]:
    """By how much choosing came to more than chance, at the least number of pairs."""
    random = next(each for each in curves if each.name == "random")
    return [
        Measure(f"{each.name} over random, {counted(each.sizes[0], 'pair')}", *each.over(random)[0], len(each.values))
        for each in curves
        if each is not random
    ]
