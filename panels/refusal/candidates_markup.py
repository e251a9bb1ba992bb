"""The candidates as HTML: the chosen one, and all of them with why each was dropped."""

from __future__ import annotations

from collections.abc import Mapping

from panels.refusal.numbers import figure
from steering.studies.refusal import Inquiry
from steering.studies.refusal.candidates import Candidate
from steering.studies.refusal.rules import Choice, Score
from workbench.page.markup import card, escape, heading, note
from workbench.page.picks import pick_table


_SHORT = {"late": "block", "induces no refusal": "induce", "changes harmless replies": "KL"}
"""Beginnings of reasons -> the column that the reader looks at."""


def candidates_html(inquiry: Inquiry) -> str:
    """The chosen candidate, then every one with its scores and why it was dropped; a click takes it instead."""
    chosen = inquiry.choice.score.candidate if inquiry.choice else None
    truth = inquiry.truth
    scores = sorted(inquiry.scores.values(), key=lambda score: _order(score, inquiry, chosen))
    head = ("token", "block", "outcome", "bypass", "induce", "KL", "COSMIC", *(("planted",) if truth else ()))
    cells = "".join(f"<th{'' if name in ('token', 'outcome') else ' class=sw-n'}>{name}</th>" for name in head)
    body = "".join(_candidate(score, inquiry, chosen, truth) for score in scores)
    top = choice_html(inquiry.choice, truth) if inquiry.choice else ""
    return card(top + heading("Every candidate") + pick_table(cells, body, tall=True) + note(_rules(inquiry)))


def choice_html(choice: Choice, truth: Mapping[Candidate, float]) -> str:
    """The chosen candidate with its scores."""
    score = choice.score
    facts = [
        f"bypass {figure(score.bypass)}",
        f"induce {figure(score.induce)}",
        f"KL {figure(score.kl)} nats",
        f"COSMIC {figure(score.cosmic)}",
        f"{choice.n_passing} of {choice.n_candidates} pass",
    ]
    if score.candidate in truth:
        facts.append(f"cosine with the planted direction {truth[score.candidate]:.2f}")
    flag = "" if choice.passes else '<p class="sw-why">No candidate passes every rule: this one breaks fewest.</p>'
    where = f"Chosen: token {score.candidate.position} ({score.token!r}), block {score.candidate.block}"
    shown = "".join(f'<span class="sw-pill">{fact}</span>' for fact in facts)
    return heading(where) + flag + f'<p class="sw-lead">{shown}</p>'


def _rules(inquiry: Inquiry) -> str:
    settings, blocks = inquiry.settings, inquiry.host.info.blocks
    return (
        f"Dropped: induce under {settings.min_induce:g}, KL over {settings.max_kl:g} nats, blocks from "
        f"{int(settings.max_depth * blocks)} on. Bypass and induce are log-odds of the refusal tokens. Click a "
        "token to take that candidate; then press Measure effects."
    )


def _order(score: Score, inquiry: Inquiry, chosen: Candidate | None) -> tuple[bool, int, float]:
    reasons = score.reasons(inquiry.settings.rules, inquiry.host.info.blocks, inquiry.settings.by)
    return score.candidate != chosen, len(reasons), score.rank(inquiry.settings.by)


def _candidate(score: Score, inquiry: Inquiry, chosen: Candidate | None, truth: Mapping[Candidate, float]) -> str:
    settings, place = inquiry.settings, score.candidate
    reasons = score.reasons(settings.rules, inquiry.host.info.blocks, settings.by)
    outcome = "chosen" if place == chosen else "dropped" if reasons else "passes" if score.measured else "not scored"
    figures = [score.bypass, score.induce, score.kl, score.cosmic, *((truth.get(place),) if truth else ())]
    cells = "".join(f'<td class="sw-n">{figure(each)}</td>' for each in figures)
    token = f"{place.position} {escape(repr(score.token)[1:-1])}"
    if not score.flat:
        pick = f"{place.position}/{place.block}"
        token = f'<button type="button" class="sw-cell-link" data-pick="{pick}" title="Take it">{token}</button>'
    why = f'<small title="{escape("; ".join(reasons))}">{escape(", ".join(map(_short, reasons)))}</small>'
    return (
        f'<tr class="{"sw-on" if place == chosen else ""}"><td>{token}</td><td class="sw-n">{place.block}</td>'
        f'<td class="sw-outcome">{outcome}{why if reasons else ""}</td>{cells}</tr>'
    )


def _short(reason: str) -> str:
    """Which rule it was, in a word; the figure stands in that column."""
    return _SHORT.get(reason.partition(":")[0], reason)
