"""Questions: what ships is well formed, and answers are read by probability or by number."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import pytest
import torch

from steering.errors import SteeringError
from steering.model.prompts import render
from steering.resources import resource
from steering.texts.questions import (
    PAIR_SETS,
    QUESTION_SETS,
    chances_of_answers,
    first_tokens,
    load_pairs,
    load_questions,
    right_number,
)
from steering.writes.interventions import Write
from steering.writes.operations import Add


LETTERS = "ABCD"


@pytest.mark.parametrize("name", ["knowledge", "truth"])
def test_the_general_choices_are_balanced_and_unlike(name) -> None:
    lines = resource("presets", "questions", f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert len({entry["question"] for entry in entries}) == len(entries) == 100
    assert Counter(entry["answer"] for entry in entries) == dict.fromkeys(range(4), 25)
    assert all(len(set(entry["options"])) == 4 for entry in entries)


@pytest.mark.parametrize("name", QUESTION_SETS)
def test_every_model_has_every_set(demo, tiny_host, name) -> None:
    for host in (demo, tiny_host("llama")):
        found = load_questions(host, name, 10)
        assert len(found) == 10
        assert all(each.answer in each.words for each in found if each.words)
    with pytest.raises(SteeringError, match="knowledge"):
        load_questions(demo, "poetry", 3)


@pytest.mark.parametrize("name", PAIR_SETS)
def test_the_demo_model_has_every_pair_set(demo, name) -> None:
    found = load_pairs(demo, name, 150)
    assert len(found) == len({each.messages for each in found}) == 150
    assert all(each.aligned != each.misaligned for each in found)
    assert load_pairs(demo, name, 7) == found[:7], "fewer are the beginning of more"


@pytest.mark.parametrize("name", ["honesty", "harmlessness", "fairness"])
def test_every_model_has_the_general_pairs(demo, tiny_host, name) -> None:
    """In their own wording, not the demo grammar's."""
    found = load_pairs(tiny_host("llama"), name, 100)
    assert len(found) == len({each.messages for each in found}) == 100
    assert all(each.aligned != each.misaligned for each in found)
    assert not {each.messages for each in found} & {each.messages for each in load_pairs(demo, name, 200)}


@pytest.mark.parametrize("name", ["sentiment", "formality", "knowledge", "poetry"])
def test_pairs_that_a_model_has_not_are_refused_with_what_there_is(tiny_host, name) -> None:
    with pytest.raises(SteeringError) as caught:
        load_pairs(tiny_host("llama"), name, 5)
    assert f"'{name}'" in caught.value.given
    assert all(word in caught.value.expected for word in ("harmlessness", "honesty", "fairness", "tiny-llama"))
    assert not any(word in caught.value.expected for word in ("sentiment", "formality", "knowledge"))


def test_a_path_stands_for_a_name(tiny_host, tmp_path) -> None:
    """With as many rows as were asked for; a set and a file of the same rows are the same."""
    host = tiny_host("llama")
    for name, load in (("sums", load_questions), ("honesty", load_pairs)):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(resource("presets", "questions", path.name).read_bytes())
        assert load(host, str(path), 5) == load(host, name, 5)
        assert len(load(host, str(path), 5)) == 5
        with pytest.raises(SteeringError, match=r"absent\.jsonl"):
            load(host, str(tmp_path / "absent.jsonl"), 5)


def test_sums_are_right(tiny_host) -> None:
    for question in load_questions(tiny_host("llama"), "sums", 100):
        a, b = map(int, re.findall(r"\d+", question.messages[-1].content))
        assert question.answer == str(a + b)


