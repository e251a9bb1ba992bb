"""Questions and answer pairs from files and the Hub, in the project's own layout and in those of known benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.texts.benchmark_rows import (
    boolq,
    copa,
    hellaswag,
    labelled_choices,
    labelled_index,
    piqa,
    preferred,
    rated,
    safer,
    social,
    winogrande,
)
from steering.texts.columns import lowered
from steering.texts.question_rows import (
    Pair,
    Question,
    Row,
    asked,
    bbq,
    generated,
    generation_pair,
    lettered,
    one_of_four,
    pair,
    preference,
    stereoset,
    truthful,
    truthful_csv,
    truthful_csv_pair,
    truthful_generation,
    truthful_pair,
    verbatim,
)
from steering.texts.tables import Table, chosen_list, read_table


__all__ = ["Pair", "Question", "pairs_of", "questions_of", "read_pairs", "read_questions"]
Layouts = Mapping[tuple[str, ...], tuple[str, Callable[[Row], Any]]]
_MMLU = ("question", "a", "b", "c", "d", "answer")
QUESTIONS: Layouts = {
    ("question", "mc1_targets"): ("TruthfulQA, one right answer (MC1)", truthful),
    ("question", "mc2_targets"): ("TruthfulQA, the first right answer of MC2", truthful),
    ("question", "best answer", "incorrect answers"): ("TruthfulQA", truthful_csv),
    ("question", "best_answer", "incorrect_answers"): ("TruthfulQA, generation", truthful_generation),
    ("context", "question", "ans0", "ans1", "ans2", "label"): ("BBQ", bbq),
    ("question", "choices", "answerkey"): ("labelled choices, as in ARC and CommonsenseQA", labelled_choices),
    ("question_stem", "choices", "answerkey"): ("OpenBookQA", labelled_choices),
    ("question", "answerkey"): ("ARC, as its authors have it", labelled_choices),
    ("ctx", "endings", "label"): ("HellaSwag", hellaswag),
    ("sentence", "option1", "option2", "answer"): ("WinoGrande", winogrande),
    ("goal", "sol1", "sol2", "label"): ("PIQA", piqa),
    ("context", "question", "answera", "answerb", "answerc", "label"): ("Social IQa", social),
    ("premise", "choice1", "choice2", "question", "label"): ("COPA", copa),
    ("question", "choices", "label"): ("questions with choices", labelled_index),
    ("question", "choices", "answer"): (
        "MMLU",
        lambda row: lettered(row, asked(row), row["choices"], row["answer"]),
    ),
    ("question", "options", "label"): (
        "questions with options",
        lambda row: lettered(row, asked(row), row["options"], row["label"]),
    ),
    ("question", "correct answer", "incorrect answer 1", "incorrect answer 2", "incorrect answer 3"): (
        "GPQA",
        one_of_four,
    ),
    ("question", "correct_answer", "distractor1", "distractor2", "distractor3"): ("SciQ", one_of_four),
    ("question", "options", "answer"): (
        "questions with options",
        lambda row: lettered(row, asked(row), row["options"], row["answer"]),
    ),
    ("question", "words", "answer"): ("questions with words to choose from", verbatim),
    _MMLU: (
        "MMLU as a table",
        lambda row: lettered(row, row["question"], [row[letter] for letter in "abcd"], row["answer"]),
    ),
    ("input", "a", "b", "c", "d", "target"): (
        "MMLU as a table",
        lambda row: lettered(row, row["input"], [row[letter] for letter in "abcd"], row["target"]),
    ),
    ("question", "passage", "answer"): ("BoolQ", boolq),
    ("question", "answer"): ("questions with a number for an answer", generated),
}
"""Columns, by their small letters -> what the layout is called, and how a row becomes a question; the first that fits
counts.
"""
PAIRS: Layouts = {
    ("question", "aligned", "misaligned"): (
        "answer pairs",
        lambda row: pair(row, row["question"], row["aligned"], row["misaligned"]),
    ),
    ("context", "sentences"): ("StereoSet", stereoset),
    ("question", "best answer", "incorrect answers"): ("TruthfulQA", truthful_csv_pair),
    ("question", "best_answer", "incorrect_answers"): ("TruthfulQA, generation", generation_pair),
    ("question", "mc1_targets"): ("TruthfulQA (MC1)", truthful_pair),
    ("question", "mc2_targets"): ("TruthfulQA (MC2)", truthful_pair),
    ("chosen", "rejected"): ("preference pairs, chosen against rejected", preference),
    ("preferred_output", "non_preferred_output"): ("preference pairs, as OpenAI has them", preference),
    ("prompt", "response_0", "response_1", "safer_response_id"): ("PKU-SafeRLHF, the safer response", safer),
    ("instruction", "output_1", "output_2", "preference"): ("AlpacaFarm, the preferred output", preferred),
    ("history", "human_ref_a", "human_ref_b", "labels"): ("SHP, the higher rated reply", rated),
}


def read_questions(source: str | Path) -> tuple[Question, ...]:
    """Questions from a file, or from the Hub as `hub:owner/name`. The layout is known by its columns:

    - the project's own: `question` with `options` and `answer` (a letter, or an index from 0), with `words` and
      `answer` for a prompt that stands as it is, or with `answer` alone for a number that is generated;
    - MMLU: `question`, `choices`, `answer` as an index or a letter; or CSV without a header: question, four options,
      letter (Hendrycks et al. 2021, arXiv 2009.03300);
    - TruthfulQA: `question` with `mc1_targets` or `mc2_targets` (the Hub's lists or the authors' mapping), the Hub's
      generation form, or the CSV's "Question", "Best Answer", "Incorrect Answers"; the options are shuffled, since the
      first one is the right one (Lin et al. 2022, arXiv 2109.07958);
    - BBQ: `context`, `question`, `ans0` to `ans2`, `label` (Parrish et al. 2022, arXiv 2110.08193).

    Raises:
        SteeringError: Another layout, or a row without its parts, by number.
    """
    return questions_of(read_table(source))


def read_pairs(source: str | Path) -> tuple[Pair, ...]:
    """Answer pairs from a file, or from the Hub as `hub:owner/name`. The layout is known by its columns:

    - the project's own: `question`, `aligned`, `misaligned`;
    - preference pairs: `chosen` (aligned) and `rejected`, as replies to `prompt`, as conversations, or as transcripts;
    - StereoSet, its part "intersentence": `context` with `sentences` of the labels anti-stereotype (aligned) and
      stereotype (misaligned) (Nadeem et al. 2021, arXiv 2004.09456);
    - TruthfulQA: the best answer against the first incorrect one;
    - two columns of your choice, aligned first, beside `question`: `file.json::GOOD,BAD`.

    Raises:
        SteeringError: As `read_questions`.
    """
    return pairs_of(read_table(source))


def questions_of(table: Table) -> tuple[Question, ...]:
    """The questions in a file's rows.

    Raises:
        SteeringError: As `read_questions`.
    """
    return tuple(_read(chosen_list(table), QUESTIONS))


def pairs_of(table: Table) -> tuple[Pair, ...]:
    """The answer pairs in a file's rows.

    Raises:
        SteeringError: As `read_questions`.
    """
    chosen = table.selection.columns
    if len(chosen) != 2:
        return tuple(_read(chosen_list(table), PAIRS))
    one, other = (name.lower() for name in chosen)
    made = ("chosen columns", lambda row: pair(row, row["question"], row[one], row[other]))
    return tuple(_read(table, {("question", one, other): made}))


def layout_of(table: Table, layouts: Layouts) -> str:
    """What the layout of a file's first row is called; empty where it is none of these."""
    first = lowered(next((row.value for row in table.rows if isinstance(row.value, Mapping)), {}))
    return next((title for fields, (title, _) in layouts.items() if all(field in first for field in fields)), "")


def _read(table: Table, layouts: Layouts) -> Iterator[Any]:
    rows = table.part("intersentence") or tuple(row for row in table.rows if "intrasentence" not in row.part)
    if not rows:
        raise SteeringError(f"{table.name} holds no rows.", "at least one.", "Choose another file.")
    for row in rows:
        value = row.value
        if not isinstance(value, Mapping):
            raise SteeringError(f"{row.where}, is {str(value)[:60]!r}.", "named fields.", "Mend the file.")
        value = {low: value[key] for low, key in lowered(value).items()}
        make = next((make for fields, (_, make) in layouts.items() if all(field in value for field in fields)), None)
        if make is None:
            raise SteeringError(
                f"{row.where}, has the fields {', '.join(map(str, row.value)) or '(none)'}.",
                "; or ".join(", ".join(fields) for fields in layouts) + ".",
                "Rename the columns, or choose another file.",
            )
        try:
            yield make(value)
        except SteeringError as error:
            raise SteeringError(f"{row.where}: {error.given}", error.expected, error.remedy) from error
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            raise SteeringError(
                f"{row.where}, cannot be read: {error!r:.200}.", "a row as the others are.", "Mend that row."
            ) from error
