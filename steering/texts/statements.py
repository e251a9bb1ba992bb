"""Statement pairs: a safe statement and its harmful counterpart, from presets and files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.forms.shown import Shown
from steering.resources import resource
from steering.store import digest
from steering.texts.columns import FALSE, TRUE, label_text
from steering.texts.negation import negations
from steering.texts.shown import statements_html, statements_text
from steering.texts.sources import HUB, is_source_file, split_source
from steering.texts.statement_faults import faults
from steering.texts.tables import Table, chosen_list, read_table


STATEMENT_SETS = {
    "demo": "acts of the demo grammar that no demo model was trained on, fine and harmful",
    "general": "mild statements on honesty, safety at work, care, privacy and fairness",
}
FORMULATIONS = ("concurrent", "negation")
FEWEST = 10
"""Pairs that a set must have."""
_PUBLISHED = "is_harmfull_opposition"  # as the authors of PA-CCS spell it
_COLUMNS = ("id", "safe", "harmful", "formulation", "category", "group", "fold")
_OTHERS = (("harmless", "harmful"), ("safe", "unsafe"), ("nontoxic", "toxic"), ("benign", "harmful"))
"""What others call the two columns."""
_LAYOUTS = (
    f"a .jsonl, .json, .csv or .parquet file with a pair a row, {', '.join(_COLUMNS)} (only safe and harmful must be "
    f"there), or with a statement a row: index, statement, {_PUBLISHED}, where row i is the pair of row i + N/2"
)


@dataclass(frozen=True)
class StatementPair:
    """Two statements that differ in whether what they say is harmful."""

    id: str
    safe: str
    harmful: str
    formulation: str
    """"negation" where one half negates the other, else "concurrent"."""
    category: str = ""
    group: str = ""
    """Pairs of one group share words that give the answer away, and always lie in one fold."""
    fold: str = ""
    """The fold that the file puts it in; folds are drawn where no pair has one."""


@dataclass(frozen=True, repr=False)
class Statements(Shown):
    """A set of pairs, checked."""

    name: str
    pairs: tuple[StatementPair, ...]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Statements '{self.name}': {len(self.pairs)} pairs>"

    def __str__(self) -> str:
        return statements_text(self)

    def _repr_html_(self) -> str:
        return statements_html(self)

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            SteeringError: Naming the pair: an empty or equal statement, a duplicate id, two folds for one text.
        """
        _check(self)

    @property
    def digest(self) -> str:
        """Of the texts and how they are paired and grouped, not of the name."""
        return digest([[p.id, p.safe, p.harmful, p.formulation, p.group, p.fold] for p in self.pairs])

    def of(self, formulation: str) -> Statements:
        """The pairs of one formulation; all of them where it is empty.

        Raises:
            SteeringError: There are too few.
        """
        if not formulation:
            return self
        chosen = tuple(pair for pair in self.pairs if pair.formulation == formulation)
        if len(chosen) < FEWEST:
            counts = Counter(pair.formulation for pair in self.pairs)
            raise SteeringError(
                f"The set '{self.name}' has {len(chosen)} {formulation} pairs.",
                f"at least {FEWEST}; it has {', '.join(f'{n} {name}' for name, n in counts.items())} pairs.",
                "Take all formulations, or another set.",
            )
        return Statements(self.name, chosen, self.notes)

    def first(self, n: int) -> Statements:
        """As many pairs, so that formulations and groups keep their shares; they stand in the order of the set."""
        if n >= len(self.pairs):
            return self
        kinds: dict[tuple[str, str, str], list[int]] = defaultdict(list)
        for index, pair in enumerate(self.pairs):
            kinds[pair.formulation, pair.group, pair.fold].append(index)
        for rows in kinds.values():  # a file's own order may go through wordings in turn
            rows.sort(key=lambda index: digest(self.pairs[index].id))
        # How far down its own kind each pair stands, from 0 to 1: as many of each kind are above any level.
        ranks = {index: (place + 0.5) / len(rows) for rows in kinds.values() for place, index in enumerate(rows)}
        chosen = sorted(sorted(ranks, key=lambda index: (ranks[index], index))[:n])
        return Statements(self.name, tuple(self.pairs[index] for index in chosen), self.notes)


