"""Contrast sets: what to tell apart, as prompts of a positive and a negative side, with splits."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from steering.errors import SteeringError
from steering.forms.shown import Shown
from steering.model.prompts import Message
from steering.texts.contrast_files import find_contrast, presets
from steering.texts.contrasts import Entry, Sides, sides_of
from steering.texts.formats import Content
from steering.texts.shown import contrast_html, contrast_text
from steering.texts.tables import Table, read_table, table_of


Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
_SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Example:
    """One side of a pair, or one entry of a list."""

    messages: tuple[Message, ...]
    split: Split

    @property
    def text(self) -> str:
        """The last message's content."""
        return self.messages[-1].content


@dataclass(frozen=True, repr=False)
class ContrastSet(Shown):
    """Prompts of two kinds. Paired sets keep pair i as `positive[i]` and `negative[i]`, in the same split."""

    name: str
    title: str
    description: str
    positive_label: str
    negative_label: str
    positive: tuple[Example, ...]
    negative: tuple[Example, ...]
    paired: bool
    suggested_strength: float = 1.0
    """A first strength to try with a vector from this set, in units of the mean difference."""
    licence: str = ""
    notes: tuple[str, ...] = ()
    """How its file was understood, and what was left out; none for sets that ship."""

    def __repr__(self) -> str:
        return f"<ContrastSet '{self.name}': {len(self.positive)} + {len(self.negative)} prompts>"

    def __str__(self) -> str:
        return contrast_text(self)

    def _repr_html_(self) -> str:
        return contrast_html(self)

    @classmethod
    def load(cls, source: str | Path) -> ContrastSet:
        """Read a contrast set from a file in any format and layout that is known, or a preset by its name.

        docs/files.md lists them. A selection behind `::` names two columns or lists, the positive one first. Without a
        `split` (train, validation, test), pairs (or the entries of each list) are dealt 60 / 20 / 20 by a shuffle with
        a fixed seed.

        Raises:
            SteeringError: Naming file, row and field: no such file, wrong format, empty set, a side missing.
        """
        found = contrast_of(read_table(find_contrast(source)))
        return replace(found, notes=()) if source in presets() else found

    @classmethod
    def of(
        cls, positive: Sequence[str], negative: Sequence[str], *, name: str = "own", paired: bool = True
    ) -> ContrastSet:
        """A contrast set from two lists of user messages.

        Raises:
            SteeringError: Empty lists, an empty text, or pairs of unequal number.
        """
        if paired:
            _same_length(name, positive, negative)
            data: dict[str, Any] = {
                "pairs": [{"positive": p, "negative": n} for p, n in zip(positive, negative, strict=True)]
            }
        else:
            data = {"positive": list(positive), "negative": list(negative)}
        return contrast_of(table_of(Content(name, data)), name)

    def side(self, which: Literal["positive", "negative"], split: Split) -> tuple[Example, ...]:
        """The examples of one side in one split, in file order."""
        return tuple(example for example in getattr(self, which) if example.split == split)

    @property
    def counts(self) -> dict[Split, tuple[int, int]]:
        """(positive, negative) examples in each split."""
        return {split: (len(self.side("positive", split)), len(self.side("negative", split))) for split in SPLITS}

    @property
    def digest(self) -> str:
        """First 12 hex digits of a SHA-256 over texts, sides and splits: equal sets, equal digest."""
        content = [
            [[(m.role, m.content) for m in example.messages], example.split]
            for side in (self.positive, self.negative)
            for example in side
        ]
        text = json.dumps([self.paired, len(self.positive), content], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def contrast_of(table: Table, stem: str = "") -> ContrastSet:
    """The contrast set in a file's rows; its name is the file's where neither says one.

    Raises:
        SteeringError: As `ContrastSet.load`.
    """
    stem = stem or Path(table.name).stem
    found = sides_of(table)
    sides = [
        [
            Example(entry.messages, split)
            for entry, split in zip(side, _splits(side, found, 0 if found.paired else n), strict=True)
        ]
        for n, side in enumerate((found.positive, found.negative))
    ]
    named = table.fields
    return ContrastSet(
        name=str(named.get("name", stem)),
        title=str(named.get("title", stem)),
        description=str(named.get("description", "")),
        positive_label=str(named.get("positive_label", found.names[0])),
        negative_label=str(named.get("negative_label", found.names[1])),
        positive=tuple(sides[0]),
        negative=tuple(sides[1]),
        paired=found.paired,
        suggested_strength=_number(named.get("suggested_strength", 1.0), f"{table.name}, field suggested_strength"),
        licence=str(named.get("licence", "")),
        notes=(f"Read as {found.how}.", *table.notes, *dict.fromkeys(found.notes)),
    )


def _same_length(name: str, positive: Sequence[Any], negative: Sequence[Any]) -> None:
    if len(positive) != len(negative):
        raise SteeringError(
            f"The contrast set {name} has {len(positive)} positive and {len(negative)} negative texts.",
            "as many of one as of the other, since they are pairs.",
            "Add what is missing, or pass paired=False.",
        )


def _number(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise SteeringError(f"{where}: '{value}'.", "a finite number.", "Correct that field.")
    return float(value)


def _splits(side: Sequence[Entry], found: Sides, shuffle: int) -> list[Split]:
    """The splits of one side. What a file calls train is dealt where it has no other part; a file with a test part and
    none for validation gives a quarter of its train part to that.
    """
    stated: list[Split | None] = [entry.split for entry in side]  # type: ignore[misc]
    if not found.whole_parts:
        return _deal(stated, shuffle=shuffle)
    if set(stated) == {"train"}:
        found.notes.append("The file has one part, train: it was dealt 60 / 20 / 20.")
        return _deal([None] * len(stated), shuffle=shuffle)
    if "validation" not in stated and "train" in stated:
        found.notes.append("The file has no part for validation: a quarter of train was taken for it.")
        train = [index for index, split in enumerate(stated) if split == "train"]
        random.Random(f"{_SPLIT_SEED}/{shuffle}").shuffle(train)
        for index in train[: len(train) // 4]:
            stated[index] = "validation"
    return _deal(stated, shuffle=shuffle)


def _deal(stated: list[Split | None], *, shuffle: int) -> list[Split]:
    """Fill in the splits that a file leaves open: 60 / 20 / 20, by a shuffle with a fixed seed."""
    unset = [index for index, split in enumerate(stated) if split is None]
    random.Random(f"{_SPLIT_SEED}/{shuffle}").shuffle(unset)
    held_out = {split: round(_SHARES[split] * len(unset)) for split in ("validation", "test")}
    dealt: list[Split] = list(stated)  # type: ignore[arg-type]
    for place, index in enumerate(unset):
        if place < held_out["validation"]:
            dealt[index] = "validation"
        elif place < held_out["validation"] + held_out["test"]:
            dealt[index] = "test"
        else:
            dealt[index] = "train"
    return dealt
