"""Models to try a panel on: tiny ones with random weights, made on the spot, and vectors that fit them."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from steering.extraction.provenance import made_here
from steering.lane import Lane
from steering.model.host import Host
from steering.resources import resource
from steering.vectors.vector import Provenance, SteeringVector


Architecture = Literal["llama", "gpt2", "gpt_neox"]
_SHAPES: dict[str, dict[str, Any]] = {
    "llama": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    },
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256},
    "gpt_neox": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
    },
}


def tiny_host(architecture: Architecture = "llama", *, template: bool = True, lane: Lane | None = None) -> Host:
    """A model of three blocks and width 32 with random weights, under the demo model's tokenizer.

    Args:
        architecture: Whose layout it has.
        template: Whether the tokenizer has its chat template.
        lane: The model thread; a new one where None.
    """
    lane = lane or Lane()
    tokenizer = deepcopy(AutoTokenizer.from_pretrained(resource("assets", "models", "demo")))
    if not template:
        tokenizer.chat_template = None

    def build() -> Any:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            shape = {**_SHAPES[architecture], "vocab_size": len(tokenizer), "bos_token_id": 1, "eos_token_id": 2}
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **shape)).eval()
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.ndim > 1:
                        parameter.normal_(0, 0.25)  # wide enough that the likeliest token is never a near-tie
        return model

    model = lane.run(lambda job: build(), title="Making a tiny model")
    name = f"tiny-{architecture}{'' if template else '-without-template'}"
    return Host.wrap(model, tokenizer, name=name, lane=lane)


def random_vector(host: Host, name: str = "random") -> SteeringVector:
    """A vector of random directions that fits a model, as if it had been extracted there."""
    blocks, width = host.info.blocks, host.info.width
    rows = torch.randn(blocks, width, generator=torch.Generator().manual_seed(0))
    return SteeringVector(
        name=name,
        directions=rows / rows.norm(dim=-1, keepdim=True),
        mean_differences=torch.ones(blocks),
        residual_norms=torch.full((blocks,), 4.0),
        auroc=torch.full((blocks,), 0.75),
        auroc_low=torch.full((blocks,), 0.6),
        auroc_high=torch.full((blocks,), 0.9),
        references=torch.zeros(blocks),
        site="block_output",
        default_block=blocks // 2,
        default_block_reason="the middle",
        suggested_strength=1.0,
        provenance=Provenance(
            method="random",
            pooling="last_token",
            contrast="none",
            contrast_digest="",
            positive_label="positive",
            negative_label="negative",
            n_train=(4, 4),
            n_validation=(4, 4),
            seed=0,
            **{**made_here(host), "created": datetime.now(UTC).isoformat(timespec="seconds")},
        ),
    )