def load_statements(source: str) -> Statements:
    """A preset by its name, or a file, or a data set on the Hub as `hub:owner/name`.

    Raises:
        SteeringError: No such set, another layout, or rows that make no pairs, naming the row.
    """
    found = find_statements(source)
    table = read_table(found)
    return statements_of(table, source.strip() if isinstance(found, Path) else table.name)


def find_statements(source: str) -> str | Path:
    """A preset's file, or the source itself where it is a file or on the Hub.

    Raises:
        SteeringError: There is none.
    """
    name = source.strip()
    if name in STATEMENT_SETS:
        return resource("presets", "statements") / f"{name}.jsonl"
    place, _ = split_source(name)
    if str(place).startswith(HUB) or is_source_file(place):
        return name
    raise SteeringError(
        f"The statement pairs '{source[:200]}' were asked for.",
        f"one of {', '.join(STATEMENT_SETS)}, a file, or a data set as hub:owner/name.",
        "Choose one of these, or check the path.",
    )


def statements_of(table: Table, name: str) -> Statements:
    """The pairs in a file's rows.

    Raises:
        SteeringError: As `load_statements`.
    """
    chosen = table.selection.columns
    table = table if len(chosen) == 2 else chosen_list(table)
    rows = [_renamed(row.value, chosen) for row in table.rows]
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        raise SteeringError(f"{table.name} holds no rows with named columns.", f"{_LAYOUTS}.", "Choose another file.")
    pairs, notes = _published(rows, table.name) if _PUBLISHED in rows[0] else _plain(rows, table.name)
    return Statements(name, tuple(pairs), (*table.notes, *notes, *_contradictions(pairs)))


def _renamed(row: Any, chosen: Sequence[str]) -> Any:
    """A row with the chosen columns as safe and harmful, or with other projects' names for them."""
    if not isinstance(row, Mapping) or ("safe" in row and "harmful" in row):
        return row
    ways = [tuple(chosen)] if len(chosen) == 2 else _OTHERS
    safe, harmful = next((way for way in ways if set(way) <= set(row)), ("safe", "harmful"))
    return {{safe: "safe", harmful: "harmful"}.get(key, key): value for key, value in row.items()}


def _plain(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[StatementPair], list[str]]:
    """A pair a row."""
    pairs = []
    for number, row in enumerate(rows, start=1):
        unknown = [key for key in row if key not in _COLUMNS]
        missing = [key for key in ("safe", "harmful") if not _text(row.get(key))]
        if missing or unknown:
            what = f"has no {' and no '.join(missing)}" if missing else f"has the unknown column '{unknown[0]}'"
            found = f"; its columns are {', '.join(map(str, row))}"
            raise SteeringError(f"Row {number} of {name} {what}{found}.", f"{_LAYOUTS}.", "Mend the file.")
        for key in _COLUMNS:
            if not isinstance(row.get(key), str | int | float | None):
                raise SteeringError(
                    f"Row {number} of {name} has no text in the column '{key}'.", remedy="Mend that row."
                )
        given = {key: _text(row.get(key)) for key in _COLUMNS}
        given["id"] = given["id"] or f"row {number}"
        if given["formulation"] and given["formulation"] not in FORMULATIONS:
            raise SteeringError(
                f"Row {number} of {name} has the formulation '{given['formulation']}'.",
                f"one of {', '.join(FORMULATIONS)}, or nothing.",
                "Mend that row.",
            )
        given["formulation"] = given["formulation"] or _formulation(given["safe"], given["harmful"])
        pairs.append(StatementPair(**given))
    return pairs, _guessed(sum(not _text(row.get("formulation")) for row in rows))


