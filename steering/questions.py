"""Questions with one right answer: what an intervention costs in knowledge, truth and sums."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from steering.decoding import next_token_logits
from steering.demo.held_out import TEST_SEED, distinct
from steering.errors import SteeringError
from steering.host import Host
from steering.interventions import Plan
from steering.prompts import Message, conversation, render
from steering.resources import resource
from steering.rows import Row


QuestionSet = Literal["knowledge", "truth", "sums"]
QUESTION_SETS: dict[QuestionSet, str] = {
    "knowledge": "general knowledge, by the letter A to D",
    "truth": "questions where a common error is among the answers, by the letter; on demo models true or false",
    "sums": "sums, by the number that is generated",
}
LETTERS = "ABCD"
BATCH = 32
_DEMO_KINDS = {"knowledge": "choice", "truth": "truth", "sums": "sum"}
_SUMS = 100
_LARGEST = 60


@dataclass(frozen=True)
class Question:
    """One question."""

    messages: tuple[Message, ...]
    answer: str
    """The right letter, number or word."""
    words: tuple[str, ...] = ()
    """Letters or words to choose from, judged by the probability that the reply begins with one; a generated number
    where there are none.
    """


def load_questions(host: Host, name: str, n: int) -> tuple[Question, ...]:
    """The first `n` questions of a set: for demo models from the demo grammar, for others the project's general ones.

    Raises:
        SteeringError: No such set.
    """
    if name not in get_args(QuestionSet):
        raise SteeringError(f"The questions '{name}' were asked for.", f"one of {', '.join(QUESTION_SETS)}.")
    if host.info.demo:
        found = distinct(_DEMO_KINDS[name], "held_out", n, seed=TEST_SEED)
        words = {"knowledge": tuple(LETTERS), "truth": ("True", "False"), "sums": ()}[name]
        return tuple(Question(each.prompt, str(each.labels["answer"]), words) for each in found)
    return _sums()[:n] if name == "sums" else _choices(name)[:n]


def chances_of_answers(host: Host, questions: Sequence[Question], plan: Plan = ()) -> Tensor:
    """Probability that the reply begins with each word of a question, with or without a space before it.

    Args:
        host: The model.
        questions: With words, as many each.
        plan: What is written.

    Returns:
        float64, (question, word); rows sum to the mass on the words, not to 1.
    """
    ids = [_first_tokens(host, word) for word in questions[0].words]
    found = []
    for start in range(0, len(questions), BATCH):
        part = questions[start : start + BATCH]
        logits = next_token_logits(host, [Row(render(host, each.messages), plan) for each in part])
        chances = torch.softmax(logits.double(), dim=-1)
        found.append(torch.stack([chances[:, sorted(tokens)].sum(dim=-1) for tokens in ids], dim=1))
    return torch.cat(found)


def right_number(question: Question, reply: str) -> bool:
    """Whether the last number in a reply is the answer."""
    numbers = re.findall(r"-?\d+", reply.replace(",", ""))
    return bool(numbers) and numbers[-1] == question.answer


def _first_tokens(host: Host, word: str) -> set[int]:
    """First tokens of a word at the beginning of a reply, in either spelling that tokenizers use there."""
    spellings = (word, f" {word}")
    ids = [host.tokenizer(spelling, add_special_tokens=False)["input_ids"] for spelling in spellings]
    return {each[0] if len(each) == 1 else _whole(host, each, word) for each in ids if each}


def _whole(host: Host, ids: Sequence[int], word: str) -> int:
    """The first token that holds text: some tokenizers make the space a token of its own."""
    return next((token for token in ids if host.tokenizer.decode([token]).strip()), ids[0])


@cache
def _choices(name: str) -> tuple[Question, ...]:
    text = resource("presets", "questions", f"{name}.jsonl").read_text(encoding="utf-8")
    return tuple(_choice(json.loads(line)) for line in text.splitlines() if line.strip())


def _choice(entry: dict[str, Any]) -> Question:
    lines = [f"{letter}) {option}" for letter, option in zip(LETTERS, entry["options"], strict=True)]
    text = "\n".join((entry["question"], *lines, "Answer with the letter only."))
    return Question(conversation(text), LETTERS[entry["answer"]], tuple(LETTERS))


@cache
def _sums() -> tuple[Question, ...]:
    rng = Random("sums")
    pairs = list(dict.fromkeys((rng.randint(2, _LARGEST), rng.randint(2, _LARGEST)) for _ in range(2 * _SUMS)))
    return tuple(
        Question(conversation(f"What is {a} plus {b}? Answer with the number only."), str(a + b))
        for a, b in pairs[:_SUMS]
    )
