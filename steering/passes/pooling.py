"""Which tokens of a prompt are read, and how they become one state."""

from __future__ import annotations

from typing import Literal

from steering.bounds import Place, check_value
from steering.errors import SteeringError
from steering.model.prompts import Prompt
from steering.ranges import MOST_NUMBERS, span


NamedPooling = Literal["last_token", "last_content", "mean_content", "mean_reply"]
Pooling = NamedPooling | tuple[Place, ...]
"""A name, or positions of the rendered prompt: from 0 on from its start, below 0 from its end. Several are averaged."""
POOLINGS: dict[NamedPooling, str] = {
    "last_token": "the last prompt token, where the reply begins",
    "last_content": "the last token of the last message",
    "mean_content": "the mean over the tokens of the last message",
    "mean_reply": "the mean over the reply: the set's own, or the model's",
}


def read_positions(prompt: Prompt, pooling: Pooling) -> tuple[int, ...]:
    """Which tokens of a prompt are read; more than one are averaged.

    Raises:
        SteeringError: Unknown pooling, positions outside the prompt, or no reply to read.
    """
    if isinstance(pooling, tuple):
        return _picked(prompt, pooling)
    if pooling not in POOLINGS:
        raise SteeringError(
            f"The pooling '{pooling}' was asked for.",
            f"one of {', '.join(POOLINGS)}, or positions such as -3,-2,-1.",
            "Choose one of these.",
        )
    if pooling == "mean_reply":
        return _reply(prompt)
    content = [role in ("user", "assistant", "system") for role in prompt.roles]
    if pooling == "last_token" or not any(content):
        return (len(prompt) - 1,)
    end = max(i for i, is_content in enumerate(content) if is_content)
    return (end,) if pooling == "last_content" else _run_to(prompt, end)


def parse_pooling(text: str) -> Pooling:
    """A pooling as typed by a person: a name, or positions such as `-1`, `-3,-2` or `4-7`.

    Raises:
        SteeringError: Positions that cannot be read. Unknown names are left to `read_positions`.
    """
    check_value("What is read", "", text)
    text = text.strip()
    if not text or text[0] not in "-0123456789":
        return text  # type: ignore[return-value]
    positions: list[int] = []
    try:
        for part in text.split(","):
            low, dash, high = part.strip().rpartition("-")
            if dash and low:
                positions += span(int(low), int(high), room=MOST_NUMBERS - len(positions))
            else:
                positions.append(int(part))
    except ValueError:
        positions = []
    if not positions:
        raise SteeringError(
            f"The positions '{text[:60]}' were asked for.",
            "whole numbers such as -1, '-3,-2' or '4-7'; below 0 they count from the prompt's end.",
            "Correct them.",
        )
    return tuple(dict.fromkeys(positions))


def pooling_name(pooling: Pooling) -> str:
    """The pooling as `parse_pooling` reads it."""
    return pooling if isinstance(pooling, str) else ",".join(map(str, pooling))


def _picked(prompt: Prompt, positions: tuple[int, ...]) -> tuple[int, ...]:
    length = len(prompt)
    if not positions or not all(-length <= place < length for place in positions):
        raise SteeringError(
            f"The tokens {pooling_name(positions) or 'none'} of a prompt of {length} tokens were to be read.",
            f"positions from {-length} to {length - 1}.",
            "Choose positions that every prompt of the set has.",
        )
    return tuple(sorted({place % length for place in positions}))


def _reply(prompt: Prompt) -> tuple[int, ...]:
    if prompt.roles[-1] != "assistant":
        raise SteeringError(
            "The mean over a reply was asked for, but a prompt has none.",
            "a conversation that ends with an assistant message, or a model that answers.",
            "Give the set replies, or read another token.",
        )
    return _run_to(prompt, len(prompt) - 1)


def _run_to(prompt: Prompt, end: int) -> tuple[int, ...]:
    """The tokens of one message up to its last."""
    start = end
    while start > 0 and prompt.roles[start - 1] == prompt.roles[end]:
        start -= 1
    return tuple(range(start, end + 1))
