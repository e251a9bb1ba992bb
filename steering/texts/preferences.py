"""Preferences: requests with a reply as it should be and one as it should not, or with one reply and a label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Message
from steering.resources import resource
from steering.texts.columns import ANSWERS, CHATS, FALSE, TRUE, label_text, lowered
from steering.texts.formats import FORMATS
from steering.texts.layouts import pair_layouts
from steering.texts.messages import answered, messages_of, reply_of, request_of, text_of
from steering.texts.question_files import layout_of, pair_rows
from steering.texts.sources import HUB, SELECT, is_source_file, split_source
from steering.texts.tables import Row, Table, read_table


WANTED = ("label", "labels", "wanted", "desirable", "is_desirable", "thumbs_up")
"""Columns that say whether a reply is wanted."""
DEMO = "demo-formality"
"""Where a demo model is asked about and nothing is named."""
_YES = (*TRUE, "positive", "pos", "good", "desirable", "wanted", "chosen")
_NO = (*FALSE, "negative", "neg", "bad", "undesirable", "unwanted", "rejected", "-1")


@dataclass(frozen=True)
class Preference:
    """One request with two replies."""

    messages: tuple[Message, ...]
    """What both answer; it ends with the user."""
    chosen: str
    """The reply as it should be."""
    rejected: str
    """The reply as it should not be."""
    where: str = ""
    """File and row, as messages name it; empty where it stood in no file."""


@dataclass(frozen=True)
class Labelled:
    """One request with one reply."""

    messages: tuple[Message, ...]
    """What it answers; it ends with the user."""
    completion: str
    """The reply."""
    wanted: bool
    """Whether it is as it should be."""
    where: str = ""
    """File and row; empty where it stood in no file."""


def preference_sets() -> tuple[str, ...]:
    """Names of the sets that ship with the project; those of the demo grammar begin with `demo-`."""
    return tuple(sorted(path.stem for path in resource("presets", "preferences").glob("*.jsonl")))


def preferences_on(host: Host, named: str) -> str:
    """The source that was named; on a demo model, the formality of its grammar where none was.

    Raises:
        SteeringError: None was named for a model that does not speak the demo grammar.
    """
    if named.strip():
        return named.strip()
    if host.info.demo:
        return DEMO
    raise SteeringError(
        "No preferences were named.",
        "a file of pairs (prompt, chosen, rejected) or of replies with a label, or hub:owner/name (data).",
        "Name some, or make pairs of the model's own replies with `workbench run pairs`; those of the demo grammar are "
        "for demo models.",
    )


def find_preferences(source: str | Path) -> str | Path:
    """A shipped set's file, or the source itself where it is a file or on the Hub, perhaps with a selection.

    Raises:
        SteeringError: There is none.
    """
    place, _ = split_source(source)
    if is_source_file(place) or str(place).startswith(HUB):
        return source
    if isinstance(place, str) and place in preference_sets():
        return str(source).replace(place, str(resource("presets", "preferences", f"{place}.jsonl")), 1)
    raise SteeringError(
        f"There are no preferences '{str(place)[:200]}'.",
        f"a preset ({', '.join(preference_sets())}), a {FORMATS} file, or hub:owner/name, perhaps with "
        f"{SELECT}GOOD,BAD.",
        "Check the name or the path.",
    )


def load_preferences(source: str | Path) -> tuple[Preference, ...]:
    """Requests with two replies each, from a preset, a file or the Hub, in file order.

    The layouts are those of answer pairs (`steering.texts.question_files.read_pairs`): `prompt`, `chosen`, `rejected`,
    also as messages, as whole conversations that share all but their last reply, or as transcripts; two columns of your
    choice beside a request by `file.jsonl::GOOD,BAD`.

    Raises:
        SteeringError: No such set or file, other columns, a reply that is missing or empty, or two that are the same,
            with file and row.
    """
    return preferences_of(read_table(find_preferences(source)))


def load_labelled(source: str | Path) -> tuple[Labelled, ...]:
    """Requests with one reply each and whether it is wanted, from a preset, a file or the Hub, in file order.

    Known columns: a request or conversation (`prompt`, `question`, `messages` …), its reply (`completion`, `response`
    …; without one, the conversation ends with it), and one of `WANTED` with true or false in any usual spelling;
    `file.csv::COLUMN` names another one. A pair gives two of these.

    Raises:
        SteeringError: As `load_preferences`; a label that is neither, or one class only.
    """
    return labelled_of(read_table(find_preferences(source)))


def preferences_of(table: Table) -> tuple[Preference, ...]:
    """The pairs in a file's rows.

    Raises:
        SteeringError: As `load_preferences`.
    """
    if not has_pairs(table) and _label(table):
        raise table.wrong(
            "two replies a row (prompt, chosen and rejected); it has one, with a label.",
            "Take a loss for labelled replies, or a file of pairs.",
        )
    found = []
    for row, pair in pair_rows(table):
        if pair.aligned.strip() == pair.misaligned.strip():
            raise _same(row.where)
        found.append(Preference(pair.messages, pair.aligned, pair.misaligned, row.where))
    return tuple(found)


def labelled_of(table: Table) -> tuple[Labelled, ...]:
    """The labelled replies in a file's rows.

    Raises:
        SteeringError: As `load_labelled`.
    """
    if has_pairs(table):
        return one_sided(preferences_of(table))
    label = _label(table)
    if not label:
        raise table.wrong(
            f"prompt, chosen and rejected; or a request, its reply ({', '.join(ANSWERS)}) and whether it is wanted "
            f"({', '.join(WANTED)}).",
            f"Rename the columns, or name them: {table.name}{SELECT}CHOSEN,REJECTED, or {table.name}{SELECT}LABEL.",
        )
    named = table.selection.columns
    rows = table.part(named[0]) if named and table.part(named[0]) else table.rows
    found = tuple(_labelled(row, label) for row in rows)
    kinds = {each.wanted for each in found}
    if len(kinds) == 1:
        raise SteeringError(
            f"All {len(found):,} replies of {table.name} are {'wanted' if kinds.pop() else 'unwanted'} "
            f"(column {label}).",
            "some of either kind: nothing tells one kind apart.",
            "Add replies of the other kind.",
        )
    return found


def one_sided(preferences: Iterable[Preference]) -> tuple[Labelled, ...]:
    """Both replies of each pair by themselves, the chosen one first."""
    return tuple(
        Labelled(each.messages, said, wanted, each.where)
        for each in preferences
        for said, wanted in ((each.chosen, True), (each.rejected, False))
    )


def _same(where: str) -> SteeringError:
    return SteeringError(
        f"{where}: both replies are the same.", "a chosen and a rejected reply that differ.", "Mend that row."
    )


def has_pairs(table: Table) -> bool:
    """Whether a file's rows have two replies each, by their columns or because two were chosen."""
    return len(table.selection.columns) == 2 or bool(layout_of(table, pair_layouts()))


