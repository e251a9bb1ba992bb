"""Text from rows: next-token logits, whole replies, and replies streamed token by token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.model.pace import ENOUGH, note_length, note_reading, seconds_per_step
from steering.model.prompts import render
from steering.passes.company import Coming, Member, company_of
from steering.passes.replies import DecodeSettings, Replies, Reply, Step
from steering.passes.row_states import RowState, reply_of
from steering.passes.rows import Batch, Row
from steering.passes.running import Running
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts


_READ = 96
"""Rows that a warm-up reads."""
_QUICK = 0.2
"""Seconds a step under which a warm-up also times a batch."""


def next_token_logits(host: Host, rows: Sequence[Row]) -> Tensor:
    """Logits of the first reply token, float32 on the CPU, (rows, vocabulary).

    Raises:
        SteeringError: A prompt longer than the context, or a plan that names a block or site the model does not have.
    """
    schedule = Schedule(host, [row.plan for row in rows])
    batch = Batch.of(host, [row.prompt for row in rows])
    return host.run(lambda job: read_prompts(host, batch, schedule).logits.cpu(), title="Reading logits")


def generate(
    host: Host,
    rows: Sequence[Row],
    settings: DecodeSettings | Sequence[DecodeSettings] | None = None,
    *,
    batch_size: int = 32,
) -> Replies:
    """Replies to all rows, `batch_size` at a time.

    A row's reply does not depend on which rows share its batch, up to float error. Comparisons (`Row.against`) reach
    only rows of the same batch of one.

    Args:
        host: The model.
        rows: What to answer.
        settings: For all rows, or one a row.
        batch_size: Rows that are decoded together.

    Raises:
        SteeringError: As `next_token_logits`.
    """
    each = _settings(settings, rows)

    def work(job: Job[Replies]) -> Replies:
        replies: list[Reply] = []
        for start in range(0, len(rows), batch_size):
            job.report(start, len(rows), "replies")
            part = slice(start, start + batch_size)
            for states in _steps(host, rows[part], each[part]):
                job.report(start + sum(bool(state.finish) for state in states), len(rows), "replies")
            replies += [reply_of(host, state) for state in states]
        return Replies(replies, rows)

    return host.run(work, title="Generating")


def generate_each(
    job: Job[Any], host: Host, rows: Sequence[Row], settings: Sequence[DecodeSettings]
) -> Iterator[tuple[int, Reply]]:
    """Decode one batch and give (index of the row, its reply) as the rows end; a stop takes effect between two tokens.

    Call on the model thread.

    Args:
        job: Checked for a stop.
        host: The model.
        rows: What to answer, all in one batch.
        settings: One a row.
    """
    given: set[int] = set()
    for states in _steps(host, rows, settings):
        for index, state in enumerate(states):
            if state.finish and index not in given:
                given.add(index)
                yield index, reply_of(host, state)
        job.check()


def stream(
    host: Host, rows: Sequence[Row], settings: DecodeSettings | None = None, *, title: str = "Generating"
) -> Job[Replies]:
    """Queue one batch and return its job at once; the job emits a `Step` per token and results in the replies.

    Raises:
        SteeringError: As `next_token_logits`, here and not in the job.
    """
    check(host, rows)
    settings = settings or DecodeSettings()
    work = partial(streamed, host=host, rows=rows, settings=settings)
    return host.submit(work, title=title, joins=Coming(host, rows, settings))


def check(host: Host, rows: Sequence[Row]) -> None:
    """Raise what `next_token_logits` would raise, before any work is done."""
    Schedule(host, [row.plan for row in rows])
    Batch.of(host, [row.prompt for row in rows])


def streamed(
    job: Job[Any],
    host: Host,
    rows: Sequence[Row],
    settings: DecodeSettings,
    ended: Callable[[Replies], None] = lambda replies: None,
    *,
    every: float = 0.0,
) -> Replies:
    """Decode one batch as a part of a job, which emits a `Step` per token; rows of other such jobs are decoded with it.
    Call on the model thread.

    Args:
        job: The job.
        host: The model.
        rows: What to answer.
        settings: Of all rows.
        ended: Called once with the whole replies, as soon as they are: perhaps while another job has the thread.
        every: Seconds for which the job emits nothing after a `Step`, unless it ends: whoever follows is woken at each,
            and has the interpreter in place of the model.
    """
    due, told = 0.0, -1

    def replies(member: Member) -> Replies:
        return Replies((reply_of(host, state) for state in member.states), rows)

    def say(member: Member) -> Replies:
        nonlocal due, told
        so_far, due, told = replies(member), time.monotonic() + every, member.steps
        job.emit(Step(member.steps, so_far))
        job.tell(member.steps + 1, settings.max_new_tokens, "tokens")
        return so_far

    def tell(member: Member) -> None:
        if member.done:
            ended(say(member))
        elif time.monotonic() >= due:
            say(member)

    company = company_of(host)
    coming = job.joins if isinstance(job.joins, Coming) else Coming(host, rows, settings)
    with company.joined(job, coming, tell) as member:
        job.check()
        while not member.done:
            try:
                company.step(member)
                job.check()
            except BaseException:
                if told < member.steps:
                    say(member)  # all that there is by now
                raise
    note_length(host, member.steps + 1, settings.max_new_tokens)
    return replies(member)


def warm_up(host: Host) -> None:
    """Read and decode a few tokens, so that the first real run is not the slow one and its time can be foretold."""
    row, settings = Row(render(host, "Hello.")), DecodeSettings(max_new_tokens=5)
    generate(host, [row], settings)
    next_token_logits(host, [row] * _READ)
    _time_reading(host, row, _READ)
    if (seconds_per_step(host, 1) or 0) < _QUICK:
        generate(host, [row] * 16, settings)


def time_steps(host: Host) -> None:
    """Find out about how long steps and readings take, where a few steps say that this itself takes no time."""
    row, settings = Row(render(host, "Hello.")), DecodeSettings(max_new_tokens=4)
    generate(host, [row], settings)
    if (seconds_per_step(host, 1) or _QUICK) < _QUICK:
        generate(host, [row] * 16, settings)
        _time_reading(host, row, 1 + ENOUGH // len(row.prompt))


def _time_reading(host: Host, row: Row, rows: int) -> None:
    began = time.perf_counter()
    next_token_logits(host, [row] * rows)
    note_reading(host, rows * len(row.prompt), time.perf_counter() - began)


def _settings(
    settings: DecodeSettings | Sequence[DecodeSettings] | None, rows: Sequence[Row]
) -> Sequence[DecodeSettings]:
    if settings is None or isinstance(settings, DecodeSettings):
        return [settings or DecodeSettings()] * len(rows)
    return settings


def _steps(host: Host, rows: Sequence[Row], settings: Sequence[DecodeSettings]) -> Iterator[list[RowState]]:
    """The rows' states after each token, the same objects every time, until all rows have ended."""
    running = Running.begin(host, rows, settings)
    yield running.states
    while not all(state.finish for state in running.states):
        running.step()
        yield running.states
    note_length(host, running.steps + 1, max(each.max_new_tokens for each in settings))
