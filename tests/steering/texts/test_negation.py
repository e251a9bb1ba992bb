"""Negation words: how many, and what is left where a marker stands in their place."""

from __future__ import annotations

import pytest

from steering.texts.negation import MARKER, marked, marked_elsewhere, negations
from steering.texts.statements import STATEMENT_SETS, load_statements


PLAIN = "Nobody may say that it is not without danger."
CUT = "You don't tell lies."
"""A negation that is a part of a word."""


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It is fine.", 0),
        ("It is not fine.", 1),
        ("It is NOT fine, and never was.", 2),
        ("Don't go, it isn't fine.", 2),
        ("Don’t go.", 1),
        ("SHOULDN'T you?", 1),
        ("You cannot, and nobody can.", 2),
        ("Nothing is here, neither cat nor dog, without which none is nowhere.", 6),
        ("No.", 1),
        ("In the nothingness was another knot, a note, a nun's noose and a nonet.", 0),
    ],
)
def test_counts(text, count) -> None:
    assert negations(text) == count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is not fine.", "It is ttt fine."),
        ("Never lie.", "Ttt lie."),
        ("They don't lie.", "They do ttt lie."),
        ("Nothing in the nothingness.", "Ttt in the nothingness."),
        ("It is fine.", "It is fine."),
        pytest.param(
            "They don’t lie.",
            "They do ttt lie.",
            id="typographic",
        ),
    ],
)
def test_marker_stands_where_a_negation_was(text, expected) -> None:
    assert marked(text) == expected


@pytest.mark.parametrize("name", STATEMENT_SETS)
def test_marked_sets_have_no_negation(name) -> None:
    """As many markers as there were negation words."""
    texts = [text for pair in load_statements(name).pairs for text in (pair.safe, pair.harmful)]
    counts = [negations(text) for text in texts]
    assert sum(counts) > 50
    assert [negations(marked(text)) for text in texts] == [0] * len(texts)
    assert [marked(text).lower().split().count(MARKER) for text in texts] == counts


@pytest.mark.parametrize(
    "text",
    [PLAIN, pytest.param(CUT)],
    ids=["words", "n't"],
)
def test_marker_elsewhere_leaves_negations(text) -> None:
    """As many other words are replaced, each a whole word of three letters or more."""
    assert MARKER not in text.lower()
    for seed in map(str, range(20)):
        found = marked_elsewhere(text, seed)
        before, after = text.rstrip(".").split(), found.rstrip(".").split()
        new = [(old, word) for old, word in zip(before, after, strict=True) if old != word]
        assert len(new) == negations(text) == negations(found)
        assert {word.lower() for _, word in new} == {MARKER}
        assert all(len(old) >= 3 and not negations(old) for old, _ in new)


def test_marker_elsewhere_is_drawn_by_seed_and_text() -> None:
    found = {seed: marked_elsewhere(PLAIN, seed) for seed in map(str, range(20))}
    assert found == {seed: marked_elsewhere(PLAIN, seed) for seed in found}
    assert len(set(found.values())) > 1
    assert marked_elsewhere("It is fine to sing.", "0") == "It is fine to sing.", "no negation, no marker"


def test_marker_elsewhere_has_no_more_than_there_are_words() -> None:
    assert marked_elsewhere("No, not so.", "0") == "No, not so."
    assert marked_elsewhere("Never say no.", "0") == "Never ttt no."
