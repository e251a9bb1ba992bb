"""Plain lists of texts out of a file's rows: which column holds them, and which rows are left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steering.errors import SteeringError
from steering.texts.columns import CHATS, INDICES, LABELS, LIST_LAYOUTS, TEXTS, Layout, label_text, lowered, split_of
from steering.texts.messages import first_request
from steering.texts.tables import Row, Table


@dataclass(frozen=True)
class Texts:
    """A list of texts, and how it was understood."""

    texts: tuple[str, ...]
    column: str
    """Where they stand; empty where rows are texts themselves."""
    notes: tuple[str, ...] = ()


def texts_of(table: Table, column: str = "") -> Texts:
    """The texts of a list, in file order, without empty ones.

    Args:
        table: The file's rows.
        column: Which column holds them, or which of the file's lists; where empty, the selection's, then the one that
            is known.

    Raises:
        SteeringError: No such column, several that could be meant, or no text.
    """
    chosen = column or ", ".join(table.selection.columns)
    rows, notes = table.rows, list(table.notes)
    if chosen and table.part(chosen):
        rows, chosen = table.part(chosen), ""
    elif table.lists:
        notes.append(_lists_read(table))
    found = column_of(rows, table, chosen)
    texts: list[str] = []
    dropped: Counter[str] = Counter()
    for row in rows:
        text, why = _text(row, found, chosen)
        if why:
            dropped[why] += 1
        else:
            texts.append(text)
    if not texts:
        raise SteeringError(f"{table.name} holds no texts.", "at least one.", "Choose another file or column.")
    notes += [f"{count:,} rows were left out: {why}." for why, count in dropped.items()]
    notes += _kinds(rows, table)
    name = found.title + ": " + _named(rows, found.text) if found and found.title else _named(rows, found.text)
    return Texts(tuple(texts), name if found.text else "", tuple(notes))


def column_of(rows: Sequence[Row], table: Table, chosen: str = "") -> Layout:
    """Which column holds the texts of rows that have columns; a layout without a text where none has.

    Raises:
        SteeringError: No such column, or several that could be meant.
    """
    first = next((row.value for row in rows if isinstance(row.value, Mapping)), None)
    if not first:
        if chosen:
            raise table.wrong(f"the column or list '{chosen}'.", "Correct the name.")
        return Layout("", (), "")
    names = lowered(first)
    if chosen:
        if chosen.lower() not in names:
            raise table.wrong(f"the column '{chosen}'.", "Name the column that holds the texts.")
        return next((each for each in _layouts(names) if each.text == chosen.lower()), Layout("", (), chosen.lower()))
    layout = next(iter(_layouts(names)), None)
    if layout is not None:
        return layout
    known = [name for name in (*TEXTS, *CHATS) if name in names]
    if len(known) == 1:
        return Layout("", (), known[0])
    real = [name for name in names if name not in INDICES]
    if not known and len(real) == 1:
        return Layout("", (), real[0])
    if known:
        raise table.wrong(
            f"one column that can hold the texts; these can: {', '.join(names[name] for name in known)}.",
            f"Say which: {table.name}::{names[known[0]]}, or the setting for the column.",
        )
    one = _longest(rows, names)
    two = (
        f" Two columns, the positive one first, are a contrast set: {table.name}::{','.join(real)}."
        if len(real) == 2
        else ""
    )
    raise table.wrong(
        f"one of {', '.join(TEXTS[:10])}, …, or a column that you name.",
        f"Name the column that holds the texts: {table.name}::{one}.{two}",
    )


def _longest(rows: Sequence[Row], names: Mapping[str, str]) -> str:
    """The column that looks most like texts."""
    some = [row.value for row in rows[:50] if isinstance(row.value, Mapping)]
    lengths = {key: sum(len(row[key]) for row in some if isinstance(row.get(key), str)) for key in names.values()}
    return max(lengths, key=lambda key: lengths[key])


def _layouts(names: Mapping[str, str]) -> list[Layout]:
    return [layout for layout in LIST_LAYOUTS if all(column in names for column in layout.columns)]


def _text(row: Row, layout: Layout, chosen: str) -> tuple[str, str]:
    """The text of a row, or why it has none."""
    value: Any = row.value
    if isinstance(value, Mapping):
        names = lowered(value)
        if layout.text not in names:
            raise SteeringError(
                f"{row.where}, has the columns {', '.join(map(str, value)) or '(none)'}.",
                f"the column '{layout.text or 'text'}', as other rows have it." if layout.text else "a text.",
                "Mend that row.",
            )
        if layout.empty and not chosen and _plain(value[names[layout.empty]], row.where):
            return "", f"they have a text under '{names[layout.empty]}' too ({layout.title})"
        before = _plain(value.get(names.get(layout.context, "")), row.where) if layout.context else ""
        held = value[names[layout.text]]
        if layout.text in CHATS and isinstance(held, list) and held and all(isinstance(each, str) for each in held):
            return held[0].strip(), "" if held[0].strip() else "empty"  # MT-bench's turns are the user's alone
        if layout.text in CHATS:
            return first_request(held, row.where), ""
        if isinstance(held, list | Mapping) and _is_chat(held):
            return first_request(held, f"{row.where}, field {names[layout.text]}"), ""
        if isinstance(held, Mapping) and isinstance(held.get("text"), str):  # with scores beside it
            held = held["text"]
        text = _plain(held, f"{row.where}, field {names[layout.text]}")
        if text:
            return (f"{before}\n\n{text}" if before else text), ""
        return "", "empty"
    if isinstance(value, list):
        return _from_list(value, row.where), ""
    text = _plain(value, row.where)
    return text, "" if text else "empty"


def _is_chat(held: list[Any] | Mapping[str, Any]) -> bool:
    """Whether a cell is a conversation: a list of messages, or a mapping that has one."""
    if isinstance(held, Mapping):
        return any(name in CHATS for name in lowered(held))
    return bool(held) and all(isinstance(each, Mapping) and {"role", "from", "type"} & each.keys() for each in held)


def _from_list(value: list[Any], where: str) -> str:
    if value and all(isinstance(each, Mapping) for each in value):  # a conversation a row
        return first_request(value, where)
    raise SteeringError(f"{where}, is a list: {str(value)[:60]}.", "a text a row.", "Choose another file, or column.")


def _plain(value: Any, where: str) -> str:
    """A cell as text; nothing where it is missing."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if not isinstance(value, str | int | float):
        raise SteeringError(f"{where}, is no text: {str(value)[:60]!r}.", "a text.", "Choose another column.")
    return str(value).strip()


def _named(rows: Sequence[Row], name: str) -> str:
    first = next((row.value for row in rows if isinstance(row.value, Mapping)), {})
    return str(lowered(first).get(name, name))


def _lists_read(table: Table) -> str:
    what = "splits" if all(split_of(name.split(", ")[0]) for name in table.lists) else "lists"
    return f"All {len(table.lists)} {what} were read: {', '.join(table.lists[:12])}."


def _kinds(rows: Sequence[Row], table: Table) -> list[str]:
    """What labels say of a list that was read whole."""
    for row in rows[:1]:
        names = lowered(row.value) if isinstance(row.value, Mapping) else {}
        for name in (label for label in LABELS if label in names):
            counts = Counter(
                label_text(each.value.get(names[name])) for each in rows if isinstance(each.value, Mapping)
            )
            if 1 < len(counts) <= 4:
                said = ", ".join(f"{count:,} {value}" for value, count in counts.items())
                first = next(iter(counts))
                return [f"Labels ({names[name]}): {said}; all were read. One kind: {table.name}::{name}={first}."]
    return []
