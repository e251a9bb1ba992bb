"""What a plan does at every token of a reply: how far it moves the next-token distribution, where the state lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import ReadPlace
from steering.model.token_pieces import pieces_of_reply, readable
from steering.passes.exact import PIECE, divergence, losses_of
from steering.passes.replies import Replies, Reply, TokenReading
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_replies
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


ALTERNATIVES = 5
"""Tokens that are kept beside the one that was taken."""


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


def with_readings(
    host: Host, rows: Sequence[Row], replies: Sequence[Reply], *, vector: SteeringVector | None = None
) -> Replies:
    """The replies with what `read_tokens` reads of them, which a notebook shows as colours.

    Args:
        host: The model.
        rows: As they were generated from.
        replies: What `generate` gave for them.
        vector: As in `read_tokens`.

    Raises:
        SteeringError: As `read_tokens`.
    """
    read = read_tokens(host, rows, [reply.ids for reply in replies], vector=vector)
    return Replies((replace(reply, readings=each) for reply, each in zip(replies, read, strict=True)), rows)


@dataclass(frozen=True)
class Summary:
    """A reply's tokens together."""

    divergence: float
    """95th percentile, nats."""
    projection: float | None
    """Mean, in mean differences; None where none was read."""
    unsteered: float | None
    """Mean of what the reference has at the same tokens."""


def summary(readings: Sequence[TokenReading]) -> Summary:
    """What the readings of a reply come to."""
    divergence = float(np.percentile([each.divergence for each in readings], 95))
    return Summary(divergence, _mean(each.projection for each in readings), _mean(each.unsteered for each in readings))


def zero_of(vector: SteeringVector | None) -> float | None:
    """Where conditions and clamps count from: the mean of the negative side at the vector's own block, in mean
    differences; None where the vector does not say.
    """
    if vector is None or vector.references is None:
        return None
    block = vector.default_block
    return float(vector.references[block] / vector.mean_differences[block])


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _read(
    host: Host, row: Row, ids: tuple[int, ...], reference: Plan, vector: SteeringVector | None
) -> tuple[TokenReading, ...]:
    if not ids:
        return ()
    plans = (reference, row.plan)
    batch = Batch.of(host, [row.prompt] * 2, replies=[ids] * 2)
    place = None if vector is None else (vector.default_block, vector.site)
    states: list[Tensor] = []

    def keep(at: ReadPlace, read: Tensor) -> None:
        states.append(read[:, -len(ids) :].float().cpu())

    logits = read_replies(
        host, batch, Schedule(host, plans), n=len(ids) + 1, read=keep, places=[place] if place else []
    )
    before, own = logits[:, :-1]
    apart, taken = divergence(before, own).tolist(), torch.tensor(ids)
    change = (losses_of(before, taken) - losses_of(own, taken)).tolist()
    along: list[list[float | None]] = [[None] * len(ids)] * 2
    if vector is not None:
        along = [list(_along(each, vector)) for each in states[0]]
    rows = max(1, PIECE // logits.shape[-1])
    parts = zip(before.split(rows), own.split(rows), taken.to(own.device)[:, None].split(rows), strict=True)
    likely = [each for part in parts for each in _likely(*part)]
    pieces = pieces_of_reply(host.tokenizer, ids, special=False)
    return tuple(
        TokenReading(
            readable(host.tokenizer, token),
            pieces[i],
            apart[i],
            change[i],
            projection=along[1][i],
            unsteered=along[0][i],
            alternatives=_told(host, likely[i]),
        )
        for i, token in enumerate(ids)
    )


def _along(states: Tensor, vector: SteeringVector) -> list[float]:
    block = vector.default_block
    return (states @ vector.directions[block].float() / float(vector.mean_differences[block])).tolist()


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
