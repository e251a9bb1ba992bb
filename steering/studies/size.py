"""How much a run will do and about how long it takes, told before it starts.

A study counts from its settings alone: it reads nothing of the model, so that a page may ask at every change, on any
thread. `pace` turns what is counted into seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.pace import likely_steps, seconds_per_step, seconds_per_token
from steering.store import Kept, digest


_LETTERS = 4
"""Of a usual token."""
_TEMPLATE = 12
"""Tokens that a chat template puts around a message."""


@dataclass(frozen=True)
class Work:
    """Many replies, many readings of texts that are given, or many steps of a training."""

    kind: Literal["replies", "readings", "steps"]
    n: int
    """How many, at most."""
    tokens: float
    """The most tokens of a reply; about as many as a text has that is read."""
    known: int = 0
    """Of these, how many are kept from before and are not made again."""
    batch: int = 16
    """Replies that are generated together."""
    each: float | None = None
    """Seconds of a step, where the study knows."""

    def seconds(self, host: Host) -> float | None:
        """About how long what is not kept takes; None before anything like it was timed on this model."""
        n = self.n - self.known
        if n <= 0:
            return 0.0
        if self.kind == "steps":
            return None if self.each is None else n * self.each
        if self.kind == "readings":
            token = seconds_per_token(host)
            return None if token is None else n * self.tokens * token
        step = seconds_per_step(host, min(n, self.batch))
        return None if step is None else -(-n // self.batch) * likely_steps(host, self.tokens) * step


def shares(host: Host, works: Sequence[Work]) -> list[float]:
    """Which share of all the time each of them takes; by how much it is, where nothing like it was timed yet."""
    seconds = [work.seconds(host) for work in works]
    each = [work.n - work.known if None in seconds else one or 0.0 for work, one in zip(works, seconds, strict=True)]
    return [one / (sum(each) or 1.0) for one in each]


@dataclass(frozen=True)
class Size:
    """Everything that a run does."""

    works: tuple[Work, ...]
    keeps: bool = False
    """Whether finished parts are kept, so that a part that was made before costs nothing."""
    done: Done | None = None
    """The same run, where it has been to its end before."""
    beside: str = ""
    """A sentence on what else is done, which cannot be counted ahead."""

    def seconds(self, host: Host) -> float | None:
        """About how long it takes; None where a part is like nothing that was timed on this model yet."""
        if self.done:
            return self.done.seconds
        parts = [work.seconds(host) for work in self.works]
        return None if None in parts else sum(part for part in parts if part is not None)

    def count(self, kind: str) -> int:
        """How many replies or readings there are at most."""
        return sum(work.n for work in self.works if work.kind == kind)

    @property
    def known(self) -> int:
        """How many of them are known to be kept."""
        return sum(work.known for work in self.works)


@dataclass(frozen=True)
class Done:
    """A run that has been to its end: all its parts are kept."""

    seconds: float | None
    """What it took when everything was kept already; None if that was never so."""


def tokens_of(texts: Sequence[str]) -> float:
    """About how many tokens a text has in the mean, with what a template puts around it, without a tokenizer."""
    return _TEMPLATE + sum(map(len, texts)) / _LETTERS / max(1, len(texts))


def run_key(host: Host, study: str, *parts: Any) -> str:
    """A digest of all that a run depends on.

    Args:
        host: The model, under the run's chat settings.
        study: The study's name.
        parts: What JSON can hold: settings without paths, vectors by their content.
    """
    return digest("run", study, fingerprint(host), parts)


def note_done(kept: Kept, key: str, *, seconds: float, anew: int) -> None:
    """Take in that a run came to its end.

    Args:
        kept: Where its parts are kept.
        key: See `run_key`.
        seconds: How long it took.
        anew: How many parts it had to make; with none, the same run takes as long again.
    """
    before = done_before(kept, key)
    known = before.seconds if before and anew else None if anew else seconds
    kept[key] = {"seconds": known}


def done_before(kept: Kept, key: str) -> Done | None:
    """What is known of the same run; None where it has not been to its end."""
    found = kept.get(key)
    return None if found is None else Done(found["seconds"])
