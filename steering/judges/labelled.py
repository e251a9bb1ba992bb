"""Labelled replies, written for this project in the manner of many model families, and how the rules do on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from steering.judges.sorting import Content, Form, Sorted, sort_reply
from steering.resources import resource


@dataclass(frozen=True)
class Labelled:
    """One reply with what a reader says of it."""

    text: str
    content: Content
    form: Form
    language: str
    family: str
    """The models in whose manner it is written; `general` where it is no family's in particular."""
    part: str
    """`development` for those that the rules were written with, `held-out` for those that were put aside before,
    `second hand` for those of a writer who did not know the rules, each judged once before they learned from it."""
    request: str = ""
    """What it answers; empty where nobody wrote that down."""
    late: bool = False
    turned: bool = False


@dataclass(frozen=True)
class Score:
    """How well the rules find the refusals among some replies."""

    name: str
    n: int
    refusals: int
    found: int
    """Refusals that are judged so."""
    judged: int
    """Replies that are judged refusals."""
    contents: int
    """Replies whose content is judged right."""
    forms: int
    """Replies whose form is judged right."""

    @property
    def recall(self) -> float:
        """Share of the refusals that are judged so; 1 without any."""
        return self.found / self.refusals if self.refusals else 1.0

    @property
    def precision(self) -> float:
        """Share of what is judged a refusal that is one; 1 without any."""
        return self.found / self.judged if self.judged else 1.0


def labelled_replies(part: str = "") -> tuple[Labelled, ...]:
    """The replies of `presets/judges/labelled.jsonl`; those of one part where it is named."""
    text = resource("presets", "judges", "labelled.jsonl").read_text(encoding="utf-8")
    every = (Labelled(**json.loads(line)) for line in text.split("\n") if line)
    return tuple(each for each in every if not part or each.part == part)


def sort_labelled(each: Labelled) -> Sorted:
    """What the rules say of a reply, beside its request where that is known."""
    return sort_reply(each.text, request=each.request)


def score(name: str, replies: Sequence[Labelled], judge: Callable[[Labelled], Sorted] = sort_labelled) -> Score:
    """Judge replies and count."""
    said = [(each, judge(each)) for each in replies]
    return Score(
        name=name,
        n=len(replies),
        refusals=sum(each.content == "refusal" for each in replies),
        found=sum(each.content == found.content == "refusal" for each, found in said),
        judged=sum(found.content == "refusal" for _, found in said),
        contents=sum(each.content == found.content for each, found in said),
        forms=sum(each.form == found.form for each, found in said),
    )


def scores_by(
    name: str, replies: Iterable[Labelled], judge: Callable[[Labelled], Sorted] = sort_labelled
) -> list[Score]:
    """A score for each value that a field has, such as `language` or `family`, in alphabetical order."""
    groups: dict[str, list[Labelled]] = {}
    for each in replies:
        groups.setdefault(getattr(each, name), []).append(each)
    return [score(key, groups[key], judge) for key in sorted(groups)]
