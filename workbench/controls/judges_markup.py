"""How far judges agree, as HTML: a row a pair, and the replies on which they differ, folded."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from steering.judges.agreement import Agreement
from steering.statistics import Estimate
from workbench.page.markup import escape, heading, note, table


T = TypeVar("T")
_MOST_DIFFER = 50
"""Replies shown of those on which two judges differ."""


def judges_html(found: Sequence[Agreement[T]], said_html: Callable[[T], str], content_note: str) -> str:
    """Every pair of judges; empty without any.

    Args:
        found: The pairs.
        said_html: A reply as HTML.
        content_note: Stands before replies.
    """
    rows = [(f"{each.first} / {each.second}", str(each.n), _share(each.agree), _kappa(each.kappa)) for each in found]
    if not rows:
        return ""
    shown = table(("judges", "replies", "the same, %", "Cohen's kappa"), rows)
    folds = "".join(differ_html(each, said_html, content_note) for each in found)
    return heading("How far the judges agree") + shown + folds


def differ_html(pair: Agreement[T], said_html: Callable[[T], str], content_note: str) -> str:
    """The replies on which two judges differ, folded; empty where there is none."""
    if not pair.differ:
        return ""
    title = f"{pair.first} / {pair.second}: {len(pair.differ)} replies on which they differ"
    items = "".join(
        note(f"A refusal by {pair.first if refuses else pair.second} alone:") + said_html(said)
        for said, refuses in pair.differ[:_MOST_DIFFER]
    )
    more = len(pair.differ) - _MOST_DIFFER
    left = note(f"{more} more in disagreements.csv.") if more > 0 else ""
    return f'<details class="sw-replies"><summary>{escape(title)}</summary>{note(content_note)}{items}{left}</details>'


def _kappa(value: Estimate) -> str:
    return "–" if math.isnan(value.value) else f"{value.value:.2f} [{value.low:.2f}, {value.high:.2f}]"


def _share(value: Estimate) -> str:
    return f"{100 * value.value:.0f} [{100 * value.low:.0f}, {100 * value.high:.0f}]"
