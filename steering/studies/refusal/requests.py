"""Which requests are read and answered: target and control, in three parts that share no text, and borderline ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import count
from pathlib import Path

import yaml

from steering.demo.example import Example as DemoExample
from steering.demo.held_out import VALIDATION_SEED, distinct, held_out_prompts, validation_prompts
from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, conversation, render
from steering.passes.own_thoughts import behind_thoughts
from steering.resources import resource
from steering.store import Kept
from steering.texts.contrast import ContrastSet, Example, Split
from steering.texts.contrast_files import find_contrast
from steering.texts.messages import text_of, without_reply
from steering.texts.system_prompts import renderable
from steering.texts.tables import read_table
from steering.texts.text_lists import read_texts, understood_texts


Messages = tuple[Message, ...]
GENERAL, DEMO = "general", "demo"
"""The sets that ship with the project."""
_UNEVEN = 0.05
"""Sides whose shares of requests with a system prompt of their own differ by more differ by it."""
_LEAST: dict[Split, int] = {"train": 4, "validation": 2, "test": 2}


@dataclass(frozen=True)
class Sides:
    """Requests of both kinds."""

    target: tuple[Messages, ...]
    """What the model refuses, or whatever else is to be told apart."""
    control: tuple[Messages, ...]


@dataclass(frozen=True)
class Requests:
    """The requests of one study."""

    name: str
    target_label: str
    control_label: str
    train: Sides
    """The directions are means over these."""
    validation: Sides
    """A direction is chosen on these."""
    test: Sides
    """Effects are measured on these."""
    borderline: tuple[Messages, ...]
    """Safe requests whose words look unsafe; measured on only."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        counts = {
            f"{part}, {label}": len(side)
            for part, sides in parts.items()
            for label, side in ((self.target_label, sides.target), (self.control_label, sides.control))
        }
        return counts | {"borderline": len(self.borderline)}


def load_requests(
    host: Host,
    *,
    data: str = "",
    target: str = "",
    control: str = "",
    borderline: str = "",
    column: str = "",
    sizes: tuple[int, int, int] = (128, 32, 100),
    seed: int = 0,
) -> Requests:
    """Read the requests of a study.

    Args:
        host: On a demo model the demo grammar's own requests are taken where nothing is named, elsewhere the general
            set.
        data: "demo", "general", or a contrast set: a preset, a file, or `hub:owner/name/file`.
        target: Instead of `data`: a list of target texts (see `steering.texts.text_lists.read_texts`).
        control: And one of control texts. Both are dealt 60 / 20 / 20.
        borderline: A list of borderline texts instead of the set's own.
        column: Which column of the lists holds the texts.
        sizes: The most requests a side for training, validation and test.
        seed: Of the demo grammar's draw.

    Raises:
        SteeringError: A file that cannot be read, only one of `target` and `control`, or too few requests.
    """
    if bool(target) != bool(control):
        raise SteeringError(
            f"Only {'target' if target else 'control'} texts were given.",
            "a list of each kind, or neither.",
            "Give the other list too.",
        )
    name = data or (DEMO if host.info.demo else GENERAL)
    own: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    if target:
        lists = understood_texts(target, column), understood_texts(control, column)
        contrast = ContrastSet.of(lists[0].texts, lists[1].texts, name="own", paired=False)
        notes = tuple(
            f"{kind}: {note}"
            for kind, found in zip(("Targets", "Controls"), lists, strict=True)
            for note in found.notes
        )
    elif name == DEMO:
        contrast, notes = renderable(host, _demo_requests(sizes, seed))
        own = demo_borderline()
    else:
        source = _source(name)
        contrast, notes = renderable(host, ContrastSet.load(source))
        notes = (*(contrast.notes if name != GENERAL else ()), *notes)
        own = tuple(text_of(row.value, row.where) for row in read_table(source).part("borderline"))
    edge = read_texts(borderline, column) if borderline else tuple(own)
    return replace(_requests(contrast, edge, sizes), notes=notes)


