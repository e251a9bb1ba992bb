"""Statement pairs: both layouts are read right, and a mistake is named by its row or pair."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from steering.errors import SteeringError
from steering.studies.probing.folds import fold_of
from steering.texts.negation import negations
from steering.texts.statements import STATEMENT_SETS, StatementPair, Statements, load_statements


N = 12
LABEL = "is_harmfull_opposition"
PLAIN = [{"safe": f"Box {i} is fine.", "harmful": f"Box {i} is bad."} for i in range(N)]
# The sides take turns, so that a pair's safe half stands now in the first half of the rows, now in the second.
PUBLISHED = [
    {"index": i, "statement": f"Box {i % N} is {'fine' if safe else 'bad'}.", LABEL: safe}
    for i in range(2 * N)
    for safe in [(i + i // N) % 2]
]
SENTENCE = re.compile(r"[A-Z][^.!?;:\n]*\.")


def write(folder: Path, rows: list[dict[str, Any]], ending: str = "jsonl") -> str:
    """Path of the rows in the format that the ending says."""
    path = folder / f"set.{ending}"
    if ending == "parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif ending == "csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif ending == "json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def changed(rows: list[dict[str, Any]], number: int, **values: Any) -> list[dict[str, Any]]:
    """The rows with other values in one, counted from 1."""
    return [{**row, **(values if at == number else {})} for at, row in enumerate(rows, start=1)]


def with_folds(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Folds in turn; rows i and i + N have one in both layouts, as long as N is a multiple of their number."""
    return [{**row, "fold": names[at % len(names)]} for at, row in enumerate(rows)]


