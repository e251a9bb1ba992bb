"""What a file was understood as: kind, columns, rows, the first few, and what was left out and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.model.prompts import Message
from steering.texts.columns import SYSTEMS
from steering.texts.contrast import ContrastSet, contrast_of
from steering.texts.contrast_files import find_contrast
from steering.texts.few_prompts import few_note
from steering.texts.layouts import pair_layouts, question_layouts
from steering.texts.lists import texts_of
from steering.texts.preferences import find_preferences, has_pairs, labelled_of, preferences_of
from steering.texts.question_files import layout_of, pairs_of, questions_of
from steering.texts.statements import find_statements, statements_of
from steering.texts.tables import Table, read_table


FIRST = 3
"""Rows that are shown."""


@dataclass(frozen=True)
class Understood:
    """One file as one kind."""

    name: str
    kind: str
    """A key of `KINDS`."""
    how: str
    """The layout, and which columns are what."""
    counts: str
    """How many there are of what."""
    rows: int
    """Rows that the file has, or that were chosen of it."""
    columns: tuple[str, ...]
    """The file's columns, or the names of its lists."""
    heads: tuple[str, ...]
    """What the columns of `first` are."""
    first: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    """What was left out or worked out, and why."""
    also: tuple[str, ...] = ()
    """Other kinds that it can be read as."""


@dataclass(frozen=True)
class Kind:
    """One kind of content."""

    title: str
    see: Callable[[Table], Understood]
    find: Callable[[str], str | Path] = lambda source: source
    """A source for a name that ships with the project."""


def understand(source: str, kind: str = "") -> Understood:
    """Read a file and say what it holds.

    Args:
        source: A file, `hub:owner/name`, or a shipped set where `kind` is given; perhaps with a selection behind `::`.
        kind: A key of `KINDS`; where empty, the first that fits.

    Raises:
        SteeringError: It cannot be read, or not as this kind.
    """
    if kind:
        if kind not in KINDS:
            raise SteeringError(f"'{kind}' was asked for.", f"one of {', '.join(KINDS)}.", "Choose one of these.")
        return KINDS[kind].see(read_table(KINDS[kind].find(source)))
    table = read_table(source)
    found: list[Understood] = []
    errors: list[SteeringError] = []
    for each in KINDS.values():
        try:
            found.append(each.see(table))
        except SteeringError as error:
            errors.append(error)
    if not found:
        raise errors[-1]  # as the plainest kind: a list of texts
    also = tuple(KINDS[each.kind].title for each in found[1:])
    return Understood(**{**vars(found[0]), "also": also})


def _statements(table: Table) -> Understood:
    found = statements_of(table, table.name)
    counts = f"{len(found.pairs)} statement pairs"
    rows = tuple((pair.safe, pair.harmful) for pair in found.pairs[:FIRST])
    return _made(
        table, "statements", "pairs of a safe and a harmful statement", counts, ("safe", "harmful"), rows, found.notes
    )


def _questions(table: Table) -> Understood:
    found = questions_of(table)
    rows = tuple((_said(each.messages), each.answer) for each in found[:FIRST])
    how = layout_of(table, question_layouts())
    return _made(table, "questions", how, f"{len(found):,} questions", ("question", "answer"), rows, table.notes)


def _pairs(table: Table) -> Understood:
    found = pairs_of(table)
    rows = tuple((_said(each.messages), each.aligned, each.misaligned) for each in found[:FIRST])
    how = layout_of(table, pair_layouts()) or "two columns, as chosen"
    heads = ("request", "aligned", "misaligned")
    left = len(table.part("intrasentence"))
    notes = [*table.notes, *([f"{left:,} rows of the list intrasentence were left out: no replies."] if left else [])]
    return _made(table, "pairs", how, f"{len(found):,} answer pairs", heads, rows, notes)


def _contrast(table: Table) -> Understood:
    found = contrast_of(table)
    counts = ", ".join(f"{_size(found, *both)} {split}" for split, both in found.counts.items())
    sides = zip(found.positive[:FIRST], found.negative[:FIRST], strict=False)
    rows = tuple((_said(one.messages), _said(other.messages)) for one, other in sides)
    how, *notes = found.notes
    labels = {"positive": found.positive_label, "negative": found.negative_label}
    heads = tuple(side if side == label else f"{side}: {label}" for side, label in labels.items())
    what = "pairs" if found.paired else "positive + negative"
    few = few_note(found.counts["train"], found.counts["validation"])
    notes += [few] if few else []
    return _made(table, "contrast", how.removeprefix("Read as ").rstrip("."), f"{what}: {counts}", heads, rows, notes)


def _size(found: ContrastSet, positive: int, negative: int) -> str:
    return f"{positive:,}" if found.paired else f"{positive:,} + {negative:,}"


def _preferences(table: Table) -> Understood:
    """Pairs, or replies with a label: what a vector is trained on."""
    if has_pairs(table):
        pairs = preferences_of(table)
        rows = tuple((_said(each.messages), each.chosen, each.rejected) for each in pairs[:FIRST])
        how, heads = layout_of(table, pair_layouts()) or "two columns, as chosen", ("request", "chosen", "rejected")
        return _made(table, "preferences", how, f"{len(pairs):,} preference pairs", heads, rows, table.notes)
    found = labelled_of(table)
    wanted = sum(each.wanted for each in found)
    counts = f"{wanted:,} wanted and {len(found) - wanted:,} unwanted replies"
    rows = tuple((_said(each.messages), each.completion, "yes" if each.wanted else "no") for each in found[:FIRST])
    how = "a reply a row, and whether it is wanted"
    return _made(table, "preferences", how, counts, ("request", "reply", "wanted"), rows, table.notes)


def _texts(table: Table) -> Understood:
    found = texts_of(table)
    how = f"one text a row, under {found.column}" if found.column else "one text a row"
    rows = tuple((text,) for text in found.texts[:FIRST])
    return _made(table, "texts", how, f"{len(found.texts):,} texts", (found.column or "text",), rows, found.notes)


def _made(
    table: Table, kind: str, how: str, counts: str, heads: Sequence[str], rows: Any, notes: Sequence[str]
) -> Understood:
    taken = (table.columns or table.lists)[:40]
    left = [name for name in table.columns if kind in _ONE_BY_ONE and not _names(how, name)]
    more = [f"Columns that were not used: {', '.join(left[:20])}."] if left else []
    return Understood(table.name, kind, how, counts, len(table.rows), taken, tuple(heads), rows, (*notes, *more))


_ONE_BY_ONE = ("contrast", "texts")
"""Kinds whose description names every column that was used."""


def _names(how: str, column: str) -> bool:
    """Whether a description names a column; a split, a system prompt and a filter are said by other words."""
    return column.lower() in ("split", *SYSTEMS) or re.search(rf"(?<!\w){re.escape(column)}(?!\w)", how) is not None


def _said(messages: Sequence[Message]) -> str:
    """A conversation in one text; a lone request without its role."""
    if len(messages) == 1:
        return messages[0].content
    return "\n".join(f"{each.role}: {each.content}" for each in messages)


KINDS: Mapping[str, Kind] = {
    "statements": Kind("statement pairs", _statements, find_statements),
    "questions": Kind("questions", _questions),
    "pairs": Kind("answer pairs", _pairs),
    "contrast": Kind("contrast set", _contrast, find_contrast),
    "preferences": Kind("preferences", _preferences, find_preferences),
    "texts": Kind("list of texts", _texts),
}
"""From what needs the most columns to what needs the fewest."""
