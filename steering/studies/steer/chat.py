"""A conversation with several columns: the same user messages, answered by each column in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from steering.model.prompts import Message


@dataclass(frozen=True, eq=False)
class Chat:
    """What was said so far; the last user message may still be open."""

    system: str = ""
    """The system message; none where empty."""
    users: tuple[str, ...] = ()
    replies: tuple[Mapping[str, str], ...] = ()
    """Per answered user message: each column's reply by its key, the unsteered model's under ""."""

    def ask(self, user: str) -> Chat:
        """The conversation with one more user message."""
        return replace(self, users=(*self.users, user))

    def answer(self, replies: Mapping[str, str]) -> Chat:
        """The conversation with the open message answered."""
        return replace(self, replies=(*self.replies, replies))

    def turns(self, column: str = "") -> list[tuple[str, str]]:
        """The answered turns of a column, (user, reply); one that is newer than a turn takes the unsteered reply."""
        return [(user, each.get(column, each[""])) for user, each in zip(self.users, self.replies, strict=False)]

    def messages(self, column: str = "") -> tuple[Message, ...]:
        """What a column reads: its own turns, and the open message."""
        messages = [Message("system", self.system)] if self.system.strip() else []
        for user, reply in self.turns(column):
            messages += [Message("user", user), Message("assistant", reply)]
        return (*messages, *(Message("user", user) for user in self.users[len(self.replies) :]))
