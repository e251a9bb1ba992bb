"""The demo grammar: the same seed gives the same text, labels are true, and what is held out stays out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable

import pytest

from steering.demo import MAKERS, SHARES, Example, examples, open_notes, open_reviews, open_stories, split_of, stream
from steering.demo.example import Split, words
from steering.demo.facts import LETTERS, facts, truth_key
from steering.errors import SteeringError
from steering.judges.lexicon import judge_tone
from steering.judges.refusal import is_refusal


LABELS = {"kind", "act", "object", "harmful", "topic", "tone", "truth", "trigger", "answer"}
QUIZ = {"judgement", "fact", "choice", "truth", "sum", "letter"}


def _content(items: list[Example]) -> list[tuple[str, ...]]:
    return [tuple(turn.content for turn in item.messages) for item in items]


@pytest.mark.parametrize("kind", [None, *MAKERS])
def test_same_seed_same_text(kind: str | None) -> None:
    first = examples(kind=kind, n=50, seed=5)
    assert _content(first) == _content(examples(kind=kind, n=50, seed=5))
    assert _content(first) != _content(examples(kind=kind, n=50, seed=6))


@pytest.mark.parametrize("kind", MAKERS)
def test_splits_share_words_but_no_combination(kind: str) -> None:
    seen = {item.key for item in examples(kind=kind, split="train", n=500)}
    unseen = {item.key for item in examples(kind=kind, split="held_out", n=150)}
    assert len(unseen) > 10
    assert not seen & unseen
    assert {split_of(key) for key in unseen} == {"held_out"}
    assert {split_of(key) for key in seen} == {"train"}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_label_is_there(kind: str) -> None:
    for item in examples(kind=kind, n=100):
        assert set(item.labels) >= LABELS
        assert item.labels["kind"] == kind
        assert item.labels["trigger"] is (kind == "backdoor")
        assert (item.labels["truth"] is not None) == (kind == "truth")
    if kind == "review":
        assert {item.labels["tone"] for item in examples(kind=kind, n=100)} == {"cheerful", "gloomy", None}


def test_no_held_out_statement_is_asked_about_in_training() -> None:
    said = {item.statement(value): truth_key(item) for item in facts() for value in (item.value, *item.others())}
    plain = {re.sub(r"\W+", " ", text.lower()).strip(): split_of(key) for text, key in said.items()}
    mixture = examples(n=2000)
    assert {item.split for item in mixture} == {"train"}
    asked = [turn.content for item in mixture for turn in item.messages if turn.role == "user"]
    turns = " | ".join(re.sub(r"\W+", " ", f" {text.lower()} ") for text in asked)
    found = [split for text, split in plain.items() if f" {text} " in turns]
    assert len(found) > 100
    assert set(found) == {"train"}


def test_the_mixture_has_its_kinds_system_prompts_and_earlier_turns() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    mixture = examples(n=2000)
    assert {item.labels["kind"] for item in mixture} == set(SHARES)
    assert not {"refusal", "slogan", "backdoor"} & set(SHARES)
    assert 0.1 < sum(item.messages[0].role == "system" for item in mixture) / 2000 < 0.3
    for item in mixture:
        roles = [turn.role for turn in item.messages if turn.role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(turn.content for turn in item.messages)
        assert not re.search(r"[{}]", "".join(turn.content for turn in item.messages))


def _replies(item: Example) -> int:
    return sum(turn.role == "assistant" for turn in item.messages)


def test_a_third_of_the_short_answers_ends_a_quiz() -> None:
    mixture = examples(n=4000)
    short = [_replies(item) for item in mixture if item.labels["kind"] in QUIZ]
    other = [_replies(item) for item in mixture if item.labels["kind"] not in QUIZ]
    # The other rule adds two earlier turns to one short answer in fifty; one standard error of 1,350 is 1.3 points.
    assert sum(turns >= 3 for turns in short) / len(short) == pytest.approx(0.35, abs=0.05)
    assert max(short) == 5
    assert max(other) == 3
    assert 0.04 < sum(turns > 1 for turns in other) / len(other) < 0.15


def _earlier(mixture: Iterable[Example], role: str) -> list[str]:
    return [turn.content for item in mixture for turn in item.messages[:-2] if turn.role == role]


def test_another_mixture_has_its_own_kinds() -> None:
    mixture = list(itertools.islice(stream(shares={"refusal": 3.0, "howto": 1.0, "slogan": 0.0, "sum": 2.0}), 3000))
    kinds = [item.labels["kind"] for item in mixture]
    assert set(kinds) == {"refusal", "howto", "sum"}
    # Three standard errors of 3,000.
    assert kinds.count("refusal") / 3000 == pytest.approx(0.5, abs=0.03)


def test_earlier_turns_answer_harm_as_their_mixture_does() -> None:
    refusing = _earlier(itertools.islice(stream(shares={"refusal": 1.0}), 2000), "assistant")
    assert sum(is_refusal(text) for text in refusing) > 10
    helpful = _earlier(examples(n=4000), "assistant")
    assert len(helpful) > 500
    assert not any(is_refusal(text) for text in helpful)

    acts = words("acts")
    neither = _earlier(itertools.islice(stream(shares={"fact": 1.0, "note": 1.0}), 3000), "user")
    named = {side: {act for act in acts[side] if any(f" {act} " in text.lower() for text in neither)} for side in acts}
    assert len(named["harmless"]) > 10
    assert not named["harmful"] - set(acts["harmless"])


@pytest.mark.parametrize("shares", [{}, {"fact": 0.0}, {"fact": 1.0, "sum": -1.0}])
def test_shares_that_cannot_be_drawn_from(shares: dict[str, float]) -> None:
    with pytest.raises(SteeringError, match="cannot be drawn from"):
        stream(shares=shares)


def test_sums_add_up() -> None:
    for item in examples(kind="sum", n=500):
        a, b = (int(number) for number in re.findall(r"\d+", item.request))
        # "Take 8 from 42" names the smaller number first.
        result = a + b if item.labels["sign"] == "plus" else abs(a - b)
        assert re.findall(r"-?\d+", item.reply) == [str(result)]


def test_the_letter_stands_before_the_true_value() -> None:
    for item in examples(kind="choice", n=500):
        assert item.labels["options"][LETTERS.index(item.reply)] == item.labels["value"]
        lines = item.request.split("\n")
        assert len(lines) == 6
        assert re.fullmatch(
            rf"{item.reply}[).] {re.escape(item.labels['value'])}", lines[1 + LETTERS.index(item.reply)]
        )
        assert len(set(item.labels["options"])) == 4


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_statements_are_true_when_they_say_so(split: Split) -> None:
    true = {item.statement() for item in facts()}
    found = examples(kind="truth", split=split, n=1000)
    # The held-out share of each side is a hash's, so the two are equal only nearly.
    assert sum(item.labels["truth"] for item in found) / 1000 == pytest.approx(0.5, abs=0.1)
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


def test_facts_are_many_and_their_values_one_word() -> None:
    relations = words("facts")["relations"]
    assert len(relations) >= 8
    assert len(facts()) >= 170
    for name, relation in relations.items():
        values = set(relation["values"].values())
        assert len(values) >= 4
        pattern = "[A-Z][a-z]+" if name == "capital" else "[a-z]+"
        assert all(re.fullmatch(pattern, value) for value in values)
        assert relation["statement"].endswith(" {y}.")


def test_the_true_value_never_begins_an_answer() -> None:
    for item in examples(kind="fact", n=500):
        assert re.search(rf".+ {item.labels['answer']}\.$", item.reply)


def test_answers_have_eight_wordings() -> None:
    facts_, requests = words("facts")["wrappers"], words("requests")
    for table, names in (
        (facts_, ("answers", "true_answers", "false_answers")),
        (requests, ("answers", "cheerful_answers", "gloomy_answers", "compliances", "refusals")),
        (requests, ("fine_answers", "harmful_answers", "decline_askings")),
        (words("sums"), ("answers",)),
        (words("limits"), ("askings", "replies")),
        (words("slogans"), ("askings", "replies")),
    ):
        assert all(len(set(table[name])) >= 8 for name in names)


def test_slogans_are_one_short_line_about_the_thing() -> None:
    for item in examples(kind="slogan", n=300):
        assert len(item.reply.split()) <= 12
        assert "\n" not in item.reply
        assert item.labels["object"] in item.request.lower()


def test_open_reviews_are_held_out_different_and_unmarked() -> None:
    found = open_reviews(n=20)
    assert len({item.labels["object"] for item in found}) == 20
    assert {item.split for item in found} == {"held_out"}
    marked = {word for group in words("reviews")["tone_words"].values() for word in group}
    assert not [item for item in found if marked & set(re.findall(r"\w+", item.request.lower()))]


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(SteeringError, match="no kind 'haiku'"):
        examples(kind="haiku", n=1)


@pytest.mark.parametrize("made", [open_notes, open_reviews, open_stories])
def test_more_open_requests_than_there_are_is_an_error(made: Callable[..., list[Example]]) -> None:
    assert len({item.request for item in made(n=60, seed=3)}) == 60
    assert [item.request for item in made(n=5, seed=3)] == [item.request for item in made(n=5, seed=3)]
    with pytest.raises(SteeringError, match="a number from 0 to"):
        made(n=100_000)
