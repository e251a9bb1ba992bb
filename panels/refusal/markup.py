"""What was found, and how refusals begin, as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from panels.refusal.numbers import percent
from steering.studies.refusal.tokens import RefusalTokens, TokenChance
from workbench.page.markup import card, escape, heading, note, table


_RARE = 0.005


def found_html(notes: Sequence[str]) -> str:
    """Everything that was found, in plain words."""
    items = "".join(f"<li>{escape(each)}</li>" for each in notes)
    return card(heading("What was found") + f'<ul class="sw-found">{items}</ul>') if notes else ""


def tokens_html(tokens: RefusalTokens) -> str:
    """First tokens of replies, how often each begins one, and how much the chosen ones explain."""
    rows = [_token(each, each.id in tokens.chosen) for each in tokens.known if _telling(each, tokens)]
    headers = ("token", "id", "taken", "before refusals", "on harmless", "own refusals")
    mass = (
        f"The tokens taken have {percent(tokens.target_mass)} of the first token's probability on {tokens.n[0]} "
        f"target requests and {percent(tokens.control_mass)} on {tokens.n[1]} control ones."
        if tokens.chosen
        else "No tokens are taken."
    )
    return card(heading("How refusals begin") + note(mass) + table(headers, rows, words=(0, 1, 2)))


def _telling(each: TokenChance, tokens: RefusalTokens) -> bool:
    return each.id in tokens.chosen or each.refusals > 0 or max(each.target, each.control) >= _RARE


def _token(each: TokenChance, taken: bool) -> tuple[str, ...]:
    shares = percent(each.target), percent(each.control)
    return f"{each.text!r}", f"#{each.id}", "yes" if taken else "", *shares, str(each.refusals)
