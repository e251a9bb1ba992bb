"""The two sides of a contrast out of a file's rows: pairs, two lists, labelled texts, replies to one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steering.errors import SteeringError
from steering.model.prompts import Message
from steering.texts.columns import (
    ANSWERED,
    CHATS,
    FURTHER_REQUESTS,
    REPLIES,
    REQUESTS,
    SIDES,
    SYSTEMS,
    is_column,
    lowered,
    split_of,
)
from steering.texts.contrast_rows import (
    Entry,
    Sides,
    flat_pairs,
    labelled,
    persona,
    polarity,
    stated_split,
    suffixed,
    tuples,
    two_sentences,
)
from steering.texts.lists import column_of
from steering.texts.messages import answered, messages_of, reply_of, request_of, text_of, transcript
from steering.texts.tables import PAIRS, Row, Table


LAYOUT = "either `pairs` (each with positive and negative) or two lists, `positive` and `negative`"
_HOW = "Name two columns or lists, positive first: FILE::GOOD,BAD. docs/files.md lists the layouts that are known."


def sides_of(table: Table) -> Sides:
    """Find the two sides of a contrast set in a file's rows.

    Raises:
        SteeringError: None of the layouts that are known, several at once, or a row that cannot be read.
    """
    if not table.rows:
        raise empty_set(table.name)
    chosen = table.selection.columns
    found: Sides | None = _chosen(table, chosen) if chosen else None
    if found is None:
        found = next((sides for find in _FINDERS if (sides := find(table)) is not None), None)
    if found is None:
        columns = f"positive and negative, or text and label; or {LAYOUT}." if table.columns else f"{LAYOUT}."
        raise table.wrong(columns, _HOW)
    if not found.positive or not found.negative:
        raise empty_set(table.name)
    _same_ending(table, found)
    found.whole_parts = any(split_of(name) for part in table.lists for name in part.split(", "))
    return found


def empty_set(name: str) -> SteeringError:
    """The error for a set with nothing on one side."""
    return SteeringError(
        f"The contrast set {name} is empty on at least one side.",
        "one prompt on each side at least; 20 or more are usual.",
        "Add positive and negative prompts.",
    )


def _chosen(table: Table, chosen: Sequence[str]) -> Sides:
    if len(chosen) != 2:
        raise SteeringError(f"'{', '.join(chosen)}' was chosen of {table.name}.", "two columns or lists.", _HOW)
    one, other = chosen
    if table.part(one) and table.part(other):
        return _two_lists(table, (one, other), f"the lists {one} and {other}")
    low = [name.lower() for name in table.columns]
    if one.lower() in low and other.lower() in low:
        return _pairs(table, table.rows, (one.lower(), other.lower()), f"the columns {one} and {other}")
    raise table.wrong(f"the columns or lists {one} and {other}.", "Correct the names behind '::'.")


def _lists(table: Table) -> Sides | None:
    """Two lists of the file that are sides by their names."""
    names = {name.lower() for row in table.rows for name in row.part}
    names |= {part.split(", ")[-1].lower() for part in table.lists}
    found = [pair for pair in SIDES if set(pair) <= names] or _two_of_any_name(table)
    _one(table, found)
    return _two_lists(table, found[0], f"the lists {found[0][0]} and {found[0][1]}") if found else None


def _two_of_any_name(table: Table) -> list[tuple[str, str]]:
    """A file of two lists of texts and nothing else; their names become the sides' names, so that the order is seen."""
    named = [name for name in table.lists if ", " not in name and not split_of(name)]
    if len(named) != 2 or len(table.lists) != 2 or any(is_column(name) or is_column(name[:-1]) for name in named):
        return []
    return [(named[0], named[1])] if all(isinstance(row.value, str) for row in table.rows) else []


def _two_lists(table: Table, names: tuple[str, str], how: str) -> Sides:
    sides = Sides(paired=False, how=how, names=names)
    for name, side in zip(names, (sides.positive, sides.negative), strict=True):
        rows = table.part(name)
        column = ""
        if any(isinstance(row.value, Mapping) and not _has_role(row.value) for row in rows):
            column = column_of(rows, table).text
        for row in rows:
            value = row.value[lowered(row.value)[column]] if column and isinstance(row.value, Mapping) else row.value
            side.append(Entry(messages_of(value, row.where), stated_split(row)))
    taken = [name.lower() for name in names]
    parts = [part.split(", ") for part in table.lists]
    others = {part[-1] for part in parts if not any(name.lower() in taken for name in part)}
    sides.notes += [f"The list {name} was left out." for name in sorted(others) if name != "borderline"]
    return sides


