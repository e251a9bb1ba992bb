"""The refusal study as HTML: what was found, candidates, effects, and the replies behind every number."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from steering.judges.sorting import CONTENTS
from steering.statistics import Estimate
from steering.studies.refusal import Inquiry
from steering.studies.refusal.agreement import agreement
from steering.studies.refusal.arms import FLOORS
from steering.studies.refusal.candidates import Candidate
from steering.studies.refusal.outcomes import Cost, Rates
from steering.studies.refusal.replies import Said
from steering.studies.refusal.report import CONTENT_NOTE, caption
from steering.studies.refusal.rules import Choice, Score
from steering.studies.refusal.tokens import RefusalTokens, TokenChance
from workbench.controls.judges_markup import judges_html
from workbench.page.markup import card, escape, heading, note, pills, table
from workbench.page.picks import pick_table


_P = 0.05
_RARE = 0.005


def found_html(notes: Sequence[str]) -> str:
    """Everything that was found, in plain words."""
    items = "".join(f"<li>{escape(each)}</li>" for each in notes)
    return card(heading("What was found") + f'<ul class="sw-found">{items}</ul>') if notes else ""


def tokens_html(tokens: RefusalTokens) -> str:
    """First tokens of replies, how often each begins one, and how much the chosen ones explain."""
    rows = [_token(each, each.id in tokens.chosen) for each in tokens.known if _telling(each, tokens)]
    headers = ("token", "id", "before refusals", "on harmless", "own refusals", "taken")
    mass = (
        f"The tokens taken have {_percent(tokens.target_mass)} of the first token's probability on {tokens.n[0]} "
        f"target requests and {_percent(tokens.control_mass)} on {tokens.n[1]} control ones."
        if tokens.chosen
        else "No tokens are taken."
    )
    return heading("How refusals begin") + note(mass) + table(headers, rows, words=(0, 1, 5))


def choice_html(choice: Choice, truth: Mapping[Candidate, float]) -> str:
    """The chosen candidate with its scores."""
    score = choice.score
    facts = [
        f"bypass {_figure(score.bypass)}",
        f"induce {_figure(score.induce)}",
        f"KL {_figure(score.kl)} nats",
        f"COSMIC {_figure(score.cosmic)}",
        f"{choice.n_passing} of {choice.n_candidates} pass",
    ]
    if score.candidate in truth:
        facts.append(f"cosine with the planted direction {truth[score.candidate]:.2f}")
    flag = "" if choice.passes else '<p class="sw-why">No candidate passes every rule: this one breaks fewest.</p>'
    where = f"Token {score.candidate.position} ({score.token!r}), block {score.candidate.block}"
    return heading(where) + flag + f'<p class="sw-lead">{pills(facts)}</p>'


def candidates_html(inquiry: Inquiry) -> str:
    """Every candidate with its scores and why it was dropped; a click takes it instead."""
    settings, blocks = inquiry.settings, inquiry.host.info.blocks
    chosen = inquiry.choice.score.candidate if inquiry.choice else None
    truth = inquiry.truth
    scores = sorted(inquiry.scores.values(), key=lambda score: _order(score, inquiry, chosen))
    head = ("token", "block", "bypass", "induce", "KL", "COSMIC", *(("truth",) if truth else ()), "", "why dropped")
    body = "".join(_candidate(score, inquiry, chosen, truth) for score in scores)
    words = ("token", "", "why dropped")
    cells = "".join(f"<th{'' if name in words else ' class=sw-n'}>{escape(name)}</th>" for name in head)
    rules = (
        f"Dropped: induce under {settings.min_induce:g}, KL over {settings.max_kl:g} nats, blocks from "
        f"{int(settings.max_depth * blocks)} on. Bypass and induce are log-odds of the refusal tokens. Click a row to "
        "take that candidate in step 3."
    )
    return heading("Every candidate") + pick_table(cells, body) + f"{note(rules)}"


def effects_html(inquiry: Inquiry) -> str:
    """Every intervention with its rates; a click on a rate leads to the replies behind it."""
    if not inquiry.rates:
        return ""
    columns = list(dict.fromkeys((each.group, each.system) for each in inquiry.rates))
    sets = list(dict.fromkeys(name for cost in inquiry.costs for name in cost.answers))
    head = ["intervention", *(_group(*each) for each in columns), "KL, nats", *sets]
    arms = list(dict.fromkeys((each.arm, each.title) for each in inquiry.rates if not each.floor))
    rows = "".join(_effect(arm, title, columns, sets, inquiry) for arm, title in arms)
    floors = list(dict.fromkeys(each.floor for each in inquiry.rates if each.floor))
    rows += "".join(_floor(floor, columns, sets, inquiry) for floor in floors)
    cells = "".join(f"<th{' class=sw-n' if place else ''}>{escape(name)}</th>" for place, name in enumerate(head))
    explain = (
        "Share refused in %, with 95 % Wilson intervals; * differs from no intervention (McNemar, p < 0.05); † some "
        "replies are degenerate: empty or looping, whatever they say; ‡ some ended inside their thought. "
        "KL: from the model as it is, on its own replies to harmless "
        "requests. Right answers in %. Random rows: mean and range over the directions. Click a share to read the "
        "replies."
    )
    return heading("Every intervention") + pick_table(cells, rows) + f"{note(explain)}{_judges(inquiry)}"


def replies_html(rates: Rates, base: Rates | None) -> str:
    """The replies behind one share, folded behind a note, the unedited model's beside each."""
    kinds = {content: sum(each.content == content for each in rates.said) for content in CONTENTS}
    counted = ", ".join(f"{count} {content}" for content, count in kinds.items() if count)
    before = {each.index: each.text for each in base.said} if base and base.arm != rates.arm else {}
    items = "".join(_said(each, before.get(each.index)) for each in rates.said)
    return card(
        heading(f"{rates.title[0].upper()}{rates.title[1:]}, {_group(rates.group, rates.system)}")
        + note(f"{rates.n} replies: {counted}{_beside(rates)}. Mean length {rates.tokens:.0f} tokens.")
        + note(CONTENT_NOTE)
        + f'<details class="sw-replies"><summary>Show the {rates.n} replies</summary>{items}</details>'
    )


