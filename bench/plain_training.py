"""The training of a steering vector as it is usually written: a PyTorch hook that adds it, autograd, whole texts.

What `steering.training` must equal, and is timed against. The reference log-probabilities are read once before the
first step, which many such loops read anew at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from steering.training.order import share_of_rate, shuffled


Text = tuple[Sequence[int], Sequence[int]]
"""A prompt's tokens and a reply's."""


def plain_dpo(
    model: nn.Module,
    block: nn.Module,
    pairs: Sequence[tuple[Text, Text]],
    start: Tensor,
    *,
    unit: float,
    steps: int,
    batch: int,
    rate: float,
    beta: float = 0.1,
    seed: int = 0,
) -> Tensor:
    """A direction trained by DPO; its length is free.

    Args:
        model: A Hugging Face causal language model.
        block: The decoder block to whose output it is added.
        pairs: Chosen and rejected texts.
        start: Where it begins, raw units, (width,).
        unit: What a coordinate of size 1 of the optimiser stands for.
        steps: Of AdamW.
        batch: Pairs a step.
        rate: Peak learning rate.
        beta: Of DPO.
        seed: Of the order.

    Returns:
        (width,).
    """
    vector = (start / unit).clone().requires_grad_()
    optimiser = torch.optim.AdamW([vector], lr=rate, weight_decay=0.0)
    with torch.no_grad():
        known = [[_sums(model, block, None, [text])[0] for text in pair] for pair in pairs]
    batches = shuffled(len(pairs), batch, seed)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * share_of_rate(step, steps)
        chosen = next(batches).tolist()
        sums = _sums(model, block, vector * unit, [pairs[index][side] for side in (0, 1) for index in chosen])
        before = torch.stack([known[index][side] for side in (0, 1) for index in chosen])
        won, lost = (sums - before).chunk(2)
        # For the vector alone: `backward` would work out a gradient for every weight.
        (vector.grad,) = torch.autograd.grad(-logsigmoid(beta * (won - lost)).mean(), vector)
        optimiser.step()
    return vector.detach() * unit


def _sums(model: nn.Module, block: nn.Module, vector: Tensor | None, texts: Sequence[Text]) -> Tensor:
    """log π(reply | prompt) of each text, with the vector added at every token."""
    rows = [[*prompt, *reply] for prompt, reply in texts]
    longest = max(map(len, rows))
    ids = torch.tensor([[*[0] * (longest - len(row)), *row] for row in rows])
    mask = torch.tensor([[*[0] * (longest - len(row)), *[1] * len(row)] for row in rows])
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    hooks = [] if vector is None else [block.register_forward_hook(lambda _, __, output: _added(output, vector))]
    try:
        logits = model(input_ids=ids, attention_mask=mask, position_ids=places).logits
    finally:
        for hook in hooks:
            hook.remove()
    chances = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    taken = chances.gather(-1, ids[:, 1:, None])[..., 0]
    replies = torch.arange(longest - 1) >= longest - 1 - torch.tensor([len(reply) for _, reply in texts])[:, None]
    return (taken * replies).sum(dim=1)


def _added(output: Any, vector: Tensor) -> Any:
    return (output[0] + vector, *output[1:]) if isinstance(output, tuple) else output + vector