def _columns(table: Table) -> Sides | None:
    """A pair a row: two columns of prompts, or of replies to what a third one asks."""
    rows = table.part(PAIRS) or table.rows
    names = {name.lower() for row in rows[:1] if isinstance(row.value, Mapping) for name in map(str, row.value)}
    found = [pair for pair in (*SIDES, *REPLIES) if set(pair) <= names]
    if not found and table.part(PAIRS):
        found = [("positive", "negative")]
    _one(table, found)
    return _pairs(table, rows, found[0], "") if found else None


def _pairs(table: Table, rows: Sequence[Row], names: tuple[str, str], how: str) -> Sides:
    columns = lowered(rows[0].value) if rows and isinstance(rows[0].value, Mapping) else {}
    may_ask = (*REQUESTS, *FURTHER_REQUESTS, *CHATS) if names in REPLIES else REQUESTS
    asked = next((name for name in may_ask if name in columns and name not in names), "")
    if names in SIDES and names not in ANSWERED:  # a prompt by its name: whatever stands beside it is no request
        asked = ""
    shown = [columns.get(name, name) for name in names]
    said = how or f"pairs in the columns {shown[0]} and {shown[1]}"
    if asked and rows and reply_of(rows[0].value[columns[names[0]]]) is not None:
        said = f"replies to {columns[asked]} in the columns {shown[0]} and {shown[1]}"
    sides = Sides(paired=True, how=said, names=(str(shown[0]), str(shown[1])))
    for row in rows:
        if not isinstance(row.value, Mapping):
            raise SteeringError(
                f"{row.where}: {str(row.value)[:60]!r}.", "a mapping with positive and negative.", "Correct that row."
            )
        split = stated_split(row)
        for name, side in zip(names, (sides.positive, sides.negative), strict=True):
            side.append(Entry(_side(row, name, asked), split))
    return sides


def _side(row: Row, name: str, asked: str) -> tuple[Message, ...]:
    """One side of a row: a prompt, or a reply to what the row asks."""
    names = lowered(row.value)
    where = f"{row.where}, field {names.get(name, name)}"
    value = row.value.get(names.get(name, name))
    system = next((row.value[names[key]] for key in SYSTEMS if key in names), None) or ""
    if isinstance(value, str) and (turns := transcript(value)):
        return turns
    if asked and isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        value = value[0]  # several answers of one kind, as Anthropic's evaluations have them
    if asked and (value is None or reply_of(value) is not None):
        return (*request_of(row.value, row.where), Message("assistant", text_of(reply_of(value), where)))
    return messages_of(value, where, text_of(system, f"{row.where}, system") if system else "")


_FINDERS = (_lists, persona, suffixed, flat_pairs, _columns, two_sentences, polarity, labelled, tuples)


def _has_role(value: Mapping[str, Any]) -> bool:
    return any(key in ("user", "system", "assistant", "messages") for key in lowered(value))


def _one(table: Table, found: Sequence[tuple[str, str]]) -> None:
    """Two layouts at once are nobody's guess; harmful beside harmless and safe is."""
    if len(found) > 1:
        ways = "; ".join(" and ".join(pair) for pair in found)
        raise table.wrong(
            f"one way to tell two sides; it has {ways}.", f"Say which: {table.name}::{','.join(found[0])}."
        )


def _same_ending(table: Table, sides: Sides) -> None:
    """Replies on one side alone would be told apart by being replies."""
    ends = {answered(entry.messages) for entry in (*sides.positive, *sides.negative)}
    if len(ends) > 1:
        raise SteeringError(
            f"{table.name} has prompts with a reply (assistant) and prompts without one.",
            "replies everywhere, or nowhere: otherwise the sides differ in that alone.",
            "Add the replies that are missing, or leave them all out.",
        )
