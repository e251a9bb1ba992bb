"""Replies that are read again, several in one pass; those of jobs that end together, together (`Desk`)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from steering.lane import Job, Stopped
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace
from steering.model.token_pieces import pieces_of_reply, readable
from steering.passes.exact import Compared, compared, rows_at_once
from steering.passes.replies import TokenReading
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_replies
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


ALTERNATIVES = 5
"""Tokens that are kept beside the one that was taken."""
MOST_TEXTS = 64
"""That are read in one pass."""
_PADDED = 1.5
"""How many times the tokens of its texts a pass may have as places; the others are padding."""
Text = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""What makes a text of a pass the same as another: its prompt's tokens, its reply's, and what is written."""


@dataclass(eq=False)
class Wanted:
    """A reply that is to be read under two plans."""

    prompt: Prompt
    ids: tuple[int, ...]
    """The reply's tokens."""
    plans: tuple[Plan, Plan]
    """Of the row that it is compared with, and its own."""
    vector: SteeringVector | None
    """Whose projection to read."""
    found: tuple[TokenReading, ...] | None = None
    """One a token, once it was read."""

    @property
    def texts(self) -> tuple[Text, Text]:
        """Under the reference and under its own plan; a plan is what it is by the writes in it."""
        before, own = ((self.prompt.ids, self.ids, tuple(map(id, plan))) for plan in self.plans)
        return before, own

    @property
    def place(self) -> ReadPlace | None:
        """Where the vector's projection is read."""
        return None if self.vector is None else (self.vector.default_block, self.vector.site)


def wanted_of(
    rows: Sequence[Row], replies: Sequence[Sequence[int]], vector: SteeringVector | None
) -> tuple[Wanted, ...]:
    """What is to be read of rows' replies, given as token ids; of an empty one nothing is."""
    return tuple(
        Wanted(
            row.prompt,
            tuple(ids),
            (row.plan if row.against is None else rows[row.against].plan, row.plan),
            vector,
            None if ids else (),
        )
        for row, ids in zip(rows, replies, strict=True)
    )


def fitting_together(host: Host, wanted: Sequence[Wanted]) -> list[Wanted]:
    """The first, and of the others those that go into one pass with it: within the bound on logits, and without much
    padding.
    """
    chosen: list[Wanted] = []
    texts: set[Text] = set()
    for each in wanted:
        given = texts | set(each.texts)
        longest = max(len(ids) for _, ids, _ in given)
        lengths = [len(prompt) + len(ids) for prompt, ids, _ in given]
        fits = len(given) <= rows_at_once((longest + 1) * host.info.vocabulary, MOST_TEXTS)
        if not chosen or (fits and len(given) * max(lengths) <= _PADDED * sum(lengths)):
            chosen, texts = [*chosen, each], given
    return chosen


def read_wanted(host: Host, wanted: Sequence[Wanted]) -> None:
    """Read replies in one pass, each text once however often it is asked for. Call on the model thread.

    Raises:
        SteeringError: As `steering.passes.decoding.next_token_logits`.
    """
    rows: dict[Text, tuple[Prompt, tuple[int, ...], Plan]] = {}
    for each in wanted:
        for text, plan in zip(each.texts, each.plans, strict=True):
            rows.setdefault(text, (each.prompt, each.ids, plan))
    at = {text: row for row, text in enumerate(rows)}
    prompts, replies, plans = zip(*rows.values(), strict=True)
    longest, states = max(map(len, replies)), {}

    def keep(place: ReadPlace, read: Tensor) -> None:
        states[place] = read[:, -longest:].float().cpu()

    places = list(dict.fromkeys(each.place for each in wanted if each.place is not None))
    batch = Batch.of(host, prompts, replies=replies)
    logits = read_replies(host, batch, Schedule(host, plans), n=longest + 1, read=keep, places=places)
    shown: dict[int, str] = {}
    for each in wanted:
        n, (before, own) = len(each.ids), (at[text] for text in each.texts)
        ours = logits[own, -n - 1 : -1]
        theirs = ours if before == own else logits[before, -n - 1 : -1]
        told = compared(theirs, ours, torch.tensor(each.ids), ALTERNATIVES + 1)
        along: list[list[float | None]] = [[None] * n] * 2
        if each.vector is not None and each.place is not None:
            along = [_along(states[each.place][row, -n:], each.vector) for row in (before, own)]
        each.found = _readings(host, each.ids, told, along, shown)


