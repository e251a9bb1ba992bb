"""Rows while they are decoded: what each has got so far, when it ends, and where it parts from the row that it is
compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.token_pieces import decoded, readable
from steering.passes.replies import DecodeSettings, Divergence, Finish, Reply, Written
from steering.passes.reply_parts import parts_of, thought_length
from steering.passes.rows import Row
from steering.passes.sampling import choose


_SHOWN_CANDIDATES = 3


@dataclass(eq=False)
class RowState:
    """One row, from its first token to its end."""

    row: Row
    settings: DecodeSettings
    other: RowState | None = None
    """The row that this one is compared with."""
    ids: list[int] = field(default_factory=list)
    """Tokens of the reply so far, without the one that ended it."""
    next: int = 0
    """The token that is read next."""
    finish: Finish | None = None
    prompt_written: int = 0
    generated_written: int = 0
    divergence: Divergence | None = None
    before_answer: int | None = 0
    """Tokens of the thought; None while it goes on, or may still begin."""


def states_of(rows: Sequence[Row], settings: Sequence[DecodeSettings]) -> list[RowState]:
    """Rows of one job that have got nothing yet; comparisons (`Row.against`) are among them."""
    states = [
        RowState(row, each, before_answer=None if row.prompt.thought_tokens else 0)
        for row, each in zip(rows, settings, strict=True)
    ]
    for state in states:
        state.other = None if state.row.against is None else states[state.row.against]
    return states


def take(host: Host, states: Sequence[RowState], logits: Tensor) -> None:
    """Choose the next token of every row and append it where the row goes on.

    Args:
        host: The model.
        states: Any jobs' rows.
        logits: Of each, float32, (row, vocabulary).
    """
    tokens = choose(logits, [state.settings for state in states], [len(state.ids) for state in states])
    places = {id(state): place for place, state in enumerate(states)}
    # Compare before appending: up to here the two rows have the same reply.
    for state, token, scores in zip(states, tokens, logits, strict=True):
        other = None if state.other is None else places.get(id(state.other))
        if other is None or state.divergence is not None or token == tokens[other]:
            continue
        if state.ids == states[other].ids and state.row.prompt.ids == states[other].row.prompt.ids:
            state.divergence = _divergence(host, state, logits[other], scores, (tokens[other], token))
    for state, token in zip(states, tokens, strict=True):
        state.next = token  # of a row that has ended, too: the batch keeps its shape; nobody reads what it answers
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


def most_left(host: Host, state: RowState) -> int:
    """How many tokens a row may still get."""
    if state.finish:
        return 0
    thought = state.row.prompt.thought_tokens or 0 if state.before_answer is None else state.before_answer
    return min(
        thought + state.settings.max_new_tokens - len(state.ids),
        host.info.context - len(state.row.prompt) - len(state.ids),
    )


def reply_of(host: Host, state: RowState) -> Reply:
    """What a row has got so far."""
    return Reply(
        text=_text(host, state.ids),
        ids=tuple(state.ids),
        finish=state.finish,
        written=Written(state.prompt_written, state.generated_written),
        divergence=state.divergence,
        parts=parts_of(host, state.row.prompt, state.ids),
        thought_tokens=len(state.ids) if state.before_answer is None else state.before_answer,
    )


def _spent(host: Host, state: RowState) -> Finish | None:
    """Why a reply ends here, where its thought or its answer has all its tokens."""
    if state.before_answer is None:
        state.before_answer = thought_length(host, state.row.prompt, state.ids)
    if state.before_answer is None:
        return "thought" if len(state.ids) >= state.row.prompt.thought_tokens else None
    return "length" if len(state.ids) - state.before_answer >= state.settings.max_new_tokens else None


def _divergence(host: Host, state: RowState, theirs: Tensor, ours: Tensor, taken: tuple[int, int]) -> Divergence:
    base, steered = torch.softmax(theirs, dim=-1), torch.softmax(ours, dim=-1)
    likely = torch.maximum(base, steered).topk(min(_SHOWN_CANDIDATES, len(base))).indices.tolist()
    # What both rows took stands first, however unlikely it was.
    best = list(dict.fromkeys((*taken, *likely)))[: max(_SHOWN_CANDIDATES, len(taken))]
    return Divergence(
        context=_text(host, state.ids),
        candidates=tuple((readable(host.tokenizer, i), base[i].item(), steered[i].item()) for i in best),
    )


def _text(host: Host, ids: list[int]) -> str:
    # A character whose bytes are split over tokens shows as U+FFFD until its last token is there.
    return decoded(host.tokenizer, ids, special=False).rstrip("\ufffd").lstrip()
