"""Features as HTML: what a dictionary's files say, one table that a click sorts, one feature with its texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from steering.dictionaries.dictionary import Dictionary
from steering.names import upper_first
from steering.numbers import plain_number
from steering.studies.features.placement import where_words
from steering.studies.features.snippets import MARKS
from workbench.page.markup import escape, fold, heading, note, pills
from workbench.page.picks import pick_table


Row = Mapping[Any, Any]
COLUMNS = {
    "found_by": "found by",
    "promotes": "promotes",
    "auroc": "AUROC",
    "p": "p",
    "difference": "difference",
    "cosine": "cosine",
    "weight": "weight",
    "at_prompt": "at prompt",
    "output_score": "output score",
    "input_score": "input score",
    "active": "active",
    "maximum": "maximum",
    "label": "label",
}
"""Columns of the table that are shown, where a run gives them."""
_LOOK = "Find and Health look at it; Cause and Steer take none of its features."
_WORDS = ("found_by", "promotes", "label")
_PROMOTED = 3
"""Tokens of a feature in the table."""
SORT = """
element.addEventListener('click', event => {
  const head = event.target.closest('[data-sort]')?.closest('th');
  if (!head) return;
  const rising = head.ariaSort === 'descending', place = [...head.parentElement.children].indexOf(head);
  head.parentElement.querySelectorAll('th').forEach(each => each.removeAttribute('aria-sort'));
  head.ariaSort = rising ? 'ascending' : 'descending';
  const body = head.closest('table').tBodies[0], of = row => row.children[place].dataset.value ?? '';
  const by = (one, other) => {
    const [a, b] = [of(one), of(other)], number = a !== '' && b !== '' && !isNaN(a) && !isNaN(b);
    if (a === '' || b === '') return (a === '') - (b === '');
    const order = number ? a - b : a.localeCompare(b);
    return rising ? order : -order;
  };
  body.append(...[...body.rows].sort(by));
});
"""
"""Sorts a table by the column whose head is clicked: the largest first, then the smallest; what has no value last."""


def about_html(dictionary: Dictionary, notes: Sequence[str]) -> str:
    """What a dictionary's files say, before anything was measured.

    Args:
        dictionary: It.
        notes: What to mind on the model at hand.
    """
    trained = f" It says that it was trained on {dictionary.model}." if dictionary.model else ""
    sort = "" if dictionary.kind == dictionary.architecture else f" ({dictionary.architecture})"
    said = (
        f"{dictionary.name}: {upper_first(dictionary.kind)}{sort}, {dictionary.n_features:,} features of states of "
        f"width {dictionary.width_in:,}, {where_words(dictionary)}.{trained}"
    )
    only = f"{dictionary.read_only} {_LOOK}" if dictionary.read_only else ""
    held = dictionary.card.get("held_out")
    measured = _held_out(held) if isinstance(held, Mapping) else ""
    return "".join(map(note, filter(None, (said, only, measured, *dictionary.notes, *notes))))


def table_html(rows: Sequence[Row]) -> str:
    """All features that were found, a table for each contrast set; a click on a head sorts, one on a row opens it."""
    if not rows:
        return ""
    sets = dict.fromkeys(str(row.get("set") or "") for row in rows)
    shown = [
        heading(f"Features of {name}" if name else "Features")
        + _of_set([row for row in rows if str(row.get("set") or "") == name])
        for name in sets
    ]
    return "".join(shown) + note("A click on a head sorts by it, one on a row opens the feature.")


def _of_set(rows: Sequence[Row]) -> str:
    shown = [name for name in COLUMNS if name in rows[0]]
    if len({row["found_by"] for row in rows}) == 1:
        shown.remove("found_by")
    heads = "".join(_head(COLUMNS[name], figure=name not in _WORDS) for name in shown)
    body = "".join(
        f'<tr data-pick="{row["feature"]}"><td data-value="{row["feature"]}">'
        f'<button type="button" class="sw-cell-link">{row["feature"]}</button></td>'
        f"{''.join(_cell(row, name) for name in shown)}</tr>"
        for row in rows
    )
    return pick_table(_head("feature", figure=False) + heads, body, tall=True)


def feature_html(row: Row, tables: Mapping[str, pd.DataFrame], sides: tuple[str, str], shelve: tuple[str, str]) -> str:
    """One feature: what it promotes, how it fires, and the texts on which it is most active.

    Args:
        row: Of the table of features.
        tables: All of the run.
        sides: What the two sides of the contrast set are called.
        shelve: Name of its vector and id of the run, where it can be put on the shelf; "" for either where not.
    """
    number = row["feature"]
    label = f": {row['label']}" if row.get("label") else ""
    head = heading(f"Feature {number}{label}") + f"<p>{pills([_found_by(row), *_figures(row)])}</p>"
    promoted = note(f"Promotes {row['promotes']}")
    name, run = shelve
    asked = f'data-shelve="{escape(name)}" data-run="{escape(run)}"'
    button = f'<p class="sw-run"><button type="button" class="sw-link" {asked}>Put it on the shelf</button></p>'
    body = f"{promoted}{_firing(row, sides)}{_on_prompt(number, tables)}"
    return f'<div class="sw-lead">{head}</div>{body}{button if name and run else ""}'


def texts_html(number: int, tables: Mapping[str, pd.DataFrame]) -> str:
    """The texts on which a feature is most active, folded: some may be requests of any kind."""
    snippets = tables["snippets"]
    own = snippets[snippets["feature"] == number].to_dict("records")
    if not own:
        return note("It is active on none of the texts that were read.")
    lines = "".join(_snippet(each) for each in own)
    return fold("features-texts", "The texts on which it is most active", lines)


def _snippet(row: Row) -> str:
    facts = filter(None, (plain_number(row["activation"]), row["side"]))
    return f'<p class="sw-one">{pills(facts)} {_marked(row["text"])}</p>'


def _found_by(row: Row) -> str:
    return f"found by {row['found_by']}"


def _head(title: str, *, figure: bool) -> str:
    kind = ' class="sw-n"' if figure else ""
    return f'<th{kind}><button type="button" class="sw-cell-link" data-sort>{escape(title)}</button></th>'


def _cell(row: Row, name: str) -> str:
    value = row[name]
    if name in _WORDS:
        words = _first(str(value)) if name == "promotes" else value
        return f'<td data-value="{escape(value)}">{escape(words)}</td>'
    if not isinstance(value, int | float) or math.isnan(value):
        return '<td class="sw-n">–</td>'
    low, high = (row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    spread = "" if math.isnan(low) else f"<small>{plain_number(low)} to {plain_number(high)}</small>"
    shown = _percent(value) if name == "active" else plain_number(value)
    return f'<td class="sw-n" data-value="{value!r}">{escape(shown)}{spread}</td>'


def _first(promotes: str) -> str:
    """The first tokens of those that are promoted; they are quoted, with spaces between."""
    parts = promotes.split("' '")
    return promotes if len(parts) <= _PROMOTED else "' '".join(parts[:_PROMOTED]) + "' …"


def _figures(row: Row) -> list[str]:
    named = {"maximum": "typical maximum", "output_score": "output score", "input_score": "input score"}
    known = {name: row[name] for name in named if isinstance(row.get(name), float) and not math.isnan(row[name])}
    return [f"{named[name]} {plain_number(value)}" for name, value in known.items()]


def _firing(row: Row, sides: tuple[str, str]) -> str:
    """On which share of the held-out texts of either side it is active, as bars."""
    shares = (row.get("frequency_positive"), row.get("frequency_negative"))
    if not all(isinstance(each, float) and not math.isnan(each) for each in shares):
        return ""
    bars = "".join(
        f'<div class="sw-job"><b>{escape(side)}</b><span class="sw-bar" role="img" '
        f'aria-label="{escape(f"{side}: {_percent(share)}")}"><i style="width:{100 * share:.1f}%"></i></span>'
        f'<span class="sw-n">{_percent(share)}</span></div>'
        for side, share in zip(sides, shares, strict=True)
        if share is not None
    )
    told = note("Share of held-out texts of either side on which it is active at some token.")
    return f'<div class="sw-firing">{bars}</div>{told}'


def _on_prompt(number: int, tables: Mapping[str, pd.DataFrame]) -> str:
    """The prompt with each token as dark as the feature is active there."""
    cells = tables.get("map")
    own = cells[cells["feature"] == number].to_dict("records") if cells is not None else []
    if not own:
        return ""
    tokens = "".join(
        f'<span class="sw-tok sw-more-of" style="--v:{min(1.0, max(0.0, each["of_maximum"])):.2f}">'
        f"{escape(each['token'])}</span>"
        for each in own
    )
    return f'<p class="sw-a">{tokens}</p>' + note("The prompt; fully coloured at its typical maximum.")


def _marked(text: str) -> str:
    """A snippet with its token marked."""
    before, _, rest = text.partition(MARKS[0])
    token, _, after = rest.rpartition(MARKS[1])
    return f"{escape(before)}<mark>{escape(token)}</mark>{escape(after)}"


def _held_out(held: Mapping[Any, Any]) -> str:
    names = {"explained_variance": "explained variance", "l0": "active features a token", "dead": "dead features"}
    known = [
        f"{said} {plain_number(held[name])}" for name, said in names.items() if isinstance(held.get(name), int | float)
    ]
    return f"On held-out states its makers measured: {', '.join(known)}." if known else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or share == 0 else f"{100 * share:.2g} %"