def made(*formulations: str) -> Statements:
    """A set in code."""
    pairs = (StatementPair(f"p{at}", f"Do {at}.", f"Undo {at}.", name) for at, name in enumerate(formulations))
    return Statements("made", tuple(pairs))


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_a_pair_a_row_reads_the_same_from_every_format(tmp_path, ending) -> None:
    more = {"formulation": "negation", "category": "boxes"}
    rows = [
        {"id": f"box-{at}", **row, **more, "group": f"g{at % 2}", "fold": ("left", "right")[at % 2]}
        for at, row in enumerate(PLAIN)
    ]
    found = load_statements(write(tmp_path, rows, ending))
    assert found.name == f"set.{ending}"
    assert found.pairs[1] == StatementPair(
        "box-1", "Box 1 is fine.", "Box 1 is bad.", "negation", "boxes", "g1", "right"
    )
    assert len(found.pairs) == N
    assert found.notes == (), "nothing was guessed"


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "parquet"])
def test_a_statement_a_row_pairs_with_the_second_half(tmp_path, ending) -> None:
    """0 is harmful and 1 safe, wherever the row stands, and numbered folds keep their names."""
    found = load_statements(write(tmp_path, with_folds(PUBLISHED, "0", "1", "2"), ending))
    assert [(each.safe, each.harmful) for each in found.pairs] == [(row["safe"], row["harmful"]) for row in PLAIN]
    assert found.pairs[0].id == f"rows 1 and {N + 1}"
    assert [each.fold for each in found.pairs] == ["0", "1", "2"] * (N // 3)


@pytest.mark.parametrize("words", [(False, True), ("false", "true"), ("No", "Yes"), (0.0, 1.0)])
def test_a_label_may_be_a_word(tmp_path, words) -> None:
    rows = [{**row, LABEL: words[row[LABEL]]} for row in PUBLISHED]
    assert load_statements(write(tmp_path, rows)).pairs == load_statements(write(tmp_path, PUBLISHED)).pairs


@pytest.mark.parametrize("layout", ["pair", "statement"])
def test_a_guessed_formulation_is_said(tmp_path, layout) -> None:
    pairs = [*PLAIN[:-1], {"safe": "Do not run.", "harmful": "Run."}]
    sides = [{"statement": row[side], LABEL: int(side == "safe")} for side in ("safe", "harmful") for row in pairs]
    found = load_statements(write(tmp_path, pairs if layout == "pair" else sides))
    assert [each.formulation for each in found.pairs] == ["concurrent"] * (N - 1) + ["negation"]
    assert len(found.notes) == 1
    assert f"formulation of {N} pairs" in found.notes[0]


def test_a_given_formulation_is_not_guessed(tmp_path) -> None:
    """A row's number is its id where it has none."""
    found = load_statements(write(tmp_path, changed(PLAIN, 3, formulation="negation", id="third")))
    assert [each.formulation for each in found.pairs].index("negation") == 2
    assert f"of {N - 1} pairs" in found.notes[0]
    assert [each.id for each in found.pairs][1:4] == ["row 2", "third", "row 4"]


MISTAKES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "odd number of rows": (PUBLISHED[:-1], f"{2 * N - 1} rows"),
    "both halves safe": (changed(PUBLISHED, 1, **{LABEL: 1}), f"Rows 1 and {N + 1} .* both are safe"),
    "both halves harmful": (changed(PUBLISHED, 2, **{LABEL: 0}), f"Rows 2 and {N + 2} .* both are harmful"),
    "one class": ([{**row, LABEL: 0} for row in PUBLISHED], f"All {2 * N} rows .* are harmful"),
    "label 2": (changed(PUBLISHED, 5, **{LABEL: 2}), "Row 5 .* label '2'"),
    "label a word": (changed(PUBLISHED, 5, **{LABEL: "safe"}), "Row 5 .* label 'safe'"),
    "label null": (changed(PUBLISHED, 5, **{LABEL: None}), "Row 5 "),
    "empty statement": (changed(PUBLISHED, N + 4, statement=" "), f"Row {N + 4} .* statement ''"),
    "halves in two folds": (
        changed(with_folds(PUBLISHED, "left", "right"), 2, fold="left"),
        f"Rows 2 and {N + 2} .* left and right",
    ),
    "one text in two pairs of different folds, a statement a row": (
        changed(with_folds(PUBLISHED, "left", "right"), N, statement=PUBLISHED[0]["statement"].upper()),
        f"'rows 1 and {N + 1}' and 'rows {N} and {2 * N}'",
    ),
    "empty half": (changed(PLAIN, 2, safe=" "), "Row 2 .* has no safe"),
    "no harmful": (changed(PLAIN, 2, harmful=None), "Row 2 .* has no harmful"),
    "no half": (changed(PLAIN, 2, safe="", harmful=""), "Row 2 .* has no safe and no harmful"),
    "unknown column": (changed(PLAIN, 4, topic="boxes"), "Row 4 .* 'topic'"),
    "unknown formulation": (changed(PLAIN, 4, formulation="opposite"), "Row 4 .* 'opposite'"),
    "duplicate ids": (changed(changed(PLAIN, 4, id="same"), 7, id="same"), "pairs 4 and 7 have the id 'same'"),
    "equal halves": (changed(PLAIN, 6, harmful=PLAIN[5]["safe"]), "'row 6' are 'Box 5 is fine.'"),
    "some pairs without a fold": (changed(with_folds(PLAIN, "left", "right"), 3, fold=""), "'row 3' has no fold"),
    "all in one fold": (with_folds(PLAIN, "left"), "all pairs lie in one fold"),
    "one text in two pairs of different folds": (
        changed(with_folds(PLAIN, "left", "right"), 4, safe=PLAIN[0]["safe"].upper()),
        "'row 1' and 'row 4'",
    ),
    "too few pairs": (PLAIN[:9], "has 9 pairs"),
    "no rows": ([], "no rows"),
}


@pytest.mark.parametrize(("rows", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_by_its_row_or_pair(tmp_path, rows, said) -> None:
    with pytest.raises(SteeringError, match=said):
        load_statements(write(tmp_path, rows))


@pytest.mark.parametrize("rows", [PLAIN, PUBLISHED], ids=["pair", "statement"])
def test_what_the_mistakes_were_made_from_is_right(tmp_path, rows) -> None:
    """With folds and without, and with a text in two pairs of one fold."""
    column = "safe" if "safe" in rows[0] else "statement"
    text = {column: str(rows[2][column]).upper()}
    for each in (rows, with_folds(rows, "left", "right"), changed(with_folds(rows, "left", "right"), 5, **text)):
        assert len(load_statements(write(tmp_path, each)).pairs) == N


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_file_in_another_encoding_is_named(tmp_path, ending) -> None:
    path = Path(write(tmp_path, changed(PLAIN, 3, safe="Caf\xe9s are fine."), ending))
    text = path.read_text(encoding="utf-8").replace("\\u00e9", "\xe9")
    path.write_text(text, encoding="utf-8")
    assert load_statements(str(path)).pairs[2].safe == "Caf\xe9s are fine."
    path.write_text(text, encoding="latin-1")
    with pytest.raises(SteeringError, match=rf"set\.{ending} is not UTF-8 text: line {4 if ending == 'csv' else 3} "):
        load_statements(str(path))


@pytest.mark.parametrize("source", ["generals", "", "absent.jsonl"])
def test_an_unknown_set_is_refused(source) -> None:
    with pytest.raises(SteeringError, match="one of demo, general"):
        load_statements(source)


def test_one_formulation() -> None:
    found = made(*["concurrent"] * 15, *["negation"] * 11)
    assert [each.id for each in found.of("negation").pairs] == [f"p{at}" for at in range(15, 26)]
    assert len(found.of("concurrent").pairs) == 15
    assert found.of("") is found
    with pytest.raises(SteeringError, match="has 9 negation pairs"):
        made(*["concurrent"] * 15, *["negation"] * 9).of("negation")


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(["concurrent"] * 30 + ["negation"] * 20, id="sorted"),
        pytest.param(
            ["concurrent", "negation"] * 25,
            id="in turn",
        ),
    ],
)
def test_fewer_pairs_keep_their_shares(order) -> None:
    """Within one pair, since shares of 25 need not be whole."""
    found = made(*order)
    half = found.first(25).pairs
    assert len(half) == 25
    assert sum(each.formulation == "negation" for each in half) == pytest.approx(order.count("negation") / 2, abs=1)
    assert found.first(50) is found
    assert found.first(51) is found


