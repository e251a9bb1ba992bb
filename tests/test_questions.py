"""Questions: what ships is well formed, and answers are read by probability or by number."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
import torch

from steering.errors import SteeringError
from steering.interventions import Write
from steering.operations import Add
from steering.prompts import render
from steering.questions import LETTERS, QUESTION_SETS, chances_of_answers, load_questions, right_number
from steering.resources import resource


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
