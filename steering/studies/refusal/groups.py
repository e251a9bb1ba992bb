"""Requests of one kind as a model reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.store import Kept
from steering.studies.refusal.requests import Messages, prompts_of, read_prompts_of


@dataclass(frozen=True)
class Group:
    """Requests of one kind, rendered with or without a system prompt."""

    name: str
    system: bool
    asked: tuple[str, ...]
    """The users' messages."""
    prompts: tuple[Prompt, ...]
    """What is answered."""
    read: tuple[Prompt, ...]
    """The same, up to where the answer begins: behind the unsteered model's thought where it is let think."""
    target: bool = False
    """Whether they are those that a model is made to refuse, so that a reply may refuse them by a lecture."""

    @classmethod
    def of(
        cls,
        host: Host,
        name: str,
        requests: Sequence[Messages],
        system: str,
        kept: Kept | None = None,
        *,
        target: bool = False,
    ) -> Group:
        """Render requests; thoughts are kept by digest."""
        prompts, read = prompts_of(host, requests, system), read_prompts_of(host, requests, system, kept)
        asked = tuple(each[-1].content for each in requests)
        return cls(name, bool(system.strip()), asked, tuple(prompts), tuple(read), target)
