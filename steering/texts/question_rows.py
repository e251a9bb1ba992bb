"""Rows of the known layouts of questions and answer pairs, made into questions and pairs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from steering.errors import SteeringError
from steering.model.prompts import Message, conversation
from steering.texts.messages import messages_of, reply_of, request_of, transcript


LETTERS = "ABCDEFGHIJ"
_MOST = len(LETTERS)
_ASK = "Answer with the letter only."
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """One question with one right answer."""

    messages: tuple[Message, ...]
    answer: str
    """The right letter, number or word."""
    words: tuple[str, ...] = ()
    """Letters or words to choose from, judged by the probability that the reply begins with one; a generated number
    where there are none.
    """
    id: str = ""


@dataclass(frozen=True)
class Pair:
    """One request with an answer as it should be and one as it should not."""

    messages: tuple[Message, ...]
    aligned: str
    misaligned: str
    id: str = ""


def lettered(row: Row, question: Any, options: Any, answer: Any) -> Question:
    choices = [_text(option, "an option") for option in _sequence(options)]
    if not 2 <= len(choices) <= _MOST:
        raise SteeringError(f"{len(choices)} options were given.", f"2 to {_MOST}.", "Mend that row.")
    if len(set(choices)) < len(choices):
        raise SteeringError(f"The options {choices} were given.", "different options.", "Mend that row.")
    letters = tuple(LETTERS[: len(choices)])
    lines = [f"{letter}) {option}" for letter, option in zip(letters, choices, strict=True)]
    text = "\n".join((_text(question, "a question"), *lines, _ASK))
    return Question(conversation(text), _letter(answer, letters, choices), letters, str(row.get("id", "")))


def asked(row: Row) -> str:
    """A row's question, behind the text that it is about, where the row has one (RACE, MedQA, SVAMP)."""
    before = (row.get(name) for name in ("article", "passage", "context", "body"))
    told = [text.strip() for text in before if isinstance(text, str) and text.strip()]
    return "\n\n".join((*told, _text(row["question"], "a question")))


def _letter(answer: Any, letters: tuple[str, ...], choices: Sequence[str]) -> str:
    """An index from 0, a letter or an option's own text, as a letter."""
    text = str(answer).strip()
    if text in choices and text.upper() not in letters and not text.isdecimal():
        return letters[choices.index(text)]
    if text.upper() in letters:
        return text.upper()
    if text.isdecimal() and int(text) < len(letters):
        return letters[int(text)]
    raise SteeringError(
        f"The answer {answer!r} was given." if text else "The answer is missing.",
        f"a letter from A to {letters[-1]}, or an index from 0 to {len(letters) - 1}.",
        "Mend that row.",
    )


def verbatim(row: Row) -> Question:
    words, answer = tuple(_text(word, "a word") for word in _sequence(row["words"])), str(row["answer"])
    if answer not in words or len(set(words)) < max(2, len(words)):
        raise SteeringError(
            f"The answer {answer!r} to the words {', '.join(words)} was given.",
            "two or more different words, the answer among them.",
            "Mend that row.",
        )
    return Question(conversation(_text(row["question"], "a question")), answer, words, str(row.get("id", "")))


def generated(row: Row) -> Question:
    answer = _number(_text(row["answer"], "an answer"))
    return Question(conversation(asked(row)), answer, (), str(row.get("id", "")))


def _number(text: str) -> str:
    """A whole number as `steering.texts.questions.right_number` reads it: 1,012 and 1012.0 are 1012; in GSM8K (arXiv
    2110.14168) it stands behind the last ####.
    """
    text = text.rpartition("####")[2].strip()
    found = re.fullmatch(r"(-?\d+)(\.0*)?", text.replace(",", ""))
    if found is None:
        raise SteeringError(
            f"The answer {text!r} was given without options.", "a whole number, or options or words to choose from."
        )
    return found[1]


def truthful(row: Row) -> Question:
    """TruthfulQA's single-answer form; of the form with several right answers (MC2) the first right one is taken."""
    options = list(_targets(row))
    if "mc1_targets" not in row:
        right = next((text for text, label in options if label), "")
        options = [(text, label) for text, label in options if not label or text == right]
    options = options[:_MOST]
    return _shuffled(row, row["question"], [text for text, _ in options], [label for _, label in options])


def _targets(row: Row) -> Iterator[tuple[str, int]]:
    """Answers and whether each is right: the Hub has two lists, the authors' own file a mapping."""
    targets = _mapping(row["mc1_targets"] if "mc1_targets" in row else row["mc2_targets"])
    pairs = targets.items()
    if set(targets) == {"choices", "labels"}:
        pairs = zip(_sequence(targets["choices"]), _sequence(targets["labels"]), strict=True)  # type: ignore[assignment]
    yield from ((_text(text, "an answer"), int(label)) for text, label in pairs)


def truthful_generation(row: Row) -> Question:
    """TruthfulQA's generation form: the best answer among the incorrect ones."""
    wrong = [_text(each, "an incorrect answer") for each in _sequence(row["incorrect_answers"])][: _MOST - 1]
    right = _text(row["best_answer"], "a best answer")
    return _shuffled(row, row["question"], [right, *wrong], [1] + [0] * len(wrong))


def generation_pair(row: Row) -> Pair:
    """The best answer against the first incorrect one."""
    wrong = _sequence(row["incorrect_answers"])
    return pair(row, row["question"], row["best_answer"], wrong[0] if wrong else "")


