"""Layouts of questions and answer pairs, known by their columns: the project's own, and those that packages add."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from steering.errors import SteeringError
from steering.job import current_job, note
from steering.plugins import Registry, of_class
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


Layouts = Mapping[tuple[str, ...], tuple[str, Callable[[Row], Any]]]
"""Columns, by their small letters -> what the layout is called, and how a row becomes a question or a pair; the first
that fits counts.
"""
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


@dataclass(frozen=True)
class Layout:
    """One way in which a file holds questions or answer pairs, as a package offers it."""

    title: str
    """What it is called, such as the benchmark's name."""
    columns: tuple[str, ...]
    """By which it is known, in small letters; a file may have others beside them."""
    question: Callable[[Row], Question] | None = None
    """From a row, by its columns in small letters, to a question. Raises a `SteeringError` for what is wrong in it."""
    pair: Callable[[Row], Pair] | None = None
    """From a row to an answer pair."""


def _read(name: str, offered: Any) -> Layout:
    """What a package offers as a layout.

    Raises:
        SteeringError: It is none, or is known by the columns of another one.
    """
    layout = of_class("layout", Layout)(name, offered)
    columns = tuple(layout.columns)
    if not columns or any(not isinstance(each, str) or each != each.lower() for each in columns):
        raise SteeringError(f"The question layout '{name}' has the columns {columns!r}.", "names in small letters.")
    if layout.question is None and layout.pair is None:
        raise SteeringError(f"The question layout '{name}' makes nothing of a row.", "a function, question or pair.")
    for own, make in ((QUESTIONS, layout.question), (PAIRS, layout.pair)):
        same = next((title for known, (title, _) in own.items() if make and set(known) == set(columns)), None)
        if same is not None:
            raise SteeringError(
                f"The question layout '{name}' has the columns {', '.join(columns)}, and so has the workbench's own "
                f"'{same}', which is used.",
                "columns by which its files are told from others.",
                "Name a column more.",
            )
    return layout


LAYOUTS: Registry[Layout] = Registry("layout", _read)
"""Those of packages, by name."""


def question_layouts() -> Layouts:
    """All layouts of questions."""
    return _with_packages(QUESTIONS, {name: layout.question for name, layout in LAYOUTS.items()})


def pair_layouts() -> Layouts:
    """All layouts of answer pairs."""
    return _with_packages(PAIRS, {name: layout.pair for name, layout in LAYOUTS.items()})


def _with_packages(own: Layouts, further: Mapping[str, Callable[[Row], Any] | None]) -> Layouts:
    """Those of packages at their places: before those that ask for fewer of the same columns, which would fit whatever
    they fit, and behind all others, so that known files stay what they are.
    """
    found = list(own.items())
    for name, make in further.items():
        if make is None:
            continue
        layout = LAYOUTS[name]
        place = next((n for n, (columns, _) in enumerate(found) if set(columns) < set(layout.columns)), len(found))
        found.insert(place, (tuple(layout.columns), (layout.title, _noted(name, make))))
    return dict(found)


def _noted(name: str, make: Callable[[Row], Any]) -> Callable[[Row], Any]:
    """The function, which says in the result that a package's layout was used."""

    def noted(row: Row) -> Any:
        if current_job() is not None:
            note(f"Read by the question layout '{name}' of {LAYOUTS.plugins[name].package}.")
        return make(row)

    return noted