class Desk:
    """The replies of one model that jobs want read again: whoever comes first reads those of all who wait."""

    def __init__(self) -> None:
        self._asked: dict[Job[Any], tuple[Wanted, ...]] = {}

    @contextmanager
    def waiting(self, job: Job[Any]) -> Iterator[None]:
        """A job may ask until the end of the block."""
        try:
            yield
        finally:
            self._asked.pop(job, None)

    def ask(self, job: Job[Any], wanted: tuple[Wanted, ...]) -> None:
        """Say what a job wants, as soon as it is known; also where another job has the model thread. It must be waiting
        for its turn, or have it, until `read` has given it.
        """
        self._asked[job] = wanted

    def read(self, host: Host, job: Job[Any]) -> tuple[tuple[TokenReading, ...], ...]:
        """What the job asked for, a reply each; what others ask for is read with it, where it fits.

        Raises:
            Stopped: Somebody asked the job to end.
            SteeringError: As `read_wanted`.
        """
        wanted = self._asked[job]
        job.report(_done(wanted), len(wanted), "replies")
        while left := [each for each in wanted if each.found is None]:
            others = [each for asked in self._asked.values() if asked is not wanted for each in asked]
            together = fitting_together(host, [*left, *(each for each in others if each.found is None)])
            began = time.perf_counter()
            try:
                read_wanted(host, together)
            except Stopped:
                raise
            except Exception:
                if set(map(id, together)) <= set(map(id, left)):
                    raise
                read_wanted(host, fitting_together(host, left))  # what fails may be another job's
            self._carry(job, together, time.perf_counter() - began)
            job.report(_done(wanted), len(wanted), "replies")
        return tuple(each.found or () for each in wanted)

    def _carry(self, job: Job[Any], together: Sequence[Wanted], seconds: float) -> None:
        """Tell those whose replies were read with a job's own."""
        for other, asked in self._asked.items():
            if other is not job and any(each in together for each in asked):
                other.carry(seconds, ends=_done(asked) == len(asked))


def desk_of(host: Host) -> Desk:
    """The one of a model, whatever its chat settings."""
    return _DESKS.setdefault(host.base, Desk())


def _done(wanted: Sequence[Wanted]) -> int:
    return sum(each.found is not None for each in wanted)


def _along(states: Tensor, vector: SteeringVector) -> list[float | None]:
    block = vector.default_block
    along: list[float | None] = (
        states @ vector.directions[block].float() / float(vector.mean_differences[block])
    ).tolist()
    return along


def _readings(
    host: Host,
    ids: Sequence[int],
    told: Compared,
    along: Sequence[Sequence[float | None]],
    shown: dict[int, str],
) -> tuple[TokenReading, ...]:
    """A reply's tokens with all that was read of them; `shown` are tokens as text, by id, as far as they are known."""

    def text(token: int) -> str:
        if token not in shown:
            shown[token] = readable(host.tokenizer, token)
        return shown[token]

    pieces = pieces_of_reply(host.tokenizer, ids, special=False)
    columns = [each.tolist() for each in (told.divergence, told.change, told.tokens, *told.chances)]
    found = []
    for i, (apart, change, tokens, before, own) in enumerate(zip(*columns, strict=True)):
        likely = {token: (text(token), p, q) for token, p, q in zip(tokens, before, own, strict=True)}
        alternatives = tuple(likely.values())[: ALTERNATIVES + 1]
        found.append(
            TokenReading(text(ids[i]), pieces[i], apart, change, along[1][i], along[0][i], alternatives=alternatives)
        )
    return tuple(found)


_DESKS: WeakKeyDictionary[Host, Desk] = WeakKeyDictionary()
