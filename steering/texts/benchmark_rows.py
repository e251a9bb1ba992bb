"""Rows of benchmarks by choice and of preference data, whose columns and numbers each project has its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steering.errors import SteeringError
from steering.texts.question_rows import Pair, Question, Row, lettered, pair


def labelled_choices(row: Row) -> Question:
    """ARC (arXiv 1803.05457), CommonsenseQA, OpenBookQA: texts with labels, and the label of the right one.

    The Hub has two lists, the authors' files a list of mappings inside the question.
    """
    stem: Any = row.get("question", row.get("question_stem"))
    choices: Any = row.get("choices")
    if isinstance(stem, Mapping):
        stem, choices = stem.get("stem"), stem.get("choices")
    if isinstance(choices, Mapping):
        texts, labels = list(choices["text"]), list(map(str, choices["label"]))
    else:
        texts, labels = [each["text"] for each in choices], [str(each["label"]) for each in choices]
    return lettered(row, stem, texts, _place(row["answerkey"], labels))


def _place(answer: Any, labels: list[str]) -> int:
    if str(answer).strip() not in labels:
        raise SteeringError(f"The answer {answer!r} was given.", f"one of {', '.join(labels)}.", "Mend that row.")
    return labels.index(str(answer).strip())


def labelled_index(row: Row) -> Question:
    """A question with choices and the index of the right one, from 0 (TruthfulQA in two choices)."""
    return lettered(row, row["question"], row["choices"], _index(row["label"], 0))


def hellaswag(row: Row) -> Question:
    """Zellers et al. 2019, arXiv 1905.07830: which of four endings follows; counted from 0."""
    return lettered(row, f"{row['ctx']} …\nHow does it go on?", row["endings"], _index(row["label"], 0))


def winogrande(row: Row) -> Question:
    """Sakaguchi et al. 2020, arXiv 1907.10641: which of two fills the blank; counted from 1."""
    text = f"{row['sentence']}\nWhat fills the blank?"
    return lettered(row, text, [row["option1"], row["option2"]], _index(row["answer"], 1))


def piqa(row: Row) -> Question:
    """Bisk et al. 2020, arXiv 1911.11641: which of two solutions reaches a goal; counted from 0."""
    return lettered(row, row["goal"], [row["sol1"], row["sol2"]], _index(row["label"], 0))


def social(row: Row) -> Question:
    """Social IQa (Sap et al. 2019, arXiv 1904.09728): three answers on a context; counted from 1."""
    text = f"{row['context']} {row['question']}"
    return lettered(row, text, [row[f"answer{letter}"] for letter in "abc"], _index(row["label"], 1))


def boolq(row: Row) -> Question:
    """Clark et al. 2019, arXiv 1905.10044: yes or no by a passage."""
    answer = str(row["answer"]).strip().lower()
    if answer not in ("true", "false"):
        raise SteeringError(f"The answer {row['answer']!r} was given.", "true or false.", "Mend that row.")
    return lettered(row, f"{row['passage']}\n\n{row['question']}?", ["yes", "no"], "A" if answer == "true" else "B")


def copa(row: Row) -> Question:
    """Roemmele et al. 2011: which of two is the cause or the effect; counted from 0."""
    text = f"{row['premise']}\nWhat is the {row['question']} of this?"
    return lettered(row, text, [row["choice1"], row["choice2"]], _index(row["label"], 0))


def _index(given: Any, first: int) -> int:
    text = str(given).strip()
    if not text.isdecimal() or int(text) < first:
        raise SteeringError(
            f"The answer {given!r} was given." if text else "The answer is missing.",
            f"a number from {first}.",
            "Mend that row; test parts of benchmarks often have no answers.",
        )
    return int(text) - first


def safer(row: Row) -> Pair:
    """PKU-SafeRLHF (arXiv 2406.15513): the safer of two responses against the other."""
    return _chosen(row, row["prompt"], ("response_0", "response_1"), _index(row["safer_response_id"], 0))


def preferred(row: Row) -> Pair:
    """AlpacaFarm (arXiv 2305.14387): the preferred of two outputs, counted from 1, against the other."""
    asked = "\n\n".join(str(row[name]).strip() for name in ("instruction", "input") if str(row.get(name) or "").strip())
    return _chosen(row, asked, ("output_1", "output_2"), _index(row["preference"], 1))


def rated(row: Row) -> Pair:
    """SHP (Ethayarajh et al. 2022): the human reply that was rated higher; `labels` is 1 where that is A."""
    return _chosen(row, row["history"], ("human_ref_b", "human_ref_a"), _index(row["labels"], 0))


def _chosen(row: Row, asked: Any, names: tuple[str, str], better: int) -> Pair:
    if better not in (0, 1):
        raise SteeringError(f"The better reply is number {better}.", "one of two.", "Mend that row.")
    return pair(row, asked, row[names[better]], row[names[1 - better]])
