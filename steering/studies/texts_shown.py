"""The texts of a result as a notebook shows them: replies side by side, a grid's cells, what numbers are made of."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from steering.forms.markup import columns, fold, heading, note, shade, table, verbatim
from steering.forms.tables import cut_text
from steering.names import upper_first
from steering.numbers import counted, plain_number
from steering.passes.replies_shown import FINISHES


if TYPE_CHECKING:
    import pandas as pd

    from steering.studies.study import Result

_MOST_REPLIES, _MOST_CELLS = 12, 60
_FULL = 1.0
"""Nats that colour a cell of a grid fully, at least."""
_LETTERS = "abc"
_HARMFUL = (
    "The model's own words, some of them to requests that name harmful acts, shown so that the judges can be checked."
)
_CELLS = ("text", "tokens", "finish", "modified_prompt", "modified_generated", "kl_p95_nats")
"""Columns of a grid's cells that are no axis."""


def texts_html(result: Result) -> str:
    """What a study of texts shows in place of a figure."""
    show, found = TEXTS.get(result.study), result.tables.get(result.headline)
    return show(found) if show is not None and found is not None and len(found) else ""


def asked_html(result: Result) -> str:
    """What the texts answer."""
    user, before = result.settings.get("user"), result.settings.get("turns") or ()
    if result.study not in TEXTS or not isinstance(user, str):
        return ""
    turns = f", after {counted(len(before), 'turn')}" if before else ""
    return heading(f"Asked{turns}") + f'<div class="t">{escape(user)}</div>'


def _side_by_side(replies: pd.DataFrame) -> str:
    each = []
    for n, row in enumerate(replies.head(_MOST_REPLIES).to_dict("records")):
        thought = fold("Thought", verbatim(str(row["thought"]))) if row.get("thought") else ""
        prompt, generated = row.get("modified_prompt", 0), row.get("modified_generated", 0)
        modified = f"modified {prompt} prompt + {generated} generated positions"
        ended = FINISHES.get(str(row.get("finish")), f"ended by: {row.get('finish')}")
        said = (
            f"{counted(int(row.get('tokens', 0)), 'token')} · "
            f"{modified if prompt or generated else 'nothing was modified'} · {ended}"
        )
        text = escape(str(row.get("answer") or row.get("text") or "(no text)"))
        hue = _LETTERS[(n - 1) % len(_LETTERS)] if n else ""
        title = upper_first(str(row.get("row", "")))
        each.append((hue, title, f'{thought}<div class="t">{text}</div>{note(said)}'))
    return columns(each)


def _grid(cells: pd.DataFrame) -> str:
    """Replies by their axes, each coloured by how far it was moved."""
    axes = [name for name in cells.columns if name not in _CELLS]
    if not axes or "text" not in cells:
        return ""
    across, down = axes[0], axes[1] if len(axes) > 1 else None
    shown = cells.head(_MOST_CELLS)
    full = max(_FULL, float(shown["kl_p95_nats"].max()))
    tops = list(dict.fromkeys(map(str, shown[across])))
    rows = dict.fromkeys(map(str, shown[down])) if down else {"": None}
    at = {(str(row[across]), str(row[down]) if down else ""): row for row in shown.to_dict("records")}
    top = "".join(f"<th>{escape(each)}</th>" for each in tops)
    body = "".join(
        f"<tr><th>{escape(row)}</th>{''.join(_cell(at.get((each, row)), full) for each in tops)}</tr>" for row in rows
    )
    corner = escape(f"{down} ↓, {across} →" if down else f"{across} →")
    left = len(cells) - len(shown)
    said = (
        f"Colour: 95th percentile over a reply's tokens of KL(unsteered || recipe), full at {plain_number(full)} nats."
    )
    return (
        f'<div class="r"><table><thead><tr><th>{corner}</th>{top}</tr></thead><tbody>{body}</tbody></table></div>'
        f"{note(said)}{note(f'{left} more cells are not shown.') if left > 0 else ''}"
    )


def _cell(row: Any, full: float) -> str:
    if row is None:
        return "<td></td>"
    moved = float(row["kl_p95_nats"])
    text, said = escape(cut_text(str(row["text"]))) or "(no text)", f"KL p95 {plain_number(moved)} nats"
    return f'<td class="x" style="{shade("a", moved / full)}">{text}{note(said)}</td>'


def replies_html(result: Result) -> str:
    """Replies behind the numbers, folded: some are to harmful requests."""
    found = result.tables.get("replies")
    if found is None or result.study in TEXTS or "text" not in found:
        return ""
    kept = [
        name
        for name in ("arm", "group", "prompt", "features_of", "done", "text", "content", "form")
        if name in found.columns
    ]
    shown = table(found[kept], 'result.tables["replies"]', most=_MOST_REPLIES)
    return fold(f"{counted(len(found), 'reply', 'replies')}, some to harmful requests", note(_HARMFUL) + shown)


def snippets_html(result: Result) -> str:
    """Where features are active in the texts that were read, folded: some are harmful requests."""
    found = result.tables.get("snippets")
    if found is None or "text" not in found or not len(found):
        return ""
    kept = [name for name in ("feature", "activation", "text", "side") if name in found.columns]
    shown = table(found[kept], 'result.tables["snippets"]', most=_MOST_REPLIES)
    return fold(f"Texts on which features are most active ({len(found):,}), some of them harmful requests", shown)


TEXTS = {"steer": _side_by_side, "grid": _grid}
"""Studies whose first table is of texts, and how those are shown."""