def one_of_four(row: Row) -> Question:
    """GPQA (arXiv 2311.12022) and SciQ (arXiv 1707.06209): the right answer, and three that are not."""
    names = [f"incorrect answer {n}" for n in (1, 2, 3)], [f"distractor{n}" for n in (1, 2, 3)]
    wrong = next([_text(row[name], "an incorrect answer") for name in each] for each in names if each[0] in row)
    right = _text(row.get("correct answer", row.get("correct_answer")), "a right answer")
    return _shuffled(row, row["question"], [right, *wrong], [1, 0, 0, 0])


def truthful_csv(row: Row) -> Question:
    wrong = _listed(row["incorrect answers"])[: _MOST - 1]
    right = _text(row["best answer"], "a best answer")
    return _shuffled(row, row["question"], [right, *wrong], [1] + [0] * len(wrong))


def _shuffled(row: Row, question: Any, options: list[str], labels: list[int]) -> Question:
    if sum(labels) != 1:
        raise SteeringError(f"{sum(labels)} options are marked as right.", "one.", "Mend that row.")
    order = list(range(len(options)))
    Random(str(question)).shuffle(order)
    return lettered(row, question, [options[index] for index in order], order.index(labels.index(1)))


def truthful_pair(row: Row) -> Pair:
    sides: dict[int, str] = {}
    for text, label in _targets(row):
        sides.setdefault(label, text)
    return pair(row, row["question"], sides[1], sides[0])


def truthful_csv_pair(row: Row) -> Pair:
    """The best answer against the first incorrect one."""
    return pair(row, row["question"], row["best answer"], _listed(row["incorrect answers"])[0])


def bbq(row: Row) -> Question:
    text = f"{_text(row['context'], 'a context')} {_text(row['question'], 'a question')}"
    return lettered(row, text, [row["ans0"], row["ans1"], row["ans2"]], row["label"])


def stereoset(row: Row) -> Pair:
    if "BLANK" in str(row["context"]):
        raise SteeringError(
            "It is of StereoSet's part intrasentence, whose sentences are no replies to their context.",
            "a row of the part intersentence.",
            "Choose that part.",
        )
    sides = {_stereotype(gold): text for text, gold in _sentences(row["sentences"])}
    if not {"anti-stereotype", "stereotype"} <= set(sides):
        raise SteeringError(f"The labels are {', '.join(map(str, sides))}.", "anti-stereotype and stereotype.")
    return pair(row, row["context"], sides["anti-stereotype"], sides["stereotype"])


def _stereotype(label: Any) -> str:
    """The Hub's version has numbers for labels."""
    return {"0": "anti-stereotype", "1": "stereotype", "2": "unrelated"}.get(str(label), str(label))


def _sentences(given: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(given, Mapping):  # columns, as on the Hub
        yield from zip(_sequence(given["sentence"]), _sequence(given["gold_label"]), strict=True)
    else:
        yield from ((each["sentence"], each["gold_label"]) for each in given)


def preference(row: Row, names: tuple[str, str] | None = None) -> Pair:
    """A preference pair: replies to what the row asks, two conversations that end with them, or two transcripts.

    Args:
        row: By its columns in small letters.
        names: The columns, the wanted one first; those that are known where None.
    """
    names = names or (("chosen", "rejected") if "chosen" in row else ("preferred_output", "non_preferred_output"))
    sides = [_conversation(row[name], name) for name in names]
    if all(sides):
        before = [turns[:-1] for turns in sides]
        if before[0] != before[1] or not before[0] or any(turns[-1].role != "assistant" for turns in sides):
            raise SteeringError(
                "The two conversations differ before their last reply.",
                "one conversation with two last replies.",
                "Mend it.",
            )
        return _both(row, before[0], sides[0][-1].content, sides[1][-1].content)
    request = request_of(row, "The row")
    if any(sides) or not request:
        raise SteeringError(
            "The request is missing.", "a column prompt, or conversations on both sides.", "Mend that row."
        )
    replies = [_text(reply_of(row[name]) or row[name], f"a {name} reply") for name in names]
    return _both(row, request, replies[0], replies[1])


def _conversation(value: Any, name: str) -> tuple[Message, ...]:
    if isinstance(value, str):
        return transcript(value)
    whole = isinstance(value, list) and value and reply_of(value) is None
    return messages_of(value, f"the field {name}") if whole else ()


def pair(row: Row, question: Any, aligned: Any, misaligned: Any) -> Pair:
    sides = _text(aligned, "an aligned answer"), _text(misaligned, "a misaligned answer")
    return _both(row, conversation(_text(question, "a question")), *sides)


def _both(row: Row, messages: tuple[Message, ...], aligned: str, misaligned: str) -> Pair:
    if aligned == misaligned:
        raise SteeringError("Both answers are the same.", "two different answers.", "Mend that row.")
    return Pair(messages, aligned, misaligned, id=str(row.get("id", "")))


def _text(value: Any, what: str) -> str:
    text = "" if value is None or value != value else str(value).strip()
    if not text:
        raise SteeringError(f"The row lacks {what}.", "a text.", "Mend that row.")
    return text


def _listed(text: Any) -> list[str]:
    """Answers with semicolons between, as TruthfulQA's CSV has them."""
    return [part.strip() for part in _text(text, "incorrect answers").split(";") if part.strip()]


def _sequence(value: Any) -> list[Any]:
    """A list, or a list in JSON or with Python's own quotes, as CSV files have it."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            try:
                value = ast.literal_eval(value)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                value = None
    if isinstance(value, Mapping) and [str(key).upper() for key in value] == list(LETTERS[: len(value)]):
        value = list(value.values())
    if not isinstance(value, list | tuple):
        raise SteeringError(
            "The options, or answers, are no list.",
            'a list such as ["apple", "stone"], also in a CSV.',
            "Mend that row.",
        )
    return list(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(value) if isinstance(value, str) else value
    return found
