"""Greedy replies to many prompts, written to or not; and the likelihood of given replies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from steering.demo.example import Example
from steering.demo.scores import Reply
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.passes.decoding import generate, next_token_logits
from steering.passes.forced import Replied, read_forced
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Everywhere, Intervention, Recipe
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


BATCH = 64
LONGEST_REPLY = 90
T = TypeVar("T")


def single_plan(
    host: Host,
    vector: SteeringVector,
    mode: str,
    *,
    blocks: Everywhere | tuple[int, ...] = "default",
    strength: float = 1.0,
) -> Plan:
    """The writes of one vector; strength in mean differences where it is added."""
    step = Intervention(vector=vector.name, mode=mode, blocks=blocks, strength=strength)
    return plan_of(Recipe(interventions=(step,)), host, {vector.name: vector})


def ablation(host: Host, vector: SteeringVector) -> Plan:
    """The vector taken out of every block's input, attention output and MLP output."""
    return single_plan(host, vector, "ablate", blocks="everywhere")


def replies_under(
    host: Host, examples: Sequence[Example], plans: Sequence[Plan] = ((),), *, longest: int = LONGEST_REPLY
) -> list[list[Reply]]:
    """The reply to every prompt under every plan, as rows of the same batches; one list a plan.

    Raises:
        SteeringError: As `steering.passes.decoding.generate`.
    """
    prompts = [render(host, example.prompt) for example in examples]
    rows = [Row(prompt, plan) for plan in plans for prompt in prompts]
    # By length for little padding, but a plan at a time: every plan in a batch is one more write at its places.
    order = sorted(range(len(rows)), key=lambda index: (index // len(prompts), len(rows[index].prompt)))
    settings = DecodeSettings(max_new_tokens=longest)
    said = generate(host, [rows[index] for index in order], settings, batch_size=BATCH)
    found = dict(zip(order, said, strict=True))
    replies = [Reply(found[index].text, found[index].finish == "end") for index in range(len(rows))]
    return list(_chunks(replies, len(prompts)))


def replies_to(host: Host, examples: Sequence[Example], plan: Plan = ()) -> list[Reply]:
    """As `replies_under` with one plan."""
    return replies_under(host, examples, [plan])[0]


def first_token_chances(host: Host, examples: Sequence[Example], plan: Plan = ()) -> Tensor:
    """Log-probabilities of the first reply token, float64, (example, vocabulary)."""
    rows = [Row(render(host, example.prompt), plan) for example in examples]
    logits = torch.cat([next_token_logits(host, batch) for batch in _chunks(rows, BATCH)])
    return torch.log_softmax(logits.double(), dim=-1)


def divergence(of: Tensor, from_: Tensor) -> float:
    """Mean KL(of || from_) of log-probabilities, in nats, both (row, vocabulary)."""
    return float((of.exp() * (of - from_)).sum(dim=-1).mean())


def reply_ids(host: Host, messages: Sequence[Message], reply: Reply) -> tuple[Prompt, tuple[int, ...]]:
    """The prompt, and the tokens that the reply's text takes after it, with the end token where the reply ended."""
    prompt = render(host, messages)
    whole = render(host, (*messages, Message("assistant", reply.text))) if reply.text else prompt
    end = (host.tokenizer.eos_token_id,) if reply.ended else ()
    return prompt, (*whole.ids[len(prompt) :], *end)


def losses(host: Host, replied: Sequence[Replied], plan: Plan = ()) -> Tensor:
    """Negative log-likelihood of given replies, read under a plan.

    Args:
        host: The model.
        replied: Prompts with the token ids of one reply each, none empty.
        plan: What is written.

    Returns:
        Sum over the reply's tokens in nats, float64, (reply,).
    """
    order = sorted(range(len(replied)), key=lambda index: len(replied[index][1]))
    found = torch.zeros(len(replied), dtype=torch.float64)

    def read(part: Sequence[Replied]) -> Tensor:
        forced = read_forced(host, [plan], part)
        return (forced.losses[0] * forced.used[:, :-1]).sum(dim=1)

    for chosen in _chunks(order, BATCH):
        part = [replied[index] for index in chosen]
        found[chosen] = host.run(lambda job, part=part: read(part), title="Reading given replies")  # type: ignore[misc]
    return found


def _chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
