"""Templates that refuse a system prompt, or drop it: what needs one is left out, and said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import Message, conversation, render
from steering.names import short_name
from steering.texts.contrast import ContrastSet, Example


_HOW = "chat.system=user puts it into the user's message"


def takes_system(host: Host) -> bool:
    """Whether a system prompt can be given: the template has a place for it, or it goes into the user's message."""
    try:
        render(host, conversation("Hello.", "Be kind."))
    except SteeringError:
        return False
    return True


def needs_system(messages: Sequence[Message]) -> bool:
    """Whether a conversation has a system turn."""
    return any(turn.role == "system" for turn in messages)


def renderable(host: Host, contrast: ContrastSet) -> tuple[ContrastSet, tuple[str, ...]]:
    """A contrast set without what the model's template has no place for, and a note of how much that was.

    Raises:
        SteeringError: Nothing of a side is left.
    """
    sides = contrast.positive, contrast.negative
    kept = [not needs_system(example.messages) for example in (*sides[0], *sides[1])]
    if all(kept) or takes_system(host):
        return contrast, ()
    halves = kept[: len(sides[0])], kept[len(sides[0]) :]
    if contrast.paired:
        both = [one and other for one, other in zip(*halves, strict=True)]
        halves = both, both
    left = [_where(side, half) for side, half in zip(sides, halves, strict=True)]
    if not all(left):
        raise SteeringError(
            f"The contrast set '{contrast.name}' needs a system prompt, and the template of {short_name(host.name)} "
            "takes none.",
            "a set without system prompts, or another place for them.",
            f"Take another set, or say where the system prompt goes: {_HOW}.",
        )
    out = len(kept) - sum(map(len, left))
    return replace(contrast, positive=left[0], negative=left[1]), (left_out(host, out, "prompts"),)


def left_out(host: Host, n: int, what: str) -> str:
    """The note of what was left out."""
    model = short_name(host.name)
    return f"{n} {what} with a system prompt were left out: the template of {model} has no place for one ({_HOW})."


def _where(side: tuple[Example, ...], kept: Sequence[bool]) -> tuple[Example, ...]:
    return tuple(example for example, keep in zip(side, kept, strict=True) if keep)
