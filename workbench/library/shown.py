"""The shelf as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering.forms.markup import head, note, output, table, warned
from steering.model.sites import site_words
from steering.names import short_name
from steering.numbers import counted, plain_number
from workbench.library.entries import Entry, Unreadable


if TYPE_CHECKING:
    from workbench.workspace import Workspace

_MOST = 40
"""Vectors that are shown."""


def shelf_html(workspace: Workspace) -> str:
    """A whole output."""
    found = workspace.entries()
    rows = pd.DataFrame(_rows(workspace, found))
    noted = [name for name in rows if not (rows[name] == "").all()]
    bad = [f"{each.name}: {each.error}" for each in found if isinstance(each, Unreadable)]
    empty = note("Empty. workspace.put(vector) puts one here.") if not found else ""
    shown = table(rows[noted], most=_MOST) if len(rows) else ""
    return output(head("Shelf", counted(len(rows), "vector")), warned(bad), shown, empty)


def shelf_text(workspace: Workspace) -> str:
    """The same in plain text."""
    found = workspace.entries()
    lines = [", ".join(f"{value}" for value in row.values() if value) for row in _rows(workspace, found)]
    bad = [f"{each.name}: cannot be read" for each in found if isinstance(each, Unreadable)]
    left = [f"… {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    return "\n  ".join([f"Shelf of {counted(len(lines), 'vector')}", *lines[:_MOST], *left, *bad])


def _rows(workspace: Workspace, found: list[Entry | Unreadable]) -> Iterator[dict[str, Any]]:
    for each in found:
        if isinstance(each, Entry):
            vector, noted = each.vector, workspace.notes.of(each.name)
            made = vector.provenance
            length = float(vector.mean_differences[vector.default_block])
            yield {
                "vector": each.name,
                "from": vector.feature.words
                if vector.feature
                else f"{made.contrast or '–'} by {made.method.replace('_', ' ') or '–'}",
                "model": short_name(made.model) or "–",
                "written at": f"block {vector.default_block}, {site_words(vector.site)}",
                "AUROC": "–" if vector.best_auroc is None else f"{vector.best_auroc:.3f}",
                "strength 1": f"{plain_number(length)} raw (× {vector.measure})",
                "group": noted.group,
                "note": noted.note,
            }
