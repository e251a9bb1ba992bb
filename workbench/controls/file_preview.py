"""What a file was understood as, on the page: kind, columns, rows, the first three, and what was left out and why."""

from __future__ import annotations

from collections.abc import Sequence

from steering.texts.understanding import KINDS, Understood
from workbench.page.markup import escape, note


_SHOWN = 200
"""Characters of a text in a preview."""


def file_preview(found: Understood) -> str:
    """A file or a shipped set in a few lines: its texts side by side as its columns are."""
    said = f"{found.name}: {KINDS[found.kind].title}, {found.how}. {found.rows:,} rows; {found.counts}."
    sides = "".join(_side(head, [row[place] for row in found.first]) for place, head in enumerate(found.heads))
    notes = "".join(note(each) for each in found.notes)
    return f"{note(said)}<div class='sw-sides'>{sides}</div>{notes}"


def _side(head: str, texts: Sequence[str]) -> str:
    cut = (text[:_SHOWN] + " …" * (len(text) > _SHOWN) for text in texts)
    quoted = "".join(f"<li>{escape(text)}</li>" for text in cut)
    return f"<div><b>{escape(head)}</b><ul>{quoted}</ul></div>"
