"""A concept: texts that have it and texts that have not, how a prompt asks for it, and what it is tried on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from steering.demo.sentences import TextKind
from steering.model.prompts import Message
from steering.passes.pooling import Pooling
from steering.texts.contrast import ContrastSet
from steering.texts.preferences import Preference


@dataclass(frozen=True)
class Instruction:
    """What is asked, whatever the concept."""

    messages: tuple[Message, ...]
    names: tuple[str, ...] = ()
    """What a reply to it has to name; none where nobody knows."""

    @property
    def text(self) -> str:
        """The request."""
        return self.messages[-1].content


@dataclass(frozen=True)
class Manner:
    """A concept of the demo grammar, whose truth is known."""

    kind: TextKind
    name: str
    """Such as `sea`."""


@dataclass(frozen=True, eq=False)
class Concept:
    """One concept."""

    number: int
    """Of random draws."""
    name: str
    """What it is, in the words of whoever named it."""
    contrast: ContrastSet
    """What vectors are fitted on."""
    pooling: Pooling
    """Which token of those texts is read."""
    instructions: tuple[Instruction, ...]
    """Those that choose the factor, then those that score it."""
    asking: str
    """A sentence that asks for it."""
    as_system: bool = False
    """Whether that stands in a system prompt; else behind the request."""
    manner: Manner | None = None
    """What the demo grammar knows of it."""
    pairs: tuple[Preference, ...] = ()
    """What vectors are trained on: replies with the concept against replies without it; where those are empty, against
    the model's own.
    """
    texts: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()))
    """Texts with it and without it that no vector is fitted on, for whoever judges by words."""

    def prompted(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The same request, asking for the concept."""
        if self.as_system:
            return (Message("system", self.asking), *messages)
        last = messages[-1]
        return (*messages[:-1], replace(last, content=f"{last.content}\n\n{self.asking}"))
