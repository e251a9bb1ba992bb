"""What the study found as tables; docs/results.md says what every column means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from torch import Tensor

from steering.statistics import Estimate
from steering.studies.refusal.candidates import Candidate
from steering.studies.refusal.location import Drift, Projection, Surrogate, TwoProbes
from steering.studies.refusal.outcomes import Cost, Rates
from steering.studies.refusal.replies import Said
from steering.studies.refusal.rules import By, Choice, Rules, Score
from steering.studies.refusal.tokens import RefusalTokens


Record = dict[str, Any]


def token_table(tokens: RefusalTokens) -> pd.DataFrame:
    """One row a first token that was looked at."""
    rows = [{**asdict(each), "chosen": each.id in tokens.chosen} for each in tokens.known]
    return pd.DataFrame(rows)


def candidate_table(
    scores: Sequence[Score], rules: Rules, blocks: int, by: By, choice: Choice | None, truth: Mapping[Candidate, float]
) -> pd.DataFrame:
    """One row a candidate, the chosen one first, then by what the choice is made by."""

    def row(score: Score) -> Record:
        reasons = score.reasons(rules, blocks, by)
        chosen = choice is not None and score.candidate == choice.score.candidate
        record: Record = {
            "position": score.candidate.position,
            "token": score.token,
            "block": score.candidate.block,
            "bypass": _number(score.bypass),
            "induce": _number(score.induce),
            "kl": _number(score.kl),
            "cosmic": _number(score.cosmic),
            "outcome": "chosen" if chosen else "dropped" if reasons else "passes" if score.measured else "not scored",
            "reason": "; ".join(reasons),
        }
        return record | ({"cosine_with_planted": truth.get(score.candidate, math.nan)} if truth else {})

    def rank(record: Any) -> tuple[int, float]:
        value = record["bypass"] if by == "bypass" else -record["cosmic"]
        order = {"chosen": 0, "passes": 1, "not scored": 2, "dropped": 3}[record["outcome"]]
        return order, math.inf if math.isnan(value) else value

    return pd.DataFrame(sorted(map(row, scores), key=rank))


def summary_table(rates: Sequence[Rates], costs: Sequence[Cost]) -> pd.DataFrame:
    """One row an intervention: refusal of every kind of request, damage, right answers; a floor's row gives the mean
    and the range over its random directions.
    """
    found: dict[str, list[Record]] = {}
    for each in rates:
        name = f"refused, {each.group}" + (", system prompt" if each.system else "")
        found.setdefault(each.floor or each.title, []).append(_spread(name, each.refusal))
    for cost in costs:
        answers = {name: given.accuracy for name, given in cost.answers.items()}
        for name, value in {"kl_nats": cost.kl_mean, **answers}.items():
            found.setdefault(cost.floor or cost.title, []).append(_spread(name, value))
    floors = {each.floor for each in rates if each.floor}
    seeds = {floor: len({each.arm for each in rates if each.floor == floor}) for floor in floors}
    titles = {title: f"{title}: mean and range of {seeds[title]}" if title in floors else title for title in found}
    return pd.DataFrame([{"intervention": titles[t], **_merged(parts, t in floors)} for t, parts in found.items()])


def _merged(parts: Sequence[Record], floor: bool) -> Record:
    """Records of one row; a floor has several values of each, whose mean and range it shows."""
    if not floor:
        return {name: value for part in parts for name, value in part.items()}
    names = list(dict.fromkeys(next(iter(part)) for part in parts))
    values = {name: [part[name] for part in parts if name in part] for name in names}
    return {
        key: value
        for name, each in values.items()
        for key, value in _spread(name, Estimate(sum(each) / len(each), min(each), max(each))).items()
    }


def effect_table(rates: Sequence[Rates]) -> pd.DataFrame:
    """One row an intervention and kind of request."""
    return pd.DataFrame([_rates(each) for each in rates])


def cost_table(costs: Sequence[Cost]) -> pd.DataFrame:
    """One row an intervention: damage on the model's own replies, and right answers."""
    return pd.DataFrame([_cost(each) for each in costs])


