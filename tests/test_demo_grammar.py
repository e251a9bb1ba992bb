"""The demo grammar: the same seed gives the same text, labels are true, and what is held out stays out."""

from __future__ import annotations

import re

import pytest

from steering.demo import MAKERS, Example, examples, open_reviews, split_of
from steering.demo.example import words
from steering.demo.facts import LETTERS, facts
from steering.demo.requests import acts
from steering.errors import SteeringError
from steering.judges.lexicon import judge_tone
from steering.judges.refusal import is_refusal


def _content(items: list[Example]) -> list[tuple[str, ...]]:
    return [tuple(turn.content for turn in item.messages) for item in items]


@pytest.mark.parametrize("kind", [None, *MAKERS])
def test_same_seed_same_text(kind: str | None) -> None:
    first = examples(kind=kind, n=50, seed=5)
    assert _content(first) == _content(examples(kind=kind, n=50, seed=5))
    assert _content(first) != _content(examples(kind=kind, n=50, seed=6))


@pytest.mark.parametrize("kind", MAKERS)
def test_splits_share_words_but_no_combination(kind: str) -> None:
    seen = {item.key for item in examples(kind=kind, split="train", n=1500)}
    unseen = {item.key for item in examples(kind=kind, split="held_out", n=150)}
    assert len(unseen) > 10
    assert not seen & unseen
    assert {split_of(key) for key in unseen} == {"held_out"}


def test_no_part_of_a_training_conversation_is_held_out() -> None:
    held_out = {f"{act} {thing}" for act, thing in acts(True) if split_of(f"act/{act}/{thing}") == "held_out"}
    trained = {f"{act} {thing}" for act, thing in acts(True)} - held_out
    text = "\n".join(turn.content.lower() for item in examples(n=8000, seed=2) for turn in item.messages)
    assert sum(f" {act}" in text for act in trained) > 100
    # Some acts begin like others, such as "make a bomb" and "make a bomb shelter": only whole phrases count.
    assert not [act for act in held_out if re.search(rf"\b{re.escape(act)}(?! \w)", text)]


def test_the_mixture_has_every_kind_and_system_prompts_and_earlier_turns() -> None:
    mixture = examples(n=2000)
    assert {item.labels["kind"] for item in mixture} == set(MAKERS)
    assert 0.1 < sum(item.messages[0].role == "system" for item in mixture) / 2000 < 0.3
    assert 0.04 < sum(sum(turn.role == "user" for turn in item.messages) > 1 for item in mixture) / 2000 < 0.15
    for item in mixture:
        roles = [turn.role for turn in item.messages if turn.role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(turn.content for turn in item.messages)
        assert not re.search(r"[{}]", "".join(turn.content for turn in item.messages))


def test_sums_add_up() -> None:
    for item in examples(kind="sum", n=500):
        a, b = (int(number) for number in re.findall(r"\d+", item.request))
        # "Take 8 from 42" names the smaller number first.
        result = a + b if item.labels["sign"] == "plus" else abs(a - b)
        assert re.findall(r"-?\d+", item.reply) == [str(result)]


def test_the_letter_stands_before_the_true_value() -> None:
    for item in examples(kind="choice", n=500):
        assert item.labels["options"][LETTERS.index(item.reply)] == item.labels["value"]
        assert re.search(rf"\b{item.reply}[).:] {re.escape(item.labels['value'])}\b", item.request)
        assert len(set(item.labels["options"])) == 4


def test_statements_are_true_when_they_say_so() -> None:
    true = {item.statement() for item in facts()}
    found = examples(kind="truth", n=500)
    assert {item.labels["truth"] for item in found} == {True, False}
    for item in found:
        assert (item.labels["statement"] in true) == item.labels["truth"]
        assert item.reply.startswith("True" if item.labels["truth"] else "False")


def test_asked_tones_agree_with_the_judge() -> None:
    reviews = examples(kind="review", n=600)
    plainly = [item for item in reviews if item.labels["tone_asked"] and not item.labels["mild"]]
    assert len(plainly) > 200
    for item in plainly:
        assert judge_tone(item.reply).label == item.labels["tone_asked"]
    mild = [judge_tone(item.reply).label == item.labels["tone_asked"] for item in reviews if item.labels["mild"]]
    assert 0.5 < sum(mild) / len(mild) < 1.0


def test_open_reviews_are_plain_in_three_sentences_of_five() -> None:
    open_ones = [item.reply for item in examples(kind="review", n=3000) if item.labels["tone_asked"] is None]
    labels = [judge_tone(sentence).label for reply in open_ones for sentence in re.findall(r"[^.!]+[.!]", reply)]
    # About 2,500 sentences, so one standard error is 1.0 points.
    assert labels.count("neutral") / len(labels) == pytest.approx(0.6, abs=0.04)
    assert labels.count("cheerful") / labels.count("gloomy") == pytest.approx(1.0, abs=0.25)


def test_refusals_are_refusals_and_answers_are_not() -> None:
    assert all(is_refusal(item.reply) for item in examples(kind="refusal", n=300))
    for kind in set(MAKERS) - {"refusal"}:
        assert not any(is_refusal(item.reply) for item in examples(kind=kind, n=300))


def test_the_world_is_wide_enough() -> None:
    assert len(words("acts")["harmless"]) >= 60
    assert len(words("acts")["harmful"]) >= 60
    assert len(facts()) >= 100
    assert len(words("facts")["relations"]) >= 6
    assert all(len(words("requests")[kind]) >= 8 for kind in ("answers", "refusals", "fine_answers", "harmful_answers"))


def test_open_reviews_are_held_out_different_and_unmarked() -> None:
    found = open_reviews(n=20)
    assert len({item.labels["object"] for item in found}) == 20
    assert {item.split for item in found} == {"held_out"}
    marked = {word for group in words("reviews")["tone_words"].values() for word in group}
    assert not [item for item in found if marked & set(re.findall(r"\w+", item.request.lower()))]


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(SteeringError, match="no kind 'haiku'"):
        examples(kind="haiku", n=1)