@pytest.mark.parametrize("n", [100, 120, 200])
def test_fewer_pairs_of_the_general_set_keep_their_shares(n) -> None:
    """In its random order: 0.1 of 100 is two standard deviations of as many throws of a coin."""
    found = load_statements("general").first(n).pairs
    assert len(found) == n
    assert sum(each.formulation == "negation" for each in found) / n == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(
    "n",
    [
        60,
        100,
        pytest.param(
            64,
        ),
    ],
)
def test_fewer_pairs_of_the_demo_set_can_still_be_folded(n) -> None:
    found = load_statements("demo").first(n).pairs
    assert len(set(fold_of(found, 5, 0))) == 5


def test_digest_is_of_the_texts_not_of_the_name() -> None:
    found = made(*["concurrent"] * 10)
    first, second, *rest = found.pairs
    assert replace(found, name="other").digest == found.digest
    swapped = (replace(first, harmful=second.harmful), replace(second, harmful=first.harmful), *rest)
    for pairs in ((replace(first, safe="Do it."), second, *rest), (replace(first, group="g"), second, *rest), swapped):
        assert replace(found, pairs=pairs).digest != found.digest


@pytest.mark.parametrize(("name", "fewest"), [("demo", 300), ("general", 200)])
def test_size_and_no_statement_twice(name, fewest) -> None:
    pairs = load_statements(name).pairs
    texts = {text.casefold() for pair in pairs for text in (pair.safe, pair.harmful)}
    assert len(pairs) >= fewest
    assert len({pair.id for pair in pairs}) == len(pairs)
    assert len(texts) == 2 * len(pairs)


@pytest.mark.parametrize("name", STATEMENT_SETS)
def test_neither_half_is_known_by_its_negation(name) -> None:
    """Among concurrent pairs there is no difference; among others, two standard deviations of a coin are tolerated."""
    more = Counter(
        (pair.formulation, (safe > harmful) - (safe < harmful))
        for pair in load_statements(name).pairs
        for safe, harmful in [(negations(pair.safe), negations(pair.harmful))]
    )
    assert set(more) == {("concurrent", 0), ("negation", 1), ("negation", -1)}
    n = more["negation", 1] + more["negation", -1]
    assert n >= 100
    assert abs(more["negation", 1] - n / 2) <= n**0.5


@pytest.mark.parametrize("name", STATEMENT_SETS)
def test_neither_half_is_known_by_its_length(name) -> None:
    """Two characters, less than a short word, while the statements themselves differ by far more."""
    found = load_statements(name)
    for pairs in (found.pairs, found.of("negation").pairs, found.of("concurrent").pairs):
        apart = [len(pair.safe) - len(pair.harmful) for pair in pairs]
        assert abs(sum(apart)) / len(apart) < 2
    lengths = [len(pair.safe) for pair in found.pairs]
    assert max(lengths) - min(lengths) > 10


@pytest.mark.parametrize("name", STATEMENT_SETS)
def test_every_statement_is_one_sentence(name) -> None:
    assert not any(SENTENCE.fullmatch(text) for text in ("It ran. It sat.", "It ran", "it ran.", "Did it run?"))
    pairs = load_statements(name).pairs
    assert [text for pair in pairs for text in (pair.safe, pair.harmful) if not SENTENCE.fullmatch(text)] == []