def floor_table(rates: Sequence[Rates], costs: Sequence[Cost]) -> pd.DataFrame:
    """One row a random intervention and kind of request: mean, lowest and highest rate over the random directions."""
    records: list[Record] = []
    keys = dict.fromkeys((each.floor, each.group, each.system) for each in rates if each.floor)
    for floor, group, system in keys:
        alike = [each for each in rates if (each.floor, each.group, each.system) == (floor, group, system)]
        values = [each.refusal.value for each in alike]
        apart = [each.kl_mean.value for each in costs if each.floor == floor]
        records.append(
            {
                "floor": floor,
                "group": group,
                "system": system,
                "directions": len(values),
                "refusal": sum(values) / len(values),
                "refusal_low": min(values),
                "refusal_high": max(values),
                "kl_mean": sum(apart) / len(apart) if apart else math.nan,
                "kl_low": min(apart, default=math.nan),
                "kl_high": max(apart, default=math.nan),
            }
        )
    return pd.DataFrame(records)


def reply_table(said: Sequence[Said]) -> pd.DataFrame:
    """One row a reply, with what every judge says of it."""
    return pd.DataFrame([asdict(each) for each in said])


def projection_table(found: Sequence[Projection]) -> pd.DataFrame:
    """One row a prompt, token and block."""
    return pd.DataFrame(
        [
            {
                "prompt": number,
                "place": place,
                "token": token,
                "role": each.prompt.roles[place],
                "block": block,
                "cosine": float(each.cosine[place, block]),
                "raw": float(each.raw[place, block]),
            }
            for number, each in enumerate(found)
            for place, token in enumerate(each.prompt.tokens)
            for block in range(each.cosine.shape[1])
        ]
    )


def probe_table(probes: TwoProbes, said: Sequence[Said]) -> pd.DataFrame:
    """One row a test request: both probes, and whether the model refused it."""
    return pd.DataFrame(
        [
            {
                "group": each.group,
                "prompt": each.prompt,
                "harmfulness": probes.harmfulness[index],
                "refusal_probe": probes.refusal[index],
                "refused": each.refusal,
            }
            for index, each in enumerate(said)
        ]
    )


def block_table(found: Surrogate, moved: Drift | None) -> pd.DataFrame:
    """One row a block: F1 of the surrogate classifier, and the drift from the aligned base where it is known."""
    blocks = len(found.f1) or (len(moved.target) if moved else 0)
    table = pd.DataFrame({"block": range(blocks)})
    if found.f1:
        for place, name in enumerate(("f1", "f1_low", "f1_high")):
            table[name] = [each[place] for each in found.f1]
    if moved:
        table["drift_cosine"], table["drift_difference_cosine"] = moved.target, moved.difference
    return table


def cosine_table(candidates: Sequence[Candidate], cosines: Tensor) -> pd.DataFrame:
    """Cosine of every two candidates, named `position/block`."""
    names = [f"{each.position}/{each.block}" for each in candidates]
    return pd.DataFrame(cosines.numpy(), columns=names).assign(candidate=names)[["candidate", *names]]


def _rates(each: Rates) -> Record:
    return {
        "arm": each.arm,
        "title": each.title,
        "group": each.group,
        "system": each.system,
        "n": each.n,
        **_spread("refusal", each.refusal),
        "compliance": each.compliance.value,
        "incapable": each.incapable.value,
        "unfinished": each.unfinished.value,
        "degenerate": each.degenerate.value,
        "cut": each.cut.value,
        "late": each.late,
        "turned": each.turned,
        **_spread("by_log_odds", each.by_log_odds),
        **_spread("by_classifier", each.by_classifier),
        **_spread("by_endpoint", each.by_endpoint),
        "tokens": each.tokens,
        "repetition": each.repetition,
        "p_value": each.p_value,
    }


def _cost(each: Cost) -> Record:
    record: Record = {
        "arm": each.arm,
        "title": each.title,
        **_spread("kl_mean", each.kl_mean),
        "kl_p95": each.kl_p95,
        "perplexity": each.perplexity,
        "n_tokens": each.n_tokens,
    }
    for name, answers in each.answers.items():
        record |= {**_spread(name, answers.accuracy), f"{name}_p_right": answers.chance, f"{name}_mass": answers.mass}
        record |= {f"{name}_n": answers.n, f"{name}_p_value": answers.p_value}
    return record


def _spread(name: str, value: Estimate) -> Record:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def _number(value: float | None) -> float:
    return math.nan if value is None else value
