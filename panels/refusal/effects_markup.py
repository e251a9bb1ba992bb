"""What every intervention does and costs as HTML, and the replies behind every number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from panels.refusal.numbers import figure, nats, percent, rate, spread
from steering.judges.sorting import CONTENTS
from steering.studies.refusal import Inquiry
from steering.studies.refusal.agreement import agreement
from steering.studies.refusal.arms import FLOORS
from steering.studies.refusal.outcomes import Cost, Rates
from steering.studies.refusal.replies import Said
from steering.studies.refusal.report import CONTENT_NOTE
from workbench.controls.judges_markup import judges_html
from workbench.page.markup import card, escape, heading, note, pills
from workbench.page.picks import pick_table


_P = 0.05
_RATES = (
    "Share refused in %, with 95 % Wilson intervals; * differs from no intervention (McNemar, p < 0.05); † some "
    "replies are degenerate: empty or looping, whatever they say; ‡ some ended inside their thought. Random rows: mean "
    "and range over the directions. Click a share to read the replies."
)
_COSTS = (
    "KL: from the model as it is, on its own replies to harmless requests, with a 95 % interval. Right answers in %; * "
    "differs from no intervention (McNemar, p < 0.05). Random rows: mean and range over the directions."
)


def effects_html(inquiry: Inquiry, *, running: bool = False) -> str:
    """Every intervention with its rates of refusal; a click on a rate leads to the replies behind it.

    Args:
        inquiry: What it has measured.
        running: Whether more is to come: how far judges agree is worked out once, at the end.
    """
    if not inquiry.rates:
        return ""
    columns = list(dict.fromkeys((each.group, each.system) for each in inquiry.rates))
    arms = dict.fromkeys((each.arm, each.title) for each in inquiry.rates if not each.floor)
    rows = [_row(title, _rates(arm, columns, inquiry.rates)) for arm, title in arms]
    floors = dict.fromkeys(each.floor for each in inquiry.rates if each.floor)
    rows += [_floor_row(floor, inquiry, _floor_rates(floor, columns, inquiry.rates)) for floor in floors]
    shown = pick_table(_head([_group(*each) for each in columns]), "".join(rows))
    return card(
        heading("Every intervention: requests refused, %")
        + shown
        + note(_RATES)
        + ("" if running else _judges(inquiry))
    )


def costs_html(inquiry: Inquiry) -> str:
    """What every intervention costs: how far replies move, and right answers."""
    if not inquiry.costs:
        return ""
    sets = list(dict.fromkeys(name for cost in inquiry.costs for name in cost.answers))
    rows = [_row(cost.title, _cost(cost, sets)) for cost in inquiry.costs if not cost.floor]
    floors = dict.fromkeys(each.floor for each in inquiry.costs if each.floor)
    rows += [_floor_row(floor, inquiry, _floor_costs(floor, sets, inquiry.costs)) for floor in floors]
    title = "Every intervention: what it costs"
    return card(heading(title) + pick_table(_head(["KL, nats", *sets]), "".join(rows)) + note(_COSTS))


def replies_html(rates: Rates, base: Rates | None) -> str:
    """The replies behind one share, folded behind a note, the unedited model's beside each."""
    kinds = {content: sum(each.content == content for each in rates.said) for content in CONTENTS}
    counted = ", ".join(f"{count} {content}" for content, count in kinds.items() if count)
    before = {each.index: each.text for each in base.said} if base and base.arm != rates.arm else {}
    items = "".join(said_html(each, before.get(each.index)) for each in rates.said)
    return card(
        heading(f"{rates.title[0].upper()}{rates.title[1:]}, {_group(rates.group, rates.system)}")
        + note(f"{rates.n} replies: {counted}{_beside(rates)}. Mean length {rates.tokens:.0f} tokens.")
        + note(CONTENT_NOTE)
        + f'<details class="sw-replies"><summary>Show the {rates.n} replies</summary>{items}</details>'
    )


def said_html(said: Said, before: str | None) -> str:
    """One reply with what the judges say of it, and what the model says as it is where that differs."""
    facts = [said.sorted_as]
    if not math.isnan(said.log_odds):
        facts.append(f"log-odds {said.log_odds:.1f}")
    if said.classifier is not None:
        facts.append("classifier: refusal" if said.classifier else "classifier: no refusal")
    if said.endpoint is not None:
        facts.append("model at an address: refusal" if said.endpoint else "model at an address: no refusal")
    unedited = f'<p class="sw-said">Without it: {escape(before)}</p>' if before and before != said.text else ""
    return (
        f'<div class="sw-one"><p class="sw-said">{escape(said.prompt)}</p>'
        f'<p class="sw-past sw-reply">{escape(said.text) or "(no text)"}</p>{unedited}{pills(facts)}</div>'
    )


