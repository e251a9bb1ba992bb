"""What a file was understood as, on the page: kind, columns, rows, the first three, and what was left out and why."""

from __future__ import annotations

from typing import Any

from steering.texts.understanding import KINDS, Understood
from workbench.page.markup import escape, note
from workbench.places import without_places


_SHOWN = 200
"""Characters of a text in a preview."""


def preview(found: Understood) -> dict[str, Any]:
    """A file or a shipped set in a few lines, as plain data: a sentence, columns of texts, notes."""
    said = f"{found.name}: {KINDS[found.kind].title}, {found.how}. {found.rows:,} rows; {found.counts}."
    sides = [{"head": head, "texts": [_cut(row[n]) for row in found.first]} for n, head in enumerate(found.heads)]
    return {"said": without_places(said), "sides": sides, "notes": [without_places(each) for each in found.notes]}


def file_preview(found: Understood) -> str:
    """The same as markup: its texts side by side as its columns are."""
    seen = preview(found)
    sides = "".join(_side(each["head"], each["texts"]) for each in seen["sides"])
    return f"{note(seen['said'])}<div class='sw-sides'>{sides}</div>{''.join(map(note, seen['notes']))}"


def _cut(text: str) -> str:
    return text[:_SHOWN] + " …" * (len(text) > _SHOWN)


def _side(head: str, texts: list[str]) -> str:
    quoted = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<div><b>{escape(head)}</b><ul>{quoted}</ul></div>"
