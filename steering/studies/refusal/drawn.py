"""Figures of a study of refusal from its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from steering.figures.styling import INK, styled
from steering.numbers import counted
from steering.statistics import Estimate
from steering.studies.figures import Drawn, estimate_of
from steering.studies.refusal.arms import FLOORS, NONE
from steering.studies.refusal.figures import DIVERGING, colour_bar, damage, refusal_rates


if TYPE_CHECKING:
    from steering.studies.result import Result

_MARKERS = {
    "dropped": {"symbol": "x-thin", "size": 9, "line": {"width": 1.5, "color": INK}},
    "chosen": {"symbol": "circle-open", "size": 20, "color": INK, "line": {"width": 2.5}},
}


@dataclass(frozen=True)
class _Rate:
    """What `refusal_rates` draws of an intervention, or of an end of the range of random ones."""

    arm: str
    title: str
    floor: str
    group: str
    system: bool
    n: int
    refusal: Estimate


@dataclass(frozen=True)
class _Cost:
    """What `damage` draws."""

    arm: str
    title: str
    floor: str
    kl_mean: Estimate
    kl_p95: float


def refusal_drawn(result: Result) -> Iterator[Drawn]:
    """What is refused, what that costs, and the candidates."""
    tables = result.tables
    if "effects" not in tables or not len(tables["effects"]):
        return
    rates, costs = list(_rates(tables)), list(_costs(tables))
    sizes = {rate.group: rate.n for rate in rates if rate.arm == NONE and not rate.system}
    seeds = int(tables["floors"]["directions"].max()) if len(tables.get("floors", ())) else 0
    floor = f" Grey: range over {counted(seeds, 'random direction')}." if seeds else ""
    for system in sorted({rate.system for rate in rates}):
        n = ", ".join(f"{n} {group}" for group, n in sizes.items())
        caption = f"n = {n}; judged by rules; bars: 95 % Wilson intervals.{floor}"
        yield f"Requests refused{', system prompt' * system}", refusal_rates(rates, system=system), caption
    if any(cost.arm != NONE and not cost.floor for cost in costs):
        caption = f"KL from the unedited model on its own replies to harmless requests; bars: 95 % intervals.{floor}"
        yield "What it costs", damage(costs), caption
    if len(tables.get("candidates", ())):
        caption = "Mean log-odds of refusal on target requests; lower is better. Crossed out: dropped; ringed: chosen."
        yield "Refusal that is left when a candidate is ablated", _candidates(tables["candidates"]), caption


def _candidates(found: pd.DataFrame) -> go.Figure:
    """The score that directions are mostly chosen by, at every token and block."""
    names = {row["position"]: f"{row['position']} {row['token']}" for row in found.to_dict("records")}
    wide = found.pivot(index="position", columns="block", values="bypass").sort_index()
    limit = max(1.0, float(found["bypass"].abs().max()))
    figure = go.Figure()
    figure.add_heatmap(
        x=wide.columns.tolist(),
        y=[names[position] for position in wide.index],
        z=wide.to_numpy().tolist(),
        colorscale=DIVERGING,
        zmin=-limit,
        zmax=limit,
        xgap=2,
        ygap=2,
        colorbar=colour_bar("log-odds"),
        hovertemplate="token %{y}, block %{x}: %{z:.3g} log-odds<extra></extra>",
    )
    for outcome, marker in _MARKERS.items():
        rows = found[found["outcome"] == outcome]
        figure.add_scatter(
            x=rows["block"].tolist(),
            y=[names[position] for position in rows["position"]],
            mode="markers",
            marker=marker,
            hovertext=[f"{outcome} {reason}".strip() for reason in rows["reason"]],
            hoverinfo="text",
        )
    return styled(figure, "block", "").update_layout(height=110 + 34 * len(wide))


def _rates(tables: Mapping[str, pd.DataFrame]) -> Iterator[_Rate]:
    for row in tables["effects"].to_dict("records"):
        yield _Rate(
            row["arm"], row["title"], "", row["group"], bool(row["system"]), row["n"], estimate_of(row, "refusal")
        )
    for row in tables["floors"].to_dict("records") if "floors" in tables else ():
        for end in (row["refusal_low"], row["refusal_high"]):
            said = Estimate(end, end, end)
            yield _Rate("", "", row["floor"], row["group"], bool(row["system"]), row["directions"], said)


def _costs(tables: Mapping[str, pd.DataFrame]) -> Iterator[_Cost]:
    floors = dict.fromkeys(FLOORS.values())
    for row in tables["costs"].to_dict("records") if "costs" in tables else ():
        floor = next((name for name in floors if row["arm"].startswith(f"{name} ")), "")
        yield _Cost(row["arm"], row["title"], floor, estimate_of(row, "kl_mean"), row["kl_p95"])