def _beside(rates: Rates) -> str:
    """What is true of some of the replies beside their content."""
    counts = {
        "of the refusals late": rates.late,
        "comply after words of refusal": rates.turned,
        "degenerate: empty or looping": sum(each.broken for each in rates.said),
        "cut by the token budget": sum(each.form == "cut" for each in rates.said),
    }
    return "".join(f"; {count} {what}" for what, count in counts.items() if count)


def caption_html(inquiry: Inquiry) -> str:
    """n, judge, interval, floor, template and system prompt of the charts of effects."""
    return note(caption(inquiry))


def _telling(each: TokenChance, tokens: RefusalTokens) -> bool:
    return each.id in tokens.chosen or each.refusals > 0 or max(each.target, each.control) >= _RARE


def _token(each: TokenChance, taken: bool) -> tuple[str, ...]:
    shares = _percent(each.target), _percent(each.control)
    return f"{each.text!r}", f"#{each.id}", *shares, str(each.refusals), "yes" if taken else ""


def _order(score: Score, inquiry: Inquiry, chosen: Candidate | None) -> tuple[bool, int, float]:
    reasons = score.reasons(inquiry.settings.rules, inquiry.host.info.blocks, inquiry.settings.by)
    return score.candidate != chosen, len(reasons), score.rank(inquiry.settings.by)


def _candidate(score: Score, inquiry: Inquiry, chosen: Candidate | None, truth: Mapping[Candidate, float]) -> str:
    settings, place = inquiry.settings, score.candidate
    reasons = score.reasons(settings.rules, inquiry.host.info.blocks, settings.by)
    outcome = "chosen" if place == chosen else "dropped" if reasons else "passes" if score.measured else "not scored"
    figures = [str(place.block), *(_figure(each) for each in (score.bypass, score.induce, score.kl, score.cosmic))]
    if truth:
        figures.append(_figure(truth.get(place)))
    cells = "".join(f'<td class="sw-n">{figure}</td>' for figure in figures)
    pick = "" if score.flat else f' data-pick="{place.position}/{place.block}"'
    token = f"{place.position} {escape(repr(score.token)[1:-1])}"
    marked = "sw-on" if place == chosen else ""
    return (
        f'<tr class="{marked}"{pick}><td class="sw-nowrap">{token}</td>{cells}<td>{outcome}</td>'
        f'<td class="sw-faint sw-wide">{escape("; ".join(reasons))}</td></tr>'
    )


