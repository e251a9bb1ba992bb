"""Questions and answer pairs from files and the Hub, in the project's own layout and in those of known benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steering.errors import SteeringError
from steering.texts.columns import lowered
from steering.texts.layouts import Layouts, pair_layouts, question_layouts
from steering.texts.question_rows import Pair, Question, preference
from steering.texts.question_sets import Pairs, Questions
from steering.texts.tables import Row, Table, chosen_list, read_table


__all__ = ["Pair", "Question", "pair_rows", "pairs_of", "questions_of", "read_pairs", "read_questions"]


def read_questions(source: str | Path) -> Questions:
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
    return Questions(questions_of(read_table(source)), Path(source).name)


def read_pairs(source: str | Path) -> Pairs:
    """Answer pairs from a file, or from the Hub as `hub:owner/name`. The layout is known by its columns:

    - the project's own: `question`, `aligned`, `misaligned`;
    - preference pairs: `chosen` (aligned) and `rejected`, as replies to `prompt`, as conversations, or as transcripts;
    - StereoSet, its part "intersentence": `context` with `sentences` of the labels anti-stereotype (aligned) and
      stereotype (misaligned) (Nadeem et al. 2021, arXiv 2004.09456);
    - TruthfulQA: the best answer against the first incorrect one;
    - two columns of your choice, aligned first, beside `question` or `prompt`: `file.json::GOOD,BAD`.

    Raises:
        SteeringError: As `read_questions`.
    """
    return Pairs(pairs_of(read_table(source)), Path(source).name)


def questions_of(table: Table) -> tuple[Question, ...]:
    """The questions in a file's rows.

    Raises:
        SteeringError: As `read_questions`.
    """
    return tuple(found for _, found in _read(chosen_list(table), question_layouts()))


def pairs_of(table: Table) -> tuple[Pair, ...]:
    """The answer pairs in a file's rows.

    Raises:
        SteeringError: As `read_questions`.
    """
    return tuple(found for _, found in pair_rows(table))


def pair_rows(table: Table) -> Iterator[tuple[Row, Pair]]:
    """Each row with the answer pair in it.

    Raises:
        SteeringError: As `read_questions`.
    """
    chosen = table.selection.columns
    if len(chosen) != 2:
        return _read(chosen_list(table), pair_layouts())
    one, other = (name.lower() for name in chosen)
    return _read(table, {(one, other): ("chosen columns", lambda row: preference(row, (one, other)))})


def layout_of(table: Table, layouts: Layouts) -> str:
    """What the layout of a file's first row is called; empty where it is none of these."""
    first = lowered(next((row.value for row in table.rows if isinstance(row.value, Mapping)), {}))
    return next((title for fields, (title, _) in layouts.items() if all(field in first for field in fields)), "")


def _read(table: Table, layouts: Layouts) -> Iterator[tuple[Row, Any]]:
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
            made = make(value)
        except SteeringError as error:
            raise SteeringError(f"{row.where}: {error.given}", error.expected, error.remedy) from error
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError) as error:
            raise SteeringError(
                f"{row.where}, cannot be read: {error!r:.200}.", "a row as the others are.", "Mend that row."
            ) from error
        yield row, made
