"""The study as one HTML page that needs nothing else: readable without a network, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

import pandas as pd
import plotly.graph_objects as go

from steering.forms.tables import table_html
from steering.model.model_info import DEMO_CAVEAT
from steering.studies.page import (
    caption_html,
    differing_html,
    figure_html,
    html_page,
    listed,
    words_html,
)
from steering.studies.refusal import figures, location_figures
from steering.studies.refusal.location import TwoProbes
from steering.studies.refusal.requests import own_systems
from steering.studies.refusal.settings import DEFAULT_SYSTEM


if TYPE_CHECKING:
    from steering.studies.refusal.inquiry import Inquiry

CONTENT_NOTE = (
    "The model's own words, some to requests that name harmful acts, shown so that the judges can be checked. Judge "
    "and log-odds stand beside each."
)
_WORDS = {
    "added, subtracted": "the raw difference of means r, once, at the input of the direction's block",
    "affine edit (ACE)": "the part along the direction is set to where harmless requests lie on average",
    "LEACE": "the least change after which no linear probe tells the two sides at that block and token",
    "random ...": "the same with a random direction of equal norm, or as many; the floor of what stands above",
    "bypass": "mean refusal log-odds on harmful validation requests with the direction ablated; low is good",
    "induce": "mean refusal log-odds on harmless validation requests with r added; high is good",
    "log-odds": "ln P - ln(1 - P) of the total probability P of the refusal tokens as the first token",
    "KL, nats": "how far next-token distributions move from the model as it is",
    "COSMIC": "cosine of edited states with the other side's, both ways; needs no refusal tokens",
    "position": "of the token that a direction is read at, from the prompt's end: -1 is the last",
    "late": "a block from which on a direction lies too near to the words",
    "knowledge, truth, sums": "share of right answers to three sets of questions",
}
_ABOUT = {"effects": "What the interventions do", "choice": "The direction", "place": "Where refusal lives"}
"""Headings of what was found where there is no picture of it."""
_TABLES = {"candidates": "Candidates", "tokens": "Refusal tokens", "judges": "How far the judges agree"}
Chart = tuple[str, go.Figure, str]
"""Title, figure and caption."""
_MOST_REPLIES = 20
"""Of a kind of request under one intervention; the CSV file has all."""


def report(inquiry: Inquiry, frames: Mapping[str, pd.DataFrame], created: str) -> str:
    """The whole page."""
    title = f"Refusal direction of {inquiry.host.name}"
    return html_page(inquiry.host, title, created, inquiry.settings, _sections(inquiry, frames))


def _sections(inquiry: Inquiry, frames: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, str]]:
    """Pictures first, each with what it shows in words; then the tables behind them, and the replies."""
    notes = inquiry.notes_by_part
    warned = inquiry.host.warnings
    if warned:
        yield "Before you rely on this", listed(warned)
    for about, drawn in (("effects", effect_charts), ("choice", score_charts), ("place", place_charts)):
        said = listed(notes.get(about, ()))  # type: ignore[call-overload]
        for title, figure, text in drawn(inquiry):
            under = text if text.endswith(framing(inquiry)) else f"{text} {framing(inquiry)}"
            yield title, figure_html(figure) + caption_html(under) + said
            said = ""
        if said:
            yield _ABOUT[about], said
        if about == "effects":
            yield "Every intervention", table_html(frames["summary"]) + caption_html(caption(inquiry))
    for name, title in _TABLES.items():
        if name in frames:
            yield title, table_html(frames[name])
    caveat = [DEMO_CAVEAT] if inquiry.host.info.demo else []
    yield "What was read", listed([*notes.get("requests", ()), *caveat])
    everywhere = f"the part along the direction is taken out at {inquiry.host.sites.everywhere_words}, at every token"
    yield "Words", words_html({"ablated everywhere": everywhere, **_WORDS})
    if inquiry.said:
        yield (
            "Replies on which judges differ",
            differing_html(frames["disagreements"], ("arm", "group", "prompt", "text")),
        )
        yield "Replies", _replies(inquiry)


def effect_charts(inquiry: Inquiry) -> Iterator[Chart]:
    """What every intervention does and costs."""
    for system in dict.fromkeys(each.system for each in inquiry.rates):
        behind = " behind a system prompt" if system else ""
        yield f"Requests refused{behind}", figures.refusal_rates(inquiry.rates, system=system), caption(inquiry)
    if len(inquiry.costs) > 1:
        yield (
            "What every intervention costs",
            figures.damage(inquiry.costs),
            "KL(no intervention || intervention) over the first 32 tokens of the model's own replies to harmless "
            f"requests, {inquiry.costs[0].n_tokens} tokens; bars: 95 % bootstrap over replies; grey: range over random "
            f"directions; what lies under {figures.LEAST_NATS:g} nats stands there.",
        )


def score_charts(inquiry: Inquiry) -> Iterator[Chart]:
    """Every score of the candidates, as a map."""
    settings, blocks, scores = inquiry.settings, inquiry.host.info.blocks, list(inquiry.scores.values())
    for name, (title, unit, reading) in figures.SCORES.items():
        if any(getattr(each, name) is not None for each in scores):
            figure = figures.score_map(name, scores, settings.rules, blocks, settings.by, inquiry.choice)
            yield title, figure, f"In {unit}; {reading}. Crosses: dropped. Ring: chosen."


def place_charts(inquiry: Inquiry) -> Iterator[Chart]:
    """Where refusal lives."""
    place = inquiry.place
    if place and place.probes:
        yield (
            "Harmfulness and refusal: two probes",
            location_figures.two_probe_chart(place.probes, place.asked),
            _by_probes(place.probes),
        )
    if place and (place.surrogate.f1 or place.drift):
        yield (
            "Where the decision can be read",
            location_figures.by_block(place.surrogate, place.drift),
            _by_block(inquiry),
        )
    for number, each in enumerate(place.projections if place else ()):
        yield (
            f"Along the direction, prompt {number + 1}",
            location_figures.projection_map(each),
            "Cosine of the state at every block's input with the direction, on the rendered prompt.",
        )


def _by_probes(probes: TwoProbes) -> str:
    value, low, high = probes.auroc
    return (
        "Each by mean difference: 0 is where harmless requests lie on average, 1 where harmful ones do. Filled: the "
        f"model refused. Harmfulness is read at the input of block {probes.block} (AUROC on test requests {value:.2f} "
        f"[{low:.2f}, {high:.2f}]). After Zhao et al. 2025."
    )


def _by_block(inquiry: Inquiry) -> str:
    place = inquiry.place
    assert place is not None
    parts = []
    if place.surrogate.f1:
        parts.append(
            f"F1 of a linear head on the model's own decisions on {place.surrogate.n} test requests, five folds, 95 % "
            f"bootstrap; dotted: 0.8. Calling all of them refusals gives {place.surrogate.trivial:.2f}. After Noirot "
            "Ferrand et al. 2025."
        )
    if place.drift:
        parts.append(f"Dashed: cosines with {place.drift.reference}, after Yang et al. 2025.")
    return " ".join(parts)


def caption(inquiry: Inquiry) -> str:
    """n, judge, interval, floor, system prompt and template of the charts of effects."""
    settings = inquiry.settings
    sizes = ", ".join(f"{each.n} {each.group}" for each in inquiry.rates if each.arm == "none" and not each.system)
    seeds = len({each.arm for each in inquiry.rates if each.floor == "random ablate"}) or settings.random
    floored = any(each.floor for each in inquiry.rates)
    directions = f"{seeds} random direction{'s' * (seeds != 1)}"
    floor = f"; grey, and brackets of random rows: range over {directions}" if floored else ""
    return (
        f"Share of test requests refused (n = {sizes or 'see table'}), judged by rules; 95 % Wilson "
        f"intervals{floor}. Greedy, at most {settings.reply_tokens} tokens. {framing(inquiry)}"
    )


def framing(inquiry: Inquiry) -> str:
    """Requests, system prompt and template, which every chart depends on."""
    settings, prepared = inquiry.settings, inquiry.prepared
    digest = inquiry.host.info.template_digest
    template = f"chat template {digest}" if inquiry.host.info.chat_template else "no chat template"
    given = f"system prompt “{settings.system.strip()}”" if settings.system.strip() else "no system prompt"
    if settings.both_systems:
        given += ", effects also " + ("without one" if settings.system.strip() else f"behind “{DEFAULT_SYSTEM}”")
    own = own_systems(prepared.requests)[0] if prepared else ""
    given += f"; with a system prompt of their own: {own}" if own else ""
    return f"Requests: {prepared.requests.name if prepared else '–'}; {template}; {given}."


def _replies(inquiry: Inquiry) -> str:
    parts = [f"<p class='s'>{CONTENT_NOTE}</p>"]
    for rates in inquiry.rates:
        if rates.floor:
            continue
        items = "".join(
            f"<p><b>{escape(said.prompt)}</b> <small>{said.sorted_as}, log-odds "
            f"{said.log_odds:.1f}</small><br>{escape(said.text) or '(no text)'}</p>"
            for said in rates.said[:_MOST_REPLIES]
        )
        more = "" if rates.n <= _MOST_REPLIES else f"<p class='s'>{rates.n - _MOST_REPLIES} more in replies.csv.</p>"
        title = f"{rates.title}, {rates.group}{', system prompt' if rates.system else ''}"
        parts.append(f"<details><summary>{escape(title)} ({rates.n})</summary>{items}{more}</details>")
    return "".join(parts)
