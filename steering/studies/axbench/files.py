"""Concepts from AxBench's own files, on the user's disk.

A folder such as `concept10/prod_2b_l10_v1` holds `generate/train_data.parquet` and
`inference/latent_eval_data.parquet`. A row is one text: `input` (what was asked), `output` (the reply),
`output_concept` (the concept in words), `concept_id`, `category` (`positive`, `negative`, in the second file also
`hard negative`, which nobody reads here) and `concept_genre`. Rows without a concept have the id -1 and serve every
concept of their genre.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from steering.errors import SteeringError
from steering.model.prompts import Message
from steering.paths import is_file, is_folder
from steering.recipes.nats import calibration_prompts
from steering.studies.axbench.concepts import Concept, Instruction
from steering.texts.contrast import ContrastSet, Example
from steering.texts.preferences import Preference
from steering.texts.tables import Row, Table, read_table
from steering.texts.text_lists import read_texts


TRAIN = Path("generate", "train_data.parquet")
EVALUATED = Path("inference", "latent_eval_data.parquet")
COLUMNS = ("input", "output", "output_concept", "concept_id", "category")
_ANY = -1
"""The id of rows without a concept."""
_FEWEST = 8
"""Texts a side under which nothing is fitted."""
_VALIDATED = 5
"""One text in so many is held out of the fit, for the AUROC."""
_LAYOUT = "the layout of AxBench's train_data.parquet: " + ", ".join(COLUMNS) + ", perhaps concept_genre."


@dataclass(frozen=True)
class _Text:
    """One row."""

    input: str
    output: str
    concept: str
    id: int
    category: str
    genre: str

    @property
    def messages(self) -> tuple[Message, ...]:
        return Message("user", self.input), Message("assistant", self.output)


def axbench_concepts(
    source: str, n: int, *, texts: int, instructions: int, own: str = "", held_out: str = "", seed: int = 0
) -> list[Concept]:
    """The first `n` concepts of AxBench's files.

    Args:
        source: A folder of AxBench's, or its train_data.parquet (or a table of the same columns).
        n: How many.
        texts: Texts a side that a vector is fitted on, at most.
        instructions: What each is tried on, drawn by the concept's number.
        own: A list of requests that are tried; the everyday requests that ship where empty.
        held_out: The table of texts that no vector is fitted on; the folder's own where empty, and a quarter of the
            texts where there is none.
        seed: Of draws.

    Raises:
        SteeringError: No such file, other columns, too few texts or instructions.
    """
    train, evaluated = _paths(source, held_out)
    rows = _read(train)
    others = _read(evaluated) if evaluated else []
    ids = sorted({row.id for row in rows if row.id != _ANY and row.category == "positive"})
    if not ids:
        raise SteeringError(f"'{train}' has no positive row with a concept.", _LAYOUT, "Take another file.")
    asked = _instructions(own, instructions)
    return [_concept(number, rows, others, texts, asked, instructions, seed) for number in ids[:n]]


def _paths(source: str, held_out: str) -> tuple[str, str]:
    if not is_folder(source):
        return source, held_out
    train, evaluated = Path(source) / TRAIN, Path(source) / EVALUATED
    if not is_file(train):
        raise SteeringError(
            f"The folder '{source}' has no {TRAIN.as_posix()}.",
            "a folder of AxBench's, such as concept10/prod_2b_l10_v1, or a file.",
            "Check the path.",
        )
    return str(train), held_out or (str(evaluated) if is_file(evaluated) else "")


def _read(source: str) -> list[_Text]:
    table = read_table(source)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise table.wrong(_LAYOUT, f"Rename its columns; {', '.join(missing)} is missing.")
    return list(_texts(table))


def _texts(table: Table) -> Iterator[_Text]:
    for row in table.rows:
        cells = _cells(row)
        if cells["input"].strip() and cells["output"].strip():
            yield _Text(
                cells["input"],
                cells["output"],
                cells["output_concept"],
                _number(row),
                cells["category"].strip().lower(),
                cells["concept_genre"],
            )


def _cells(row: Row) -> Mapping[str, str]:
    value: Mapping[str, Any] = row.value if isinstance(row.value, Mapping) else {}
    found = {name: value.get(name) for name in (*COLUMNS, "concept_genre")}
    return {name: "" if each is None else str(each) for name, each in found.items()}


def _number(row: Row) -> int:
    given: Any = row.value["concept_id"] if isinstance(row.value, Mapping) else None
    try:
        return int(given)
    except (TypeError, ValueError):
        raise SteeringError(
            f"{row.where}, field concept_id: '{str(given)[:40]}'.", "a whole number.", "Correct that row."
        ) from None


def _concept(
    number: int,
    rows: Sequence[_Text],
    others: Sequence[_Text],
    texts: int,
    asked: Sequence[str],
    instructions: int,
    seed: int,
) -> Concept:
    positive, negative = _sides(number, rows)
    kept: tuple[list[_Text], list[_Text]] = _sides(number, others) if others else ([], [])
    if not others:  # every fourth text is kept from the vectors
        kept, (positive, negative) = (
            (positive[3::4], negative[3::4]),
            ([each for n, each in enumerate(side) if n % 4 != 3] for side in (positive, negative)),
        )
    name = positive[0].concept if positive else ""
    if min(map(len, (positive, negative, *kept))) < _FEWEST:
        counts = ", ".join(str(len(side)) for side in (positive, negative, *kept))
        raise SteeringError(
            f"Concept {number} ('{name[:60]}') has {counts} texts with it and without it to fit, and to judge.",
            f"{_FEWEST} of each at least.",
            "Take a file with more rows, or fewer concepts.",
        )
    drawn = Random(f"axbench/{number}/{seed}").sample(range(len(asked)), instructions)
    return Concept(
        number=number,
        name=name,
        contrast=_contrast(name, positive[:texts], negative[:texts]),
        pooling="mean_reply",
        instructions=tuple(Instruction((Message("user", asked[place]),)) for place in drawn),
        asking=f"Work this into your answer: {name}.",
        pairs=tuple(Preference(each.messages[:1], each.output, "") for each in positive[:texts]),
        texts=(tuple(each.output for each in kept[0]), tuple(each.output for each in kept[1])),
    )


def _sides(number: int, rows: Sequence[_Text]) -> tuple[list[_Text], list[_Text]]:
    """A concept's texts, and those without it: its own, else those of its genre."""
    positive = [row for row in rows if row.id == number and row.category == "positive"]
    own = [row for row in rows if row.id == number and row.category == "negative"]
    genres = {row.genre for row in positive}
    shared = [row for row in rows if row.id == _ANY and row.category == "negative" and row.genre in genres]
    return positive, own or shared


def _contrast(name: str, positive: Sequence[_Text], negative: Sequence[_Text]) -> ContrastSet:
    sides = [
        tuple(
            Example(each.messages, "validation" if n % _VALIDATED == _VALIDATED - 1 else "train")
            for n, each in enumerate(side)
        )
        for side in (positive, negative)
    ]
    return ContrastSet(
        name=name[:80],
        title=name,
        description="Texts of AxBench.",
        positive_label="with the concept",
        negative_label="without it",
        positive=sides[0],
        negative=sides[1],
        paired=False,
    )


def _instructions(own: str, least: int) -> Sequence[str]:
    found = read_texts(own) if own else calibration_prompts()
    if len(found) < least:
        raise SteeringError(
            f"{least} instructions a concept were asked for, of {len(found)}.",
            "a list that has as many at least.",
            "Ask for fewer (n_instructions), or name a longer list (instructions).",
        )
    return found