def test_chances_of_letters_are_the_first_tokens_own(demo) -> None:
    """Against one plain forward pass; the demo model writes letters without a space before them."""
    questions = load_questions(demo, "knowledge", 20)
    found = chances_of_answers(demo, questions)
    assert found.shape == (20, 4)
    right = 0
    for question, row in zip(questions, found, strict=True):
        with torch.no_grad():
            logits = demo.model._module(torch.tensor([render(demo, question.messages).ids])).logits[0, -1]
        chances = torch.softmax(logits.double(), dim=-1)
        for letter, value in zip(LETTERS, row.tolist(), strict=True):
            ids = {demo.tokenizer(each, add_special_tokens=False)["input_ids"][0] for each in (letter, f" {letter}")}
            assert value == pytest.approx(sum(float(chances[token]) for token in ids), abs=1e-5)
        right += LETTERS[int(row.argmax())] == question.answer
    assert right >= 18, "the demo model knows its letters"
    away = (Write(Add(torch.nn.functional.normalize(torch.randn(192), dim=0), 100.0), 3, "block_output"),)
    assert not torch.allclose(chances_of_answers(demo, questions, away), found, atol=0.1)


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("12", True),
        ("The answer is 12.", True),
        ("20 - 8 = 12", True),
        ("1,012", False),
        ("twelve", False),
        ("", False),
    ],
)
def test_the_last_number_counts(demo, reply, right) -> None:
    question = load_questions(demo, "sums", 1)[0]
    question = type(question)(question.messages, "12")
    assert right_number(question, reply) is right


def fake_host(spellings: Mapping[str, Sequence[str]]) -> SimpleNamespace:
    """A host whose tokenizer splits just these spellings; a token's number is its place among all tokens."""
    tokens = sorted({token for split in spellings.values() for token in split})

    class Tokenizer:
        def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
            special = [len(tokens)] if add_special_tokens else []
            return {"input_ids": special + [tokens.index(token) for token in spellings[text]]}

        def decode(self, ids: Sequence[int]) -> str:
            return "".join(tokens[token] for token in ids)

    return SimpleNamespace(name="fake", tokenizer=Tokenizer(), tokens=tokens)


@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        ({"A": ["A"], " A": [" A"], "B": ["B"], " B": [" B"]}, [{"A", " A"}, {"B", " B"}]),
        ({"A": [" A"], " A": [" A"], "B": [" B"], " B": [" B"]}, [{" A"}, {" B"}]),
        ({"A": ["A"], " A": [" ", "A"], "B": ["B"], " B": [" ", "B"]}, [{"A"}, {"B"}]),
        ({"A": ["<0", "x41>"], " A": [" A"], "B": ["B"], " B": ["<2", "0B>"]}, [{" A"}, {"B"}]),
        (
            {"True": ["Tr", "ue"], " True": [" True"], "False": ["False"], " False": [" ", "False"]},
            [{"Tr", " True"}, {"False"}],
        ),
    ],
    ids=["with and without a space", "always a space", "space of its own", "one spelling only", "words"],
)
def test_first_tokens_are_of_both_spellings(spellings, expected) -> None:
    """A reply may begin with the word or with a space; a space alone tells no words apart."""
    host = fake_host(spellings)
    found = first_tokens(host, [word for word in spellings if not word.startswith(" ")])
    assert [{host.tokens[token] for token in ids} for ids in found] == expected
    assert all(ids == sorted(set(ids)) for ids in found)


@pytest.mark.parametrize(
    ("spellings", "message"),
    [
        ({"A": ["A"], " A": [" A"], "B": ["<4", "2>"], " B": [" ", "<4", "2>"]}, "'B' is several tokens in fake"),
        (
            {"Yes": ["Yes"], " Yes": [" Yes"], "Yesterday": ["Yes", "terday"], " Yesterday": [" Yesterday"]},
            "'Yes' and 'Yesterday' begin with the same token in fake",
        ),
    ],
    ids=["a letter in pieces", "one beginning"],
)
def test_answers_that_first_tokens_cannot_tell_are_refused(spellings, message) -> None:
    with pytest.raises(SteeringError, match=message):
        first_tokens(fake_host(spellings), [word for word in spellings if not word.startswith(" ")])
