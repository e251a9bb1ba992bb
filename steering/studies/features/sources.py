"""Whose texts are read: a contrast set's, a list's or both, as messages of a chat or as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, conversation, render, render_text
from steering.numbers import counted
from steering.texts.contrast import ContrastSet, Example, Split
from steering.texts.system_prompts import renderable
from steering.texts.text_lists import understood_texts


Kind = Literal["chat", "plain"]
KINDS: dict[Kind, str] = {
    "chat": "as messages, with the tokens that the chat template puts around them",
    "plain": "as plain text without a template",
}
Side = Literal["positive", "negative", ""]


@dataclass(frozen=True)
class Source:
    """One text, as somebody gave it."""

    messages: tuple[Message, ...]
    side: Side = ""
    split: Split | Literal[""] = ""

    def rendered(self, host: Host, kind: Kind) -> Prompt:
        """Its tokens.

        Raises:
            SteeringError: As `render` and `render_text`.
        """
        if kind == "chat":
            return render(host, self.messages)
        return render_text(host, "\n\n".join(turn.content for turn in self.messages))


@dataclass(frozen=True)
class Sources:
    """Texts in the order of their files, those of a contrast set first: its positive side, then its negative one."""

    contrast: ContrastSet | None
    texts: tuple[Source, ...]
    notes: tuple[str, ...] = ()

    def rendered(self, host: Host, kind: Kind) -> list[Prompt]:
        """The tokens of all of them.

        Raises:
            SteeringError: As `Source.rendered`.
        """
        return [text.rendered(host, kind) for text in self.texts]

    def of(self, side: Side, splits: Sequence[Split]) -> list[int]:
        """Indices of one side's texts in some splits."""
        return [index for index, each in enumerate(self.texts) if each.side == side and each.split in splits]


def sources_of(host: Host, *, contrast: str, texts: str, most: int) -> Sources:
    """Read what settings name.

    Args:
        host: The model; what its template has no place for is left out, with a note.
        contrast: A contrast set; none where empty.
        texts: A list of texts; none where empty.
        most: The most texts of either that are read: the first of a list, and of each side of a contrast set.

    Raises:
        SteeringError: Neither is named, or as `ContrastSet.load` and `understood_texts`.
    """
    if not contrast and not texts:
        raise SteeringError(
            "No texts were given.", "a contrast set, a list of texts, or both.", "Name one, such as contrast=harm."
        )
    notes: list[str] = []
    found: ContrastSet | None = None
    read: list[Source] = []
    if contrast:
        found, said = renderable(host, ContrastSet.load(contrast))
        notes += [*found.notes, *said]
        for side in (found.positive, found.negative):
            read += [_source(each, "positive" if side is found.positive else "negative") for each in side[:most]]
        notes += _cut(max(len(found.positive), len(found.negative)), most, f"texts of a side of '{found.name}'")
    if texts:
        listed = understood_texts(texts)
        read += [Source(conversation(text)) for text in listed.texts[:most]]
        notes += [*listed.notes, *_cut(len(listed.texts), most, "texts of the list")]
    return Sources(found, tuple(read), tuple(notes))


def _source(example: Example, side: Side) -> Source:
    return Source(example.messages, side, example.split)


def _cut(n: int, most: int, what: str) -> list[str]:
    return [f"The first {counted(most, 'text')} of {n:,} {what} were read."] if n > most else []