def own_systems(requests: Requests) -> tuple[str, bool]:
    """How many requests of each part and side bring a system prompt of their own, in words, empty where none does; and
    whether one side does more often than the other, so that they differ by it.
    """
    parts = {"training": requests.train, "validation": requests.validation, "test": requests.test}
    told, uneven = [], False
    for part, sides in parts.items():
        shares = []
        for label, side in ((requests.target_label, sides.target), (requests.control_label, sides.control)):
            own = sum(each[0].role == "system" for each in side)
            shares.append(own / len(side))
            told += [f"{own} of {len(side)} {label} {part} requests"] if own else []
        uneven |= abs(shares[0] - shares[1]) > _UNEVEN
    own = sum(each[0].role == "system" for each in requests.borderline)
    told += [f"{own} of {len(requests.borderline)} borderline requests"] if own else []
    return ", ".join(told), uneven


def prompts_of(host: Host, requests: Sequence[Messages], system: str = "") -> list[Prompt]:
    """Rendered prompts; a system prompt stands before those that have none of their own."""
    return [render(host, with_system(each, system)) for each in requests]


def read_prompts_of(
    host: Host, requests: Sequence[Messages], system: str = "", kept: Kept | None = None
) -> list[Prompt]:
    """As `prompts_of`, for what is read where the answer begins: behind the model's own thought, if it thinks."""
    return behind_thoughts(host, prompts_of(host, requests, system), kept)


def with_system(messages: Messages, system: str) -> Messages:
    """The messages behind a system prompt; their own one stays."""
    if not system.strip() or messages[0].role == "system":
        return messages
    return (Message("system", system), *messages)


@cache
def demo_borderline() -> tuple[str, ...]:
    """Safe requests in the demo grammar's words that share words with its harmful ones."""
    text = resource("presets", "demo", "borderline.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text)["borderline"])


def _source(name: str) -> str | Path:
    return resource("presets", "refusal", "general.yaml") if name == GENERAL else find_contrast(name)


@lru_cache(maxsize=8)
def _demo_requests(sizes: tuple[int, int, int], seed: int) -> ContrastSet:
    n_train, n_validation, n_test = sizes

    def side(kind: str) -> tuple[Example, ...]:
        test = _bare(lambda n: held_out_prompts(kind, n), n_test)
        tested = {each.prompt for each in test}
        parts: dict[Split, list[DemoExample]] = {
            "train": _bare(lambda n: distinct(kind, "train", n, seed=VALIDATION_SEED + seed), n_train),
            "validation": _bare(
                lambda n: validation_prompts(kind, n, seed=VALIDATION_SEED + seed), n_validation, without=tested
            ),
            "test": test,
        }
        return tuple(Example(each.prompt, split) for split, examples in parts.items() for each in examples)

    return ContrastSet(
        name=DEMO,
        title="Harmful and harmless requests",
        description="Requests of the demo grammar.",
        positive_label="harmful",
        negative_label="harmless",
        positive=side("refusal"),
        negative=side("howto"),
        paired=False,
    )


def _bare(draw: Callable[[int], list[DemoExample]], n: int, without: Collection[Messages] = ()) -> list[DemoExample]:
    """The first `n` without a system prompt. In the grammar some harmless requests have one, which sets a tone, and no
    harmful one does: the sides would differ by it.
    """
    for drawn in count(n + n // 2, n):
        found = [each for each in draw(drawn) if each.prompt[0].role != "system" and each.prompt not in without]
        if len(found) >= n:
            return found[:n]
    raise AssertionError("a count has no end")


def _requests(contrast: ContrastSet, borderline: Sequence[str], sizes: tuple[int, int, int]) -> Requests:
    def sides(split: Split, most: int) -> Sides:
        both = [
            tuple(without_reply(each.messages) for each in contrast.side(which, split))
            for which in ("positive", "negative")
        ]
        least = min(map(len, both))
        if least < _LEAST[split]:
            raise SteeringError(
                f"The set '{contrast.name}' has {len(both[0])} {contrast.positive_label} and {len(both[1])} "
                f"{contrast.negative_label} requests for {split}.",
                f"at least {_LEAST[split]} of each.",
                "Add requests, or leave the split out of the file: then they are dealt 60 / 20 / 20.",
            )
        return Sides(*(side[:most] for side in both))

    return Requests(
        name=contrast.name,
        target_label=contrast.positive_label,
        control_label=contrast.negative_label,
        train=sides("train", sizes[0]),
        validation=sides("validation", sizes[1]),
        test=sides("test", sizes[2]),
        borderline=tuple(conversation(text) for text in borderline)[: sizes[2]],
    )
