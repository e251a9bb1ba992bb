"""The grammar knows every sentence that it makes, and whose manner it has."""

from __future__ import annotations

from random import Random

import pytest

from steering.demo.example import words
from steering.demo.notes import draw_matter, note_text
from steering.demo.reviews import draw_thing, review_text
from steering.demo.sentences import FILES, TextKind, sentences_of
from steering.demo.stories import draw_hero, story_text


def written(kind: TextKind, rng: Random, manners: tuple[str, ...]) -> str:
    """A text of the grammar, each sentence of one of some manners."""
    if kind == "story":
        return story_text(rng, manners, *draw_hero(rng))
    if kind == "note":
        return note_text(rng, manners, *draw_matter(rng)[:2])
    name, _, parts = draw_thing(rng)
    return review_text(rng, manners, name, parts)


@pytest.mark.parametrize("kind", FILES)
def test_every_sentence_of_the_grammar_is_known_with_its_manner(kind: TextKind) -> None:
    rng = Random(f"sentences/{kind}")
    for manner in words(FILES[kind])["sentences"]:
        for _ in range(12):
            found = sentences_of(kind, written(kind, rng, (manner,)))
            assert 2 <= len(found) <= 4
            assert all(each.manners == {manner} for each in found), (manner, found)


def test_a_text_of_two_manners_is_told_apart() -> None:
    text = "On a ship, a fox wanted to see the sea. The fox counted the letters."
    found = sentences_of("story", text)
    assert [sorted(each.manners) for each in found] == [["sea"], ["plain"]]
    assert " ".join(each.text for each in found) == text


def test_what_the_grammar_does_not_make_is_nobodys() -> None:
    text = "The fox counted the waves waves. The fox counted the waves. And then"
    found = sentences_of("story", text)
    assert [bool(each.manners) for each in found] == [False, True, False]
    assert sentences_of("story", " ") == []
