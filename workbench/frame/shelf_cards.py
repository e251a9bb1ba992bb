"""What the shelf shows of a vector, as plain data; every text in it is shown as text."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from steering.errors import SteeringError
from steering.texts.understanding import KINDS
from steering.vectors.vector import SteeringVector
from workbench.bench import Workbench
from workbench.library.uploads import Upload
from workbench.library.vector_notes import UNNOTED, Noted
from workbench.page.markup import size_said
from workbench.places import without_places
from workbench.workspace import Unreadable


_log = logging.getLogger(__name__)


def shelf_cards(bench: Workbench) -> list[dict[str, Any]]:
    """A card for everything on the shelf, newest first; it says of a vector why it does not fit the loaded model."""
    cards = []
    for entry in bench.workspace.entries():
        if isinstance(entry, Unreadable):
            cards.append(unreadable_card(entry))
            continue
        try:
            unfit = entry.vector.misfit(bench.host) if bench.host else None
            noted = bench.workspace.notes.of(entry.name)
            cards.append(vector_card(entry.name, entry.vector, unfit, noted))
        except Exception as error:  # one odd file must not take the others off the page
            _log.exception("%s cannot be drawn", entry.path.name)
            found = SteeringError(f"It cannot be shown: {type(error).__name__}.", "a vector file.", "Remove it.")
            cards.append(unreadable_card(Unreadable(entry.path, found)))
    return cards


def vector_card(name: str, vector: SteeringVector, unfit: str | None, noted: Noted = UNNOTED) -> dict[str, Any]:
    """One vector; `unfit` is why it does not fit the loaded model, None if it does."""
    auroc = [] if vector.auroc is None else [float(value) for value in vector.auroc]
    known = [value for value in auroc if math.isfinite(value)]
    return {
        "name": name,
        "facts": describe(vector),
        "best": f"{max(known):.2f}" if known else "",
        "curve": sparkline(auroc),
        "unfit": unfit,
        "group": noted.group,
        "note": noted.note,
    }


def unreadable_card(item: Unreadable) -> dict[str, Any]:
    """A file that could not be read: what is wrong, and what to do."""
    rows = (item.error.given, item.error.expected and f"Expected {item.error.expected}", item.error.remedy)
    return {"name": item.name, "wrong": "\n".join(without_places(row) for row in rows if row)}


def upload_line(upload: Upload) -> dict[str, Any]:
    """An uploaded file: its name, what it was read as, when it came and how large it is."""
    read = ", ".join(
        f"{KINDS[kind].title if kind in KINDS else kind}, {rows:,} rows" for kind, rows in upload.kinds.items()
    )
    when = datetime.fromisoformat(upload.when).astimezone()
    facts = [read, f"{when:%d %b %Y} · {size_said(upload.size)}"]
    return {"digest": upload.digest, "name": upload.name, "facts": [each for each in facts if each]}


def describe(vector: SteeringVector) -> list[str]:
    """Method and block of a vector, how many prompts it was fitted on, and how strongly it is meant to be added."""
    positive, negative = vector.provenance.n_train
    fitted = "not measured here" if vector.provenance.elsewhere else f"{positive} + {negative} prompts"
    if vector.provenance.trained:
        fitted = f"{max(positive, negative)} examples of {vector.provenance.contrast}"
    method = vector.provenance.method.replace("_", " ")
    strength = f"strength {vector.suggested_strength:.3g} × {vector.measure}"
    if vector.feature:
        read = f"maximum read on {vector.feature.texts}" if vector.feature.texts else "maximum as it was given"
        return [f"{vector.feature.words} · block {vector.default_block}", read, strength]
    return [f"{method} · block {vector.default_block}", fitted, strength]


def sparkline(values: Sequence[float], *, width: int = 180, height: int = 26) -> list[str]:
    """AUROC by block as the points of lines, 0.5 on the base line; blocks without a value break the curve."""
    step = width / max(1, len(values) - 1)
    base, top = height - 2, 2
    runs: list[list[str]] = [[]]
    for index, value in enumerate(values):
        if math.isfinite(value):
            runs[-1].append(f"{index * step:.1f},{base - (base - top) * 2 * (max(0.45, value) - 0.5):.1f}")
        elif runs[-1]:
            runs.append([])
    return [" ".join(run) for run in runs if run]