def pick_of(rates: Rates) -> str:
    """What a cell of the table stands for."""
    return f"{rates.arm}|{rates.group}|{int(rates.system)}"


def _head(names: Sequence[str]) -> str:
    return "<th>intervention</th>" + "".join(f"<th class=sw-n>{escape(name)}</th>" for name in names)


def _row(title: str, cells: Iterable[str]) -> str:
    return f"<tr><td>{escape(title)}</td>{''.join(cells)}</tr>"


def _floor_row(floor: str, inquiry: Inquiry, cells: Iterable[str]) -> str:
    beside = ", ".join(arm for arm, own in FLOORS.items() if own == floor)
    n = len({each.arm for each in inquiry.rates if each.floor == floor})
    named = f"{floor}, {n} direction{'s' * (n != 1)}"
    title = f'<td title="floor of {escape(beside)}">{escape(named)}</td>'
    return f'<tr class="sw-faint">{title}{"".join(cells)}</tr>'


def _rates(arm: str, columns: Sequence[tuple[str, bool]], every: Sequence[Rates]) -> list[str]:
    found = {(each.group, each.system): each for each in every if each.arm == arm}
    return [_rate(found.get(column)) for column in columns]


def _rate(rates: Rates | None) -> str:
    if rates is None:
        return _cell("–")
    star = "*" if rates.p_value < _P else ""
    broken = f", {percent(rates.degenerate.value)} of them degenerate" if rates.degenerate.value else ""
    marks = f"{star}{'†' if broken else ''}{'‡' if rates.unfinished.value else ''}"
    said = f"Read the {rates.n} replies{broken}"
    link = f'<button type="button" class="sw-cell-link" data-pick="{escape(pick_of(rates))}" title="{said}">'
    return _cell(f"{link}{rate(rates.refusal, marks)}</button>")


def _floor_rates(floor: str, columns: Sequence[tuple[str, bool]], every: Sequence[Rates]) -> list[str]:
    own = [each for each in every if each.floor == floor]
    values = [
        [100 * each.refusal.value for each in own if (each.group, each.system) == (group, system)]
        for group, system in columns
    ]
    return [_cell(spread(each)) for each in values]


def _cost(cost: Cost, sets: Sequence[str]) -> list[str]:
    mean = cost.kl_mean
    tip = f"95th percentile {figure(cost.kl_p95)} nats; perplexity of its own replies {figure(cost.perplexity)}"
    between = "" if mean.low == mean.high else f"<small>{nats(mean.low)} to {nats(mean.high)}</small>"
    cells = [_cell(nats(mean.value) + between, tip)]
    for name in sets:
        answers = cost.answers[name]
        mass = "" if math.isnan(answers.mass) else f"; {answers.mass:.0%} of the mass on the options"
        cells.append(_cell(rate(answers.accuracy, "*" if answers.p_value < _P else ""), f"n = {answers.n}{mass}"))
    return cells


def _floor_costs(floor: str, sets: Sequence[str], every: Sequence[Cost]) -> list[str]:
    own = [each for each in every if each.floor == floor]
    right = [[100 * each.answers[name].accuracy.value for each in own if name in each.answers] for name in sets]
    return [_cell(spread([each.kl_mean.value for each in own], nats)), *(_cell(spread(each)) for each in right)]


def _cell(inner: str, tip: str = "") -> str:
    return f'<td class="sw-n"{f" title={chr(34)}{tip}{chr(34)}" if tip else ""}>{inner}</td>'


def _judges(inquiry: Inquiry) -> str:
    said = [said for rates in inquiry.rates if not rates.floor for said in rates.said]
    return judges_html(agreement(said), lambda each: said_html(each, None), CONTENT_NOTE)


def _beside(rates: Rates) -> str:
    """What is true of some of the replies beside their content."""
    counts = {
        "of the refusals late": rates.late,
        "comply after words of refusal": rates.turned,
        "degenerate: empty or looping": sum(each.broken for each in rates.said),
        "cut by the token budget": sum(each.form == "cut" for each in rates.said),
    }
    return "".join(f"; {count} {what}" for what, count in counts.items() if count)


def _group(group: str, system: bool) -> str:
    return f"{group}, system prompt" if system else group
