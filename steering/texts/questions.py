"""Questions with one right answer, and pairs of an aligned and a misaligned answer: what steering gains and costs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Prompt, render
from steering.passes.decoding import next_token_logits
from steering.passes.exact import mass_of
from steering.passes.own_thoughts import behind_thoughts
from steering.passes.rows import Row
from steering.resources import resource
from steering.texts.question_files import Pair, Question, read_pairs, read_questions
from steering.texts.question_sets import Pairs, Questions
from steering.writes.interventions import Plan


__all__ = [
    "PAIR_SETS",
    "QUESTION_SETS",
    "Pair",
    "Question",
    "chances_of_answers",
    "first_tokens",
    "has_set",
    "load_pairs",
    "load_questions",
    "right_number",
]
QuestionSet = Literal["knowledge", "truth", "sums"]
QUESTION_SETS: dict[QuestionSet, str] = {
    "knowledge": "general knowledge, by the letter A to D",
    "truth": "questions where a common error is among the answers, by the letter; on demo models true or false",
    "sums": "sums, by the number that is generated",
}
PAIR_SETS: dict[str, str] = {
    "harmlessness": "refusing a harmful request against going along",
    "honesty": "a true or modest answer against a false or made-up one",
    "fairness": "an even-handed answer against a one-sided one; on demo models a plain review against a harsh one",
    "sentiment": "a cheerful review against a gloomy one; demo models only",
    "formality": "a formal note against an informal one; demo models only",
}
BATCH = 32


def load_questions(host: Host, source: str, n: int) -> Questions:
    """The first `n` questions of a set, for demo models from the demo grammar, or of a file or a data set on the Hub.

    Raises:
        SteeringError: No such set, or a file as `read_questions`.
    """
    found = read_questions(_path(host, source, "questions", tuple(QUESTION_SETS)))
    return Questions(found[:n], _name(source))


def load_pairs(host: Host, source: str, n: int) -> Pairs:
    """The first `n` answer pairs of a set, for demo models from the demo grammar, or of a file or the Hub.

    Raises:
        SteeringError: No such set, or a file as `read_pairs`.
    """
    found = read_pairs(_path(host, source, "answer pairs", tuple(PAIR_SETS)))
    return Pairs(found[:n], _name(source))


def _name(source: str) -> str:
    """A set's own; of a file the last part of its path, since folders are of one machine."""
    return Path(source).name


def _path(host: Host, source: str, what: str, known: Sequence[str]) -> str | Path:
    """A set by its name, or what may be a file or on the Hub."""
    if not re.fullmatch(r"[a-z]+", source):
        return source
    path = _shipped(host, source)
    if source not in known or not path.is_file():
        here = [name for name in known if has_set(host, name)]
        raise SteeringError(
            f"The {what} '{source}' were asked for.",
            f"one of {', '.join(here)} on {host.name}, a file, or a data set as hub:owner/name.",
            "Choose one of these.",
        )
    return path


def _shipped(host: Host, name: str) -> Path:
    folder = resource("presets", "questions")
    return (folder / "demo" if host.info.demo else folder) / f"{name}.jsonl"


def has_set(host: Host, name: str) -> bool:
    """Whether a set ships for a model: some are for demo models only."""
    return _shipped(host, name).is_file()


def chances_of_answers(
    host: Host, questions: Sequence[Question], plan: Plan = (), prompts: Sequence[Prompt] | None = None
) -> Tensor:
    """Probability that the answer begins with each word of a question, with or without a space before it.

    Args:
        host: The model.
        questions: With the same words each.
        plan: What is written.
        prompts: The questions as they are read, where another model than `host` thought about them; else `host` is let
            think, if its chat settings say so.

    Returns:
        float64, (question, word); rows sum to the mass on the words, not to 1.

    Raises:
        SteeringError: As `first_tokens`.
    """
    ids = first_tokens(host, questions[0].words)
    asked = prompts or behind_thoughts(host, [render(host, each.messages) for each in questions])
    found = []
    for start in range(0, len(asked), BATCH):
        logits = next_token_logits(host, [Row(each, plan) for each in asked[start : start + BATCH]])
        found.append(mass_of(logits, ids))
    return torch.cat(found)


def right_number(question: Question, reply: str) -> bool:
    """Whether the last number in a reply is the answer."""
    numbers = re.findall(r"-?\d+", reply.replace(",", ""))
    return bool(numbers) and numbers[-1] == question.answer


def first_tokens(host: Host, words: Sequence[str]) -> list[list[int]]:
    """The tokens that begin each word at the beginning of a reply, as it is and with a space before it.

    Some tokenizers make the space a token of its own, which is passed over.

    Raises:
        SteeringError: A letter that is several tokens, or words that begin with the same token.
    """
    found = [sorted(_beginnings(host, word)) for word in words]
    for index, tokens in enumerate(found):
        for other in range(index):
            if set(tokens) & set(found[other]):
                raise SteeringError(
                    f"'{words[other]}' and '{words[index]}' begin with the same token in {host.name}'s tokenizer.",
                    "answers that their first tokens tell apart.",
                    "Take letters, or other words.",
                )
    return found


def _beginnings(host: Host, word: str) -> set[int]:
    found = set()
    for spelling in (word, f" {word}"):
        ids = host.tokenizer(spelling, add_special_tokens=False)["input_ids"]
        texts = [(token, host.tokenizer.decode([token]).strip()) for token in ids]
        held = [(token, text) for token, text in texts if text]
        if held and (len(word) > 1 or held[0][1] == word):
            found.add(held[0][0])
    if not found:
        raise SteeringError(
            f"The answer '{word}' is several tokens in {host.name}'s tokenizer.",
            "letters of one token each, with or without a space before them.",
            "Take answers that are generated or given whole instead: sums, or answer pairs.",
        )
    return found
