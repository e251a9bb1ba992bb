"""What a plan does at every token of a reply: how far it moves the next-token distribution, where the state lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from steering.lane import Job
from steering.model.host import Host
from steering.passes.replies import Replies, Reply, TokenReading
from steering.passes.rows import Row
from steering.vectors.second_pass import ALTERNATIVES, fitting_together, read_wanted, wanted_of
from steering.vectors.vector import SteeringVector


__all__ = ["ALTERNATIVES", "Summary", "TokenReading", "read_tokens", "summary", "with_readings", "zero_of"]


def read_tokens(
    host: Host, rows: Sequence[Row], replies: Sequence[Sequence[int]], *, vector: SteeringVector | None = None
) -> tuple[tuple[TokenReading, ...], ...]:
    """Read replies again, under their row's plan and under that of the row they are compared with, in as few passes as
    there is room for.

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

    wanted = wanted_of(rows, replies, vector)

    def work(job: Job[tuple[tuple[TokenReading, ...], ...]]) -> tuple[tuple[TokenReading, ...], ...]:
        while left := [each for each in wanted if each.found is None]:
            job.report(len(wanted) - len(left), len(wanted), "replies")
            read_wanted(host, fitting_together(host, left))
        return tuple(each.found or () for each in wanted)

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
