"""Contrast sets whose rows are no pair of columns: labels, two sentences a row, halves of a table, personas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steering.errors import SteeringError
from steering.guards import MOST_ROWS, too_large
from steering.model.prompts import Message
from steering.texts.columns import (
    ANSWERS,
    CHOICES,
    LABELS,
    POLARITY,
    REQUESTS,
    TRUE,
    label_text,
    labels,
    lowered,
    split_of,
)
from steering.texts.lists import column_of
from steering.texts.messages import messages_of, reply_of, text_of
from steering.texts.tables import Row, Table


@dataclass(frozen=True)
class Entry:
    """One side of a pair, or one entry of a list."""

    messages: tuple[Message, ...]
    split: str | None
    """As the file says; None where it does not."""


@dataclass
class Sides:
    """Two sides, and how they were found."""

    paired: bool
    how: str
    """One line: the layout, and which columns or lists are which side."""
    names: tuple[str, str] = ("positive", "negative")
    """What the file calls the sides."""
    positive: list[Entry] = field(default_factory=list)
    negative: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    whole_parts: bool = False
    """Whether splits are parts of the file (train, test), not a column."""


def stated_split(row: Row) -> str | None:
    """The split that a row states, or the list that it stands in."""
    stated = row.value.get(lowered(row.value).get("split", ""), None) if isinstance(row.value, Mapping) else None
    if stated in (None, ""):
        return next((found for name in row.part if (found := split_of(name))), None)
    found = split_of(stated)
    if found is None:
        raise SteeringError(
            f"{row.where}, field split: '{str(stated)[:60]}'.",
            "train, validation, test, or nothing.",
            "Correct that row.",
        )
    return found


def persona(table: Table) -> Sides | None:
    """Persona vectors (arXiv 2507.21509): every question under every pair of opposite system prompts."""
    instructions = [row for row in table.part("instruction") if isinstance(row.value, Mapping)]
    questions = table.part("questions")
    if not instructions or not questions or not all({"pos", "neg"} <= set(row.value) for row in instructions):
        return None
    if len(instructions) * len(questions) > MOST_ROWS:
        raise too_large(table.name, f"makes {len(instructions) * len(questions):,} pairs", f"{MOST_ROWS:,}")
    how = (
        f"persona vectors: {len(instructions)} pairs of system prompts (pos, neg) with {len(questions)} questions each"
    )
    sides = Sides(paired=True, how=how)
    for instruction in instructions:
        for question in questions:
            for key, side in (("pos", sides.positive), ("neg", sides.negative)):
                system = text_of(instruction.value[key], f"{instruction.where}, field {key}")
                side.append(Entry(messages_of(text_of(question.value, question.where), question.where, system), None))
    return sides


def two_sentences(table: Table) -> Sides | None:
    """RepE's pairs: a list of two sentences and a list of their two labels, true and false in either order."""
    names = lowered(table.rows[0].value) if table.rows and isinstance(table.rows[0].value, Mapping) else {}
    label = next((name for name in LABELS if name in names), "")
    if not label or not isinstance(table.rows[0].value[names[label]], list):
        return None
    text = column_of(table.rows, table).text
    sides = Sides(True, f"two texts a row under {names[text]}, told apart by {names[label]}", ("true", "false"))
    for row in table.rows:
        held = row.value if isinstance(row.value, Mapping) else {}
        texts, marked = held.get(names[text]), held.get(names[label])
        marks = [label_text(each) for each in marked] if isinstance(marked, list) else []
        if not isinstance(texts, list) or len(texts) != 2 or len(marks) != 2 or set(marks) not in _MARKS:
            raise SteeringError(f"{row.where}, is no pair.", "two texts, one labelled true and one false.", "Mend it.")
        for mark, said in zip(marks, texts, strict=True):
            side = sides.positive if mark in ("true", "1") else sides.negative
            side.append(Entry(messages_of(text_of(said, row.where), row.where), stated_split(row)))
    return sides


def flat_pairs(table: Table) -> Sides | None:
    """RepE's sets as its functions give them: `data`, two texts a pair one after another, and `labels`, two a pair."""
    marks = [row for row in table.part("labels") if isinstance(row.value, list)]
    data = [row for row in table.part("data") if isinstance(row.value, str | list)]
    if not marks or not data:
        return None
    sides = Sides(True, "pairs of texts under data, told apart by labels", ("true", "false"))
    for part in dict.fromkeys(row.part[:-1] for row in marks):
        texts = [each for row in data if row.part[:-1] == part for each in _texts_of(row)]
        pairs = [row for row in marks if row.part[:-1] == part]
        if len(texts) != 2 * len(pairs):
            raise table.wrong(f"two texts a pair of labels; {len(texts)} stand beside {len(pairs)} pairs.", "Mend it.")
        for row, one, other in zip(pairs, texts[::2], texts[1::2], strict=True):
            found = [label_text(each) for each in row.value]
            if len(found) != 2 or set(found) not in _MARKS:
                raise SteeringError(f"{row.where}, is {row.value}.", "one true and one false.", "Mend it.")
            first, second = (sides.positive, sides.negative)
            if found[0] not in TRUE:
                first, second = second, first
            for said, side in ((one, first), (other, second)):
                side.append(Entry(messages_of(text_of(said, row.where), row.where), stated_split(row)))
    return sides


def _texts_of(row: Row) -> list[Any]:
    return row.value if isinstance(row.value, list) else [row.value]


_MARKS = ({"true", "false"}, {"1", "0"})


