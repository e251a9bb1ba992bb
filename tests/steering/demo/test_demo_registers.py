"""Notes and stories: in the register or on the topic asked for, plain where none was, and their contrast sets."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import yaml

from steering.demo.example import Example, article, split_of, words
from steering.demo.notes import note, note_key, open_notes
from steering.demo.stories import open_stories, story, story_key
from steering.judges.lexicon import judge_lexicon, judge_tone
from steering.judges.refusal import is_refusal
from steering.resources import resource


MAKERS = {"note": note, "story": story}
JUDGES = {"note": "formality", "story": "topic"}
WRONG_ARTICLE = re.compile(r"\ba [aeiou]|\ban (?!hour)[^aeiou]", re.IGNORECASE)
OPEN: dict[str, Callable[..., list[Example]]] = {"note": open_notes, "story": open_stories}


def _asked(example: Example) -> str | None:
    return example.labels["register_asked" if example.labels["kind"] == "note" else "topic"]


def _draw(kind: str, n: int) -> list[Example]:
    rng = Random(f"test/{kind}")
    return [MAKERS[kind](rng) for _ in range(n)]


def _judged(kind: str, text: str) -> str:
    return judge_lexicon(text, JUDGES[kind]).label


def _sentences(text: str) -> list[str]:
    return re.findall(r"[^.!?]+[.!?]", text)


def _manners(kind: str) -> list[str]:
    return [manner for manner in words({"note": "notes", "story": "stories"}[kind])["words"] if manner != "plain"]


@pytest.mark.parametrize("kind", MAKERS)
def test_asked_manners_agree_with_the_judge(kind: str) -> None:
    plainly = [item for item in _draw(kind, 900) if _asked(item) and not item.labels["mild"]][:300]
    assert len(plainly) == 300
    assert {_asked(item) for item in plainly} == set(_manners(kind))
    assert sum(_judged(kind, item.reply) == _asked(item) for item in plainly) >= 0.97 * 300


@pytest.mark.parametrize("kind", MAKERS)
def test_mild_manners_leave_sentences_plain(kind: str) -> None:
    mild = [item for item in _draw(kind, 3000) if item.labels["mild"]]
    assert len(mild) > 200
    labels = [(_judged(kind, line), _asked(item)) for item in mild for line in _sentences(item.reply)]
    assert {label for label, asked in labels if label != asked} == {"neutral"}
    # Over 600 sentences, so one standard error is at most 2 points.
    assert sum(label == "neutral" for label, _ in labels) / len(labels) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("kind", MAKERS)
def test_unasked_sentences_are_plain_in_three_of_five(kind: str) -> None:
    unasked = [item for item in _draw(kind, 4000) if _asked(item) is None]
    labels = [_judged(kind, line) for item in unasked for line in _sentences(item.reply)]
    # Over 3,000 sentences, so one standard error is 0.9 points; the other manners share the rest evenly.
    assert labels.count("neutral") / len(labels) == pytest.approx(0.6, abs=0.04)
    manners = _manners(kind)
    for manner in manners:
        assert labels.count(manner) / len(labels) == pytest.approx(0.4 / len(manners), abs=0.03)


def test_an_open_story_has_one_topic_at_most() -> None:
    unasked = [item for item in _draw("story", 2000) if item.labels["topic"] is None]
    found = [{_judged("story", line) for line in _sentences(item.reply)} - {"neutral"} for item in unasked]
    assert max(map(len, found)) == 1
    assert {topic for topics in found for topic in topics} == set(_manners("story"))


@pytest.mark.parametrize("kind", MAKERS)
def test_manners_are_asked_for_by_the_request_the_system_prompt_or_not(kind: str) -> None:
    drawn = _draw(kind, 3000)
    by_system = [item for item in drawn if item.messages[0].role == "system"]
    assert all(_asked(item) and not item.labels["mild"] for item in by_system)
    # One standard error of a share of 3,000 is at most 0.9 points.
    assert len(by_system) / 3000 == pytest.approx(0.1, abs=0.03)
    assert sum(_asked(item) is None for item in drawn) / 3000 == pytest.approx(0.3, abs=0.04)
    assert sum(item.labels["mild"] for item in drawn) / 3000 == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize("kind", MAKERS)
def test_replies_are_two_to_four_whole_sentences_of_no_tone(kind: str) -> None:
    for item in _draw(kind, 1000):
        assert 2 <= len(_sentences(item.reply)) <= 4
        assert not re.search(r"[{}]|\bNone\b", item.request + item.reply)
        assert item.reply[0].isupper()
        assert not WRONG_ARTICLE.search(item.request + " " + item.reply)
        assert judge_tone(item.reply).label == "neutral"
        assert not is_refusal(item.reply)


@pytest.mark.parametrize("kind", MAKERS)
def test_open_requests_are_held_out_distinct_and_plain(kind: str) -> None:
    found = OPEN[kind](n=20, seed=1)
    assert len({item.request for item in found}) == 20
    assert {item.split for item in found} == {"held_out"}
    assert {_asked(item) for item in found} == {None}
    assert {_judged(kind, item.reply) for item in found} == {"neutral"}
    assert [item.messages for item in found] == [item.messages for item in OPEN[kind](n=20, seed=1)]
    assert [item.request for item in found] != [item.request for item in OPEN[kind](n=20, seed=2)]
    # No trained example asks the same, not even under a system prompt.
    trained = {item.request for item in _draw(kind, 3000) if item.split == "train"}
    assert len(trained) > 1500
    assert not trained & {item.request for item in found}


def test_the_world_of_notes_and_stories_is_wide_enough() -> None:
    notes, stories = words("notes"), words("stories")
    assert len(notes["people"]) >= 30
    assert len(notes["matters"]) >= 30
    assert {len(parts) for parts in notes["matters"].values()} == {4}
    assert len(stories["heroes"]) >= 25
    for forms, middles in ((notes, 6), (stories, 8)):
        for places in forms["sentences"].values():
            least = {"open": 6, "middle": middles, "close": 6}
            assert all(len(places[place]) >= count for place, count in least.items())


def _pairs(name: str) -> list[tuple[str, str]]:
    table: dict[str, Any] = yaml.safe_load(resource("presets", "contrast", f"{name}.yaml").read_text(encoding="utf-8"))
    assert table["name"] == name
    assert table["suggested_strength"] > 0
    fields = ("title", "description", "licence", "positive_label", "negative_label")
    assert all(isinstance(table[field], str) and table[field] for field in fields)
    return [(pair["positive"], pair["negative"]) for pair in table["pairs"]]


@pytest.mark.parametrize("name", ["formality", "sea"])
def test_contrast_sets_have_64_pairs_of_different_prompts(name: str) -> None:
    pairs = _pairs(name)
    assert len(pairs) >= 64
    assert len({prompt for pair in pairs for prompt in pair}) == 2 * len(pairs)
    assert not [prompt for pair in pairs for prompt in pair if WRONG_ARTICLE.search(prompt)]


def test_formality_pairs_are_held_out_and_differ_in_the_register_word_only() -> None:
    forms = words("notes")
    phrases = {f"{person} about the {matter}" for person in forms["people"] for matter in forms["matters"]}
    registers = {side: "|".join(forms["tone_words"][side]) for side in ("formal", "informal")}
    for positive, negative in _pairs("formality"):
        named = [each for each in phrases if each in positive and re.search(rf"\b{each}\b", positive)]
        assert [split_of(note_key(phrase)) for phrase in named] == ["held_out"], positive
        blanks = [
            re.sub(rf"\b(an? )?({registers[side]})\b", "_", prompt)
            for side, prompt in (("formal", positive), ("informal", negative))
        ]
        assert blanks[0] == blanks[1]
        assert blanks[0].count("_") == 1


def test_sea_pairs_are_held_out_and_differ_in_the_topic_only() -> None:
    forms = words("stories")
    names = [" ".join(filter(None, two)) for two in itertools.product(forms["qualifiers"], forms["heroes"])]
    asked: dict[str, tuple[str, str, int]] = {}
    for name, (topic, ways), (which, form) in itertools.product(
        names, forms["topics"].items(), enumerate(forms["marked"])
    ):
        hero = f"{article(name)} {name}"
        for way in ways:
            asked[form.format(hero=hero, topic=way)] = (hero, topic, which)
    others = set()
    for positive, negative in _pairs("sea"):
        (hero, topic, which), (other_hero, other, other_which) = asked[positive], asked[negative]
        assert (hero, which) == (other_hero, other_which)
        assert topic == "sea" != other
        others.add(other)
        assert split_of(story_key(hero, topic, "marked", which)) == "held_out", positive
        assert split_of(story_key(hero, other, "marked", which)) == "held_out", negative
    assert others == {"kitchen", "garden", "music"}