def _effect(arm: str, title: str, columns: Sequence[tuple[str, bool]], sets: Sequence[str], inquiry: Inquiry) -> str:
    rates = {(each.group, each.system): each for each in inquiry.rates if each.arm == arm}
    cost = next((each for each in inquiry.costs if each.arm == arm), None)
    cells = "".join(_rate(rates.get(column)) for column in columns)
    return f"<tr><td class='sw-nowrap'>{escape(title)}</td>{cells}{_cost(cost, sets)}</tr>"


def pick_of(rates: Rates) -> str:
    """What a cell of the table stands for."""
    return f"{rates.arm}|{rates.group}|{int(rates.system)}"


def _rate(rates: Rates | None) -> str:
    if rates is None:
        return '<td class="sw-n">–</td>'
    star = "*" if rates.p_value < _P else ""
    broken = f", {_percent(rates.degenerate.value)} of them degenerate" if rates.degenerate.value else ""
    pick = pick_of(rates)
    marks = f"{star}{'†' if broken else ''}{'‡' if rates.unfinished.value else ''}"
    title = f"Read the {rates.n} replies{broken}"
    return (
        f'<td class="sw-n"><button class="sw-cell-link" data-pick="{escape(pick)}" title="{title}">'
        f"{_interval(rates.refusal)}{marks}</button></td>"
    )


def _floor(floor: str, columns: Sequence[tuple[str, bool]], sets: Sequence[str], inquiry: Inquiry) -> str:
    rates = [each for each in inquiry.rates if each.floor == floor]
    costs = [each for each in inquiry.costs if each.floor == floor]
    cells = ""
    for group, system in columns:
        values = [each.refusal.value for each in rates if (each.group, each.system) == (group, system)]
        cells += f'<td class="sw-n">{_range([100 * value for value in values])}</td>'
    cells += f'<td class="sw-n">{_range([each.kl_mean.value for each in costs], _nats)}</td>'
    for name in sets:
        right = [100 * each.answers[name].accuracy.value for each in costs if name in each.answers]
        cells += f'<td class="sw-n">{_range(right)}</td>'
    beside = ", ".join(arm for arm, own in FLOORS.items() if own == floor)
    n = len({each.arm for each in rates})
    named = f"{floor}, {n} direction{'s' * (n != 1)}"
    return f'<tr class="sw-faint"><td title="floor of {escape(beside)}">{escape(named)}</td>{cells}</tr>'


def _cost(cost: Cost | None, sets: Sequence[str]) -> str:
    if cost is None:
        return '<td class="sw-n">–</td>' * (1 + len(sets))
    kl = f"{_nats(cost.kl_mean.value)} [{_nats(cost.kl_mean.low)}, {_nats(cost.kl_mean.high)}]"
    tip = f"95th percentile {cost.kl_p95:.3g} nats; perplexity of its own replies {cost.perplexity:.3g}"
    cells = f'<td class="sw-n" title="{escape(tip)}">{kl}</td>'
    for name in sets:
        answers = cost.answers[name]
        star = "*" if answers.p_value < _P else ""
        tip = f"n = {answers.n}" + (
            "" if math.isnan(answers.mass) else f"; {answers.mass:.0%} of the mass on the options"
        )
        cells += f'<td class="sw-n" title="{escape(tip)}">{_interval(answers.accuracy)}{star}</td>'
    return cells


def _judges(inquiry: Inquiry) -> str:
    said = [said for rates in inquiry.rates if not rates.floor for said in rates.said]
    return judges_html(agreement(said), lambda each: _said(each, None), CONTENT_NOTE)


def _said(said: Said, before: str | None) -> str:
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


def _group(group: str, system: bool) -> str:
    return f"{group}, system prompt" if system else group


def _interval(value: Estimate) -> str:
    return f"{100 * value.value:.0f} [{100 * value.low:.0f}, {100 * value.high:.0f}]"


def _range(values: Sequence[float], shown: Callable[[float], str] = lambda value: f"{value:.0f}") -> str:
    if not values:
        return "–"
    return f"{shown(sum(values) / len(values))} ({shown(min(values))} to {shown(max(values))})"


def _nats(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 or not value else "<0.001"


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %" if value >= 0.005 else "under 1 %"


def _figure(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    if 0 < abs(value) < 0.001:
        return "<0.001"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