def polarity(table: Table) -> Sides | None:
    """PA-CCS: a statement a row, and row i is the pair of row i + N/2."""
    if POLARITY not in {name.lower() for name in table.columns} or len(table.rows) % 2:
        return None
    half = len(table.rows) // 2
    sides = Sides(True, f"statements by {POLARITY} (0 harmful, 1 safe), row i beside row i + N/2", ("harmful", "safe"))
    for first, second in zip(table.rows[:half], table.rows[half:], strict=True):
        marks = [label_text(row.value.get(POLARITY)) for row in (first, second) if isinstance(row.value, Mapping)]
        if set(marks) != {"0", "1"}:
            raise SteeringError(
                f"{first.where}, and {second.where}, are a pair.", f"0 and 1 in {POLARITY}.", "Mend it."
            )
        for row, mark in ((first, marks[0]), (second, marks[1])):
            side = sides.positive if mark == "0" else sides.negative
            side.append(Entry(messages_of(row.value.get("statement"), row.where), stated_split(row)))
    return sides


def labelled(table: Table) -> Sides | None:
    """A text a row, perhaps with the reply to it, and a label beside it: two lists."""
    first = table.rows[0].value if table.rows else None
    names = lowered(first) if isinstance(first, Mapping) else {}
    found = [name for name in LABELS if name in names]
    reply = next((names[name] for name in ANSWERS if name in names), None) if found else None
    kinds: Callable[[Row], Any]
    if any(name in names for name in CHOICES):  # the label says which choice is right
        return None
    if found:
        label = names[found[0]]
        kinds = lambda row: row.value.get(label, "")  # noqa: E731
        reply = None if found[0].startswith("prompt_") else reply
    elif "type" in names and "prompt" in names:  # XSTest's first edition: unsafe prompts are of types contrast_…
        label = names["type"]
        kinds = lambda row: "unsafe" if str(row.value.get(label, "")).startswith("contrast") else "safe"  # noqa: E731
    else:
        return None
    text = column_of(table.rows, table).text
    if text.lower() == label.lower():
        return None
    rows = [row for row in table.rows if isinstance(row.value, Mapping)]
    for row in rows:
        if label_text(kinds(row)) in ("", "none", "nan"):
            raise SteeringError(f"{row.where}, field {label}: it is empty.", "a label.", "Correct that row.")
    pair = _kinds(table, rows, kinds, str(label))
    called = (f"{label} {pair[0]}", f"{label} {pair[1]}") if set(pair) & set(TRUE) else pair
    what = f"replies under {reply} to {names[text]}" if reply else f"texts under {names[text]}"
    sides = Sides(False, f"{what}, told apart by {label}: {pair[0]} against {pair[1]}", called)
    for row in rows:
        side = sides.positive if label_text(kinds(row)) == pair[0] else sides.negative
        side.append(Entry(_labelled(row, names[text], reply), stated_split(row)))
    return sides


def _labelled(row: Row, text: str, reply: str | None) -> tuple[Message, ...]:
    turns = messages_of(row.value.get(text), f"{row.where}, field {text}")
    if reply is None:
        return turns
    said = row.value.get(reply)
    return (*turns, Message("assistant", text_of(reply_of(said) or said, f"{row.where}, field {reply}")))


def _kinds(table: Table, rows: Sequence[Row], kinds: Callable[[Row], Any], label: str) -> tuple[str, str]:
    try:
        return labels([kinds(row) for row in rows], f"{table.name}, column {label},", label)
    except SteeringError:
        known = ("positive", "negative")
        odd = next((row for row in rows if label_text(kinds(row)) not in known), None)
        if odd is not None and any(label_text(kinds(row)) in known for row in rows):
            raise SteeringError(
                f"{odd.where}, field {label}: '{str(kinds(odd))[:60]}'.", "positive or negative.", "Correct that row."
            ) from None
        raise


def tuples(table: Table) -> Sides | None:
    """Lists of two texts, as steering-vectors has its training pairs, or of two conversations."""
    pairs = [row.value for row in table.rows]
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return None
    if any(isinstance(side, Mapping) for pair in pairs for side in pair):
        return None
    sides = Sides(True, "lists of two texts, the positive one first")
    for row in table.rows:
        for said, side in zip(row.value, (sides.positive, sides.negative), strict=True):
            turns = messages_of(said if isinstance(said, list) else text_of(said, row.where), row.where)
            side.append(Entry(turns, stated_split(row)))
    return sides


def suffixed(table: Table) -> Sides | None:
    """IBM's steering data sets (arXiv 2409.05907): every pair of suffixes behind every example, as replies."""
    suffixes = table.part("suffixes")
    examples = [row for row in table.rows if "suffixes" not in row.part]
    if not suffixes or not examples:
        return None
    if len(suffixes) * len(examples) > MOST_ROWS:
        raise too_large(table.name, f"makes {len(suffixes) * len(examples):,} pairs", f"{MOST_ROWS:,}")
    sides = Sides(True, f"{len(examples)} requests, each with {len(suffixes)} pairs of suffixes as replies")
    for suffix in suffixes:
        for example in examples:
            for place, side in enumerate((sides.positive, sides.negative)):
                request = messages_of(text_of(_one_of(example, place), example.where), example.where)
                reply = Message("assistant", text_of(_one_of(suffix, place), suffix.where))
                side.append(Entry((*request, reply), stated_split(example)))
    return sides


def _one_of(row: Row, place: int) -> Any:
    """One side of a list of two, or the text itself, which then stands on both sides."""
    value = row.value
    if isinstance(value, Mapping):
        text = next((key for low, key in lowered(value).items() if low in REQUESTS), None)
        return value[text] if text is not None else None
    return value[place] if isinstance(value, list) and len(value) == 2 else value
