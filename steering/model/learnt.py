"""What is found out about a model while one works with it, such as how long a step takes; gone with the model.

Where a model is worked with in several processes, what one has found out can be told another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from steering.model.chat_settings import ChatSettings
from steering.model.host import Host


T = TypeVar("T")
Fact = tuple[str, str, Any]
"""Name of a kind, chat settings as JSON, and what is known under them."""
_KINDS: dict[str, Learnt[Any]] = {}


class Learnt(WeakKeyDictionary[Host, T]):
    """One kind of it, by host; what is plain data can be told another process."""

    def __init__(self, name: str) -> None:
        """A kind of which nothing is known yet.

        Args:
            name: Its own among all kinds.
        """
        super().__init__()
        _KINDS[name] = self


def facts(host: Host) -> Iterator[Fact]:
    """All that is known of a model, under any chat settings."""
    for name, kind in _KINDS.items():
        for view, known in list(kind.items()):
            if view.base is host.base:
                yield name, view.chat.model_dump_json(), known


def learn(host: Host, told: Iterable[Fact]) -> None:
    """Take in what another process found out about the same model."""
    for name, chat, known in told:
        kind, view = _KINDS.get(name), host.under(ChatSettings.model_validate_json(chat))
        if kind is None:  # of a module that only the other one has imported
            continue
        if isinstance(known, dict):
            kind.setdefault(view, {}).update(known)
        else:
            kind[view] = known
