"""Contrast sets: what to tell apart, as prompts of a positive and a negative side, with splits."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from steering.contrast_files import LAYOUT, empty_set, find_contrast, read_contrast
from steering.errors import SteeringError
from steering.prompts import Message, conversation


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


@dataclass(frozen=True)
class ContrastSet:
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

    @classmethod
    def load(cls, source: str | Path) -> ContrastSet:
        """Read a contrast set from a YAML, JSONL or CSV file, or a preset by its name.

        JSONL and CSV rows carry either `positive` and `negative`, or `text` and `label` ("positive" or "negative"); a
        `split` (train, validation, test) is optional everywhere. Without it, pairs (or the entries of each list) are
        dealt 60 / 20 / 20 by a shuffle with a fixed seed.

        Raises:
            SteeringError: Naming file, row and field: no such file, wrong format, empty set, a side missing.
        """
        path = find_contrast(source)
        return _from_mapping(read_contrast(path), path.name, path.stem)

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
        return _from_mapping(data, name, name)

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


def _from_mapping(data: Mapping[str, Any], name: str, stem: str) -> ContrastSet:
    paired = "pairs" in data
    if paired:
        positive, negative = _pairs(data["pairs"], name)
    elif "positive" in data and "negative" in data:
        positive, negative = (
            _list(data[side], name, side, shuffle=n) for n, side in enumerate(("positive", "negative"))
        )
    else:
        raise SteeringError(
            f"{name} has the fields {', '.join(map(str, data)) or '(none)'}.", f"{LAYOUT}.", "Add them."
        )
    if not positive or not negative:
        raise empty_set(name)
    return ContrastSet(
        name=str(data.get("name", stem)),
        title=str(data.get("title", stem)),
        description=str(data.get("description", "")),
        positive_label=str(data.get("positive_label", "positive")),
        negative_label=str(data.get("negative_label", "negative")),
        positive=positive,
        negative=negative,
        paired=paired,
        suggested_strength=_number(data.get("suggested_strength", 1.0), f"{name}, field suggested_strength"),
        licence=str(data.get("licence", "")),
    )


def _same_length(name: str, positive: Sequence[Any], negative: Sequence[Any]) -> None:
    if len(positive) != len(negative):
        raise SteeringError(
            f"The contrast set {name} has {len(positive)} positive and {len(negative)} negative texts.",
            "as many of one as of the other, since they are pairs.",
            "Add what is missing, or pass paired=False.",
        )


def _pairs(entries: Any, name: str) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    rows = _rows(entries, name, "pairs")
    splits = _deal([_split(row, name) for row in rows], shuffle=0)
    sides: tuple[list[Example], list[Example]] = ([], [])
    for row, split in zip(rows, splits, strict=True):
        for side, field in zip(sides, ("positive", "negative"), strict=True):
            side.append(Example(_messages(row.get(field), f"{name}, row {row['_row']}, field {field}"), split))
    return tuple(sides[0]), tuple(sides[1])


def _list(entries: Any, name: str, field: str, *, shuffle: int) -> tuple[Example, ...]:
    rows = _rows(entries, name, field)
    splits = _deal([_split(row, name) for row in rows], shuffle=shuffle)
    return tuple(
        Example(_messages(row.get("user"), f"{name}, {field}, row {row['_row']}", row.get("system")), split)
        for row, split in zip(rows, splits, strict=True)
    )


def _rows(entries: Any, name: str, field: str) -> list[dict[str, Any]]:
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise SteeringError(f"{name}, field {field} is no list.", "a list.", "See the shipped presets for the layout.")
    rows = []
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, str) and field != "pairs":
            entry = {"user": entry}
        if not isinstance(entry, dict):
            raise SteeringError(
                f"{name}, {field}, row {number}: '{str(entry)[:60]}'.",
                "a mapping with positive and negative." if field == "pairs" else "a text, or a mapping with user.",
                "Correct that row.",
            )
        rows.append({"_row": number, **entry})
    return rows


def _messages(value: Any, where: str, system: Any = None) -> tuple[Message, ...]:
    if isinstance(value, dict):
        value, system = value.get("user"), value.get("system")
    if not isinstance(value, str) or not value.strip():
        raise SteeringError(
            f"{where} is missing or empty.", "a text on both sides of every pair.", "Fill it in, or delete the row."
        )
    return conversation(value, str(system or ""))


def _number(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise SteeringError(f"{where}: '{value}'.", "a finite number.", "Correct that field.")
    return float(value)


def _split(row: Mapping[str, Any], name: str) -> Split | None:
    value = row.get("split")
    if value in (None, ""):
        return None
    if value not in SPLITS:
        raise SteeringError(
            f"{name}, row {row['_row']}, field split: '{value}'.",
            f"{', '.join(SPLITS)}, or nothing.",
            "Correct that row.",
        )
    return value


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
