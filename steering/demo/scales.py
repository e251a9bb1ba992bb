"""How strongly the planted direction stands out in a model: what its card records beside the direction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.grammar import examples
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.activations import read_states


_PROMPTS = 64


def planted_scales(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, direction: Sequence[float]
) -> dict[str, list[float]]:
    """Per block, at the last prompt token: how far harmful and harmless requests lie apart along u, and the mean norm.

    Args:
        model: The planted model.
        tokenizer: Its own.
        direction: u, (width,).

    Returns:
        `mean_differences`, `references` (where harmless requests lie) and `residual_norms`, raw units of the residual
        stream, one number a block.
    """
    host = Host.wrap(model, tokenizer)
    harmful, harmless = (
        read_states(host, [render(host, item.prompt) for item in examples(kind=kind, split="held_out", n=_PROMPTS)])
        for kind in ("refusal", "howto")
    )
    apart = (harmful.mean(0) - harmless.mean(0)) @ torch.tensor(direction)
    references = harmless.mean(0) @ torch.tensor(direction)
    norms = torch.cat([harmful, harmless]).norm(dim=-1).mean(0)
    return {
        "mean_differences": [round(value, 5) for value in apart.tolist()],
        "references": [round(value, 5) for value in references.tolist()],
        "residual_norms": [round(value, 5) for value in norms.tolist()],
    }