def _names(table: Table) -> dict[str, str]:
    first = next((row.value for row in table.rows if isinstance(row.value, Mapping)), {})
    return lowered(first)


def _label(table: Table) -> str:
    """The column that says whether a reply is wanted; empty where there is none."""
    names = _names(table)
    chosen = [name.lower() for name in table.selection.columns if not table.part(name)]
    if len(chosen) == 1:
        if chosen[0] not in names:
            raise table.wrong(f"the column '{chosen[0]}'.", "Name the column that says whether a reply is wanted.")
        return names[chosen[0]]
    return next((names[name] for name in WANTED if name in names), "")


def _labelled(row: Row, label: str) -> Labelled:
    value = row.value
    if not isinstance(value, Mapping):
        raise SteeringError(f"{row.where}, is {str(value)[:60]!r}.", "named fields.", "Mend that row.")
    names = lowered(value)
    mark = label_text(value.get(names.get(label.lower(), "")))
    if mark not in (*_YES, *_NO):
        raise SteeringError(
            f"{row.where}, field {label}: '{mark[:60]}'.",
            f"whether the reply is wanted: {', '.join(_YES)}; or {', '.join(_NO)}.",
            "Correct that row, or rename the values to true and false.",
        )
    return Labelled(*_request_and_reply(row, names), mark in _YES, row.where)


def _request_and_reply(row: Row, names: Mapping[str, str]) -> tuple[tuple[Message, ...], str]:
    reply = next((names[name] for name in ANSWERS if name in names), None)
    if reply is None:
        chat = next((names[name] for name in CHATS if name in names), "")
        turns = messages_of(row.value[chat], f"{row.where}, field {chat}") if chat else ()
        if turns and answered(turns):
            return turns[:-1], turns[-1].content
        raise SteeringError(
            f"{row.where}, has the columns {', '.join(map(str, row.value))}, and no reply.",
            f"one of {', '.join(ANSWERS)}, or a conversation that ends with it.",
            "Add it, or rename its column.",
        )
    request = request_of(row.value, row.where)
    if not request:
        raise SteeringError(
            f"{row.where}: the request is missing.", "a column prompt.", "Add it, or rename its column."
        )
    said = row.value[reply]
    return request, text_of(reply_of(said) or said, f"{row.where}, field {reply}")