def _published(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[list[StatementPair], list[str]]:
    """A statement a row; row i is the pair of row i + N/2, and their labels differ: 0 is harmful, 1 safe."""
    n, labels = len(rows), [_label(row, number, name) for number, row in enumerate(rows, start=1)]
    if n % 2:
        raise SteeringError(
            f"{name} has {n} rows, {n - sum(labels)} harmful and {sum(labels)} safe; the last is row {n}.",
            "an even number: row i is the pair of row i + N/2.",
            "Add the row that is missing, or remove the one that is over.",
        )
    places: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        index = _text(row.get("index"))
        if index and places.setdefault(index, number) != number:
            raise SteeringError(
                f"Rows {places[index]} and {number} of {name} have the index {index}.",
                "an index a row.",
                "Mend the file.",
            )
    if len(set(labels)) < 2:
        side = "safe" if labels[0] else "harmful"
        raise SteeringError(f"All {n} rows of {name} are {side}.", "as many harmful rows (0) as safe ones (1).")
    pairs = []
    for first in range(n // 2):
        second = first + n // 2
        if labels[first] == labels[second]:
            raise SteeringError(
                f"Rows {first + 1} and {second + 1} of {name} are a pair, and both are "
                f"{'safe' if labels[first] else 'harmful'}.",
                f"one harmful (0) and one safe (1) row in the column {_PUBLISHED}.",
                "Mend these rows: row i is the pair of row i + N/2.",
            )
        safe, harmful = (first, second) if labels[first] else (second, first)
        folds = {_text(rows[each].get("fold")) for each in (first, second)}
        if len(folds) > 1:
            raise SteeringError(
                f"Rows {first + 1} and {second + 1} of {name} are a pair, and lie in the folds "
                f"{' and '.join(sorted(fold or '(none)' for fold in folds))}.",
                "both halves of a pair in one fold: otherwise the probe has seen what it is tested on.",
                "Mend the column fold, or leave it out.",
            )
        one, other = (_text(rows[each].get("statement")) for each in (safe, harmful))
        name_of_pair = f"rows {first + 1} and {second + 1}"
        pairs.append(StatementPair(name_of_pair, one, other, _formulation(one, other), fold=folds.pop()))
    return pairs, _guessed(len(pairs))


def _label(row: Mapping[str, Any], number: int, name: str) -> int:
    said = label_text(row.get(_PUBLISHED, ""))
    if said not in (*TRUE, *FALSE) or not _text(row.get("statement")):
        raise SteeringError(
            f"Row {number} of {name} has the statement '{_text(row.get('statement'))}' and the label "
            f"'{row.get(_PUBLISHED, '')}'.",
            f"a statement, and 0 (harmful) or 1 (safe) in the column {_PUBLISHED}; or false and true, or no and yes.",
            "Mend that row.",
        )
    return int(said in TRUE)


def _text(value: Any) -> str:
    """A cell as text: nothing where it is missing, and a whole number without a point."""
    if value is None or value != value:
        return ""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


def _formulation(safe: str, harmful: str) -> str:
    return "negation" if negations(safe) != negations(harmful) else "concurrent"


def _guessed(n: int) -> list[str]:
    said = "it was worked out: negation where the halves have a different number of negation words"
    return [f"The formulation of {n} pairs is not in the file; {said}."] if n else []


def _contradictions(pairs: Sequence[StatementPair]) -> list[str]:
    safe = {pair.safe.casefold(): pair for pair in pairs}
    both = [(safe[pair.harmful.casefold()], pair) for pair in pairs if pair.harmful.casefold() in safe]
    if not both:
        return []
    first, second = both[0]
    return [f"{len(both)} statements are safe in one pair and harmful in another, first in {first.id} and {second.id}."]


def _check(given: Statements) -> None:
    if len(given.pairs) < FEWEST:
        raise SteeringError(
            f"The set '{given.name}' has {len(given.pairs)} pairs.", f"at least {FEWEST}.", "Choose a larger set."
        )
    for fault in faults(given):
        raise SteeringError(f"In the set '{given.name}', {fault}", remedy="Mend the file.")
