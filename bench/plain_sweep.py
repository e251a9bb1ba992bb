"""A sweep of strengths as it is usually written: one strength after the other, batched passes with a PyTorch hook.

What `steering.passes.many_plans` must equal, and is timed against.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


BATCH = 32


def plain_chances(
    model: nn.Module,
    block: nn.Module,
    direction: Tensor,
    strengths: Sequence[float],
    prompts: Sequence[Sequence[int]],
    letters: Sequence[Sequence[int]],
) -> Tensor:
    """Probability that a reply begins with each letter.

    Args:
        model: A Hugging Face causal language model.
        block: The decoder block whose output is written.
        direction: What is added, (width,).
        strengths: One after the other.
        prompts: Token ids.
        letters: The token ids that begin each letter.

    Returns:
        float64, (strength, prompt, letter).
    """
    found = []
    for strength in strengths:
        handle = block.register_forward_hook(lambda _, __, output, c=strength: _added(output, c * direction))
        try:
            parts = [
                _chances(model, prompts[start : start + BATCH], letters) for start in range(0, len(prompts), BATCH)
            ]
        finally:
            handle.remove()
        found.append(torch.cat(parts))
    return torch.stack(found)


def plain_losses(
    model: nn.Module, block: nn.Module, offset: Tensor, prompt: Sequence[int], reply: Sequence[int]
) -> Tensor:
    """-log-probability of every token of a reply, with something added to a block's output, (token,)."""
    handle = block.register_forward_hook(lambda _, __, output: _added(output, offset))
    try:
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *reply]])).logits[0]
    finally:
        handle.remove()
    chances = torch.log_softmax(logits.double(), dim=-1)[len(prompt) - 1 : -1]
    return -chances.gather(1, torch.tensor(reply)[:, None])[:, 0]


def _added(output: Any, offset: Tensor) -> Any:
    return (output[0] + offset, *output[1:]) if isinstance(output, tuple) else output + offset


def _chances(model: nn.Module, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]) -> Tensor:
    longest = max(map(len, prompts))
    ids = torch.tensor([[*[0] * (longest - len(prompt)), *prompt] for prompt in prompts])
    mask = torch.tensor([[*[0] * (longest - len(prompt)), *[1] * len(prompt)] for prompt in prompts])
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask, position_ids=places).logits[:, -1]
    chances = torch.softmax(logits.double(), dim=-1)
    return torch.stack([chances[:, list(tokens)].sum(dim=-1) for tokens in letters], dim=1)
