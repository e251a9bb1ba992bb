"""What a plan does at every token of a reply: how far it moves the next-token distribution, where the state lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.model.token_pieces import pieces_of_reply, readable
from steering.passes.exact import PIECE, divergence, losses_of
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Place, Schedule
from steering.passes.tracing import read_replies
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


ALTERNATIVES = 5
"""Tokens that are kept beside the one that was taken."""


@dataclass(frozen=True)
class TokenReading:
    """One token of a reply."""

    token: str
    """By itself as text; a part of a character shows as U+FFFD."""
    piece: str
    """What it adds to the reply's text; "" where it is a special token or a later one completes its character."""
    divergence: float
    """KL(reference || this row) of the distribution that the token was taken from, nats."""
    change: float
    """log-probability of the token in this row less that in the reference, nats."""
    projection: float | None
    """Of the state at the token, in mean differences from the negative side's mean; None without a vector."""
    alternatives: tuple[tuple[str, float, float], ...]
    """(token, probability in the reference, probability in this row), both before temperature: the token itself, then
    the likeliest in either.
    """


def read_tokens(
    host: Host, rows: Sequence[Row], replies: Sequence[Sequence[int]], *, vector: SteeringVector | None = None
) -> tuple[tuple[TokenReading, ...], ...]:
    """Read replies again in one pass each, under their row's plan and under that of the row they are compared with.

    A row without `Row.against` is its own reference: its divergence and change are 0. The reference reads the row's own
    prompt and reply, so that only the plan differs.

    Args:
        host: The model.
        rows: As they were generated from.
        replies: Token ids of each row's reply.
        vector: Whose projection to read, at its default block and site, after whatever is written there.

    Returns:
        One reading a token, a row.

    Raises:
        SteeringError: As `steering.passes.decoding.next_token_logits`, or a vector that does not fit the model.
    """
    if vector is not None:
        vector.check(host)

    def work(job: Job[tuple[tuple[TokenReading, ...], ...]]) -> tuple[tuple[TokenReading, ...], ...]:
        read = []
        for done, (row, ids) in enumerate(zip(rows, replies, strict=True)):
            job.report(done, len(rows), "replies")
            reference = row.plan if row.against is None else rows[row.against].plan
            read.append(_read(host, row, tuple(ids), reference, vector))
        return tuple(read)

    return host.run(work, title="Reading the tokens")


def summary(readings: Sequence[TokenReading]) -> tuple[float, float | None]:
    """The 95th percentile of the divergence over a reply's tokens, nats, and the mean projection."""
    divergence = float(np.percentile([each.divergence for each in readings], 95))
    along = [each.projection for each in readings if each.projection is not None]
    return divergence, float(np.mean(along)) if along else None


def _read(
    host: Host, row: Row, ids: tuple[int, ...], reference: Plan, vector: SteeringVector | None
) -> tuple[TokenReading, ...]:
    if not ids:
        return ()
    plans = (reference, row.plan)
    batch = Batch.of(host, [row.prompt] * 2, replies=[ids] * 2)
    place = None if vector is None else (vector.default_block, vector.site)
    states: list[Tensor] = []

    def keep(at: Place, read: Tensor) -> None:
        states.append(read[1, -len(ids) :].float().cpu())

    logits = read_replies(
        host, batch, Schedule(host, plans), n=len(ids) + 1, read=keep, places=[place] if place else []
    )
    before, own = logits[:, :-1]
    apart, taken = divergence(before, own).tolist(), torch.tensor(ids)
    change = (losses_of(before, taken) - losses_of(own, taken)).tolist()
    along: list[float | None] = [None] * len(ids)
    if vector is not None:
        along = list(_along(states[0], vector))
    rows = max(1, PIECE // logits.shape[-1])
    parts = zip(before.split(rows), own.split(rows), taken.to(own.device)[:, None].split(rows), strict=True)
    likely = [each for part in parts for each in _likely(*part)]
    pieces = pieces_of_reply(host.tokenizer, ids, special=False)
    return tuple(
        TokenReading(readable(host.tokenizer, token), pieces[i], apart[i], change[i], along[i], _told(host, likely[i]))
        for i, token in enumerate(ids)
    )


def _along(states: Tensor, vector: SteeringVector) -> list[float]:
    block = vector.default_block
    reference = 0.0 if vector.references is None else float(vector.references[block])
    along = (states @ vector.directions[block].float() - reference) / float(vector.mean_differences[block])
    return along.tolist()


def _likely(before: Tensor, own: Tensor, taken: Tensor) -> list[list[tuple[int, float, float]]]:
    """(id, probability in the reference, in this row) of each token and the likeliest others, most likely first; from
    logits, (token, vocabulary).
    """
    before, own = (torch.log_softmax(each, dim=-1) for each in (before, own))
    best = torch.maximum(before, own).topk(min(ALTERNATIVES + 1, own.shape[-1]), dim=-1).indices
    shown = torch.cat([taken, best], dim=1)
    columns = zip(
        shown.tolist(), before.gather(1, shown).exp().tolist(), own.gather(1, shown).exp().tolist(), strict=True
    )
    unique = [{token: (token, p, q) for token, p, q in zip(*each, strict=True)} for each in columns]
    return [list(each.values())[: ALTERNATIVES + 1] for each in unique]


def _told(host: Host, likely: Sequence[tuple[int, float, float]]) -> tuple[tuple[str, float, float], ...]:
    return tuple((readable(host.tokenizer, token), p, q) for token, p, q in likely)
