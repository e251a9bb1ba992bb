"""Text from rows: next-token logits, whole replies, and replies streamed token by token."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor

from steering.lane import Job
from steering.model.host import Host
from steering.model.pace import ENOUGH, note_length, note_reading, note_step, seconds_per_step
from steering.model.prompts import render
from steering.model.token_pieces import decoded, readable
from steering.passes.replies import DecodeSettings, Divergence, Finish, Replies, Reply, Step, Written
from steering.passes.reply_parts import parts_of, thought_length
from steering.passes.rows import Batch, Row
from steering.passes.sampling import choose
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts, read_token


_SHOWN_CANDIDATES = 3
_READ = 96
"""Rows that a warm-up reads."""
_QUICK = 0.2
"""Seconds a step under which a warm-up also times a batch."""


@dataclass
class _RowState:
    row: Row
    settings: DecodeSettings
    ids: list[int] = field(default_factory=list)
    finish: Finish | None = None
    prompt_written: int = 0
    generated_written: int = 0
    divergence: Divergence | None = None
    before_answer: int | None = 0
    """Tokens of the thought; None while it goes on, or may still begin."""


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
            replies += [_reply(host, state) for state in states]
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
                yield index, _reply(host, state)
        job.check()


def stream(
    host: Host, rows: Sequence[Row], settings: DecodeSettings | None = None, *, title: str = "Generating"
) -> Job[Replies]:
    """Queue one batch and return its job at once; the job emits a `Step` per token and results in the replies.

    Raises:
        SteeringError: As `next_token_logits`, here and not in the job.
    """
    check(host, rows)
    return host.submit(lambda job: streamed(job, host, rows, settings or DecodeSettings()), title=title)


def check(host: Host, rows: Sequence[Row]) -> None:
    """Raise what `next_token_logits` would raise, before any work is done."""
    Schedule(host, [row.plan for row in rows])
    Batch.of(host, [row.prompt for row in rows])


def streamed(job: Job[Any], host: Host, rows: Sequence[Row], settings: DecodeSettings) -> Replies:
    """Decode one batch as a part of a job, which emits a `Step` per token. Call on the model thread."""
    replies = Replies((), rows)
    for index, states in enumerate(_steps(host, rows, [settings] * len(rows))):
        replies = Replies((_reply(host, state) for state in states), rows)
        job.emit(Step(index, replies))
        job.report(index + 1, settings.max_new_tokens, "tokens")
    return replies


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


def _steps(host: Host, rows: Sequence[Row], settings: Sequence[DecodeSettings]) -> Iterator[list[_RowState]]:
    """The rows' states after each token, the same objects every time, until all rows have ended."""
    schedule = Schedule(host, [row.plan for row in rows])
    batch = Batch.of(host, [row.prompt for row in rows])
    states = [
        _RowState(row, each, before_answer=None if row.prompt.thought_tokens else 0)
        for row, each in zip(rows, settings, strict=True)
    ]
    forward = read_prompts(host, batch, schedule)
    for state, written in zip(states, forward.written, strict=True):
        state.prompt_written = written
    seen = batch.real
    for step in count():
        tokens = _choose(host, states, forward.logits)
        yield states
        if all(state.finish for state in states):
            note_length(host, step + 1, max(each.max_new_tokens for each in settings))
            return
        seen = torch.cat([seen, torch.ones(len(rows), 1, dtype=torch.bool)], dim=1)
        began = time.perf_counter()
        forward = read_token(host, tokens, seen, forward.cache, schedule)
        if step:  # the first one may still be setting something up
            note_step(host, len(rows), time.perf_counter() - began)
        for state, written in zip(states, forward.written, strict=True):
            state.generated_written += 0 if state.finish else written


def _choose(host: Host, states: list[_RowState], logits: Tensor) -> Tensor:
    """Append a token to every unfinished row and return the token each row feeds into the next step, (rows,)."""
    tokens = choose(logits, [state.settings for state in states], [len(state.ids) for state in states])
    # Compare before appending: up to here the two rows have the same reply.
    for state, token, scores in zip(states, tokens, logits, strict=True):
        other = state.row.against
        if other is None or state.divergence is not None or token == tokens[other]:
            continue
        if state.ids == states[other].ids and state.row.prompt.ids == states[other].row.prompt.ids:
            state.divergence = _divergence(host, state, logits[other], scores, (tokens[other], token))
    for state, token in zip(states, tokens, strict=True):
        if state.finish:
            continue
        if token in host.end_ids:
            state.finish = "end"
            continue
        state.ids.append(token)
        if len(state.row.prompt) + len(state.ids) >= host.info.context:
            state.finish = "context"
        else:
            state.finish = _spent(host, state)
    # A finished row goes on being fed something, so that the batch keeps its shape; nobody reads what it answers.
    return torch.tensor(tokens)


def _spent(host: Host, state: _RowState) -> Finish | None:
    """Why a reply ends here, where its thought or its answer has all its tokens."""
    if state.before_answer is None:
        state.before_answer = thought_length(host, state.row.prompt, state.ids)
    if state.before_answer is None:
        return "thought" if len(state.ids) >= state.row.prompt.thought_tokens else None
    return "length" if len(state.ids) - state.before_answer >= state.settings.max_new_tokens else None


def _divergence(host: Host, state: _RowState, theirs: Tensor, ours: Tensor, taken: tuple[int, int]) -> Divergence:
    base, steered = torch.softmax(theirs, dim=-1), torch.softmax(ours, dim=-1)
    likely = torch.maximum(base, steered).topk(min(_SHOWN_CANDIDATES, len(base))).indices.tolist()
    # What both rows took stands first, however unlikely it was.
    best = list(dict.fromkeys((*taken, *likely)))[: max(_SHOWN_CANDIDATES, len(taken))]
    return Divergence(
        context=_text(host, state.ids),
        candidates=tuple((readable(host.tokenizer, i), base[i].item(), steered[i].item()) for i in best),
    )


def _reply(host: Host, state: _RowState) -> Reply:
    return Reply(
        text=_text(host, state.ids),
        ids=tuple(state.ids),
        finish=state.finish,
        written=Written(state.prompt_written, state.generated_written),
        divergence=state.divergence,
        parts=parts_of(host, state.row.prompt, state.ids),
        thought_tokens=len(state.ids) if state.before_answer is None else state.before_answer,
    )


def _text(host: Host, ids: list[int]) -> str:
    # A character whose bytes are split over tokens shows as U+FFFD until its last token is there.
    return decoded(host.tokenizer, ids, special=False).rstrip("\ufffd").lstrip()
