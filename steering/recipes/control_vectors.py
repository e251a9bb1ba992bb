"""An intervention as a llama.cpp control vector: what is added at each block."""

from __future__ import annotations

from typing import Any

from steering.recipes.recipe import Intervention
from steering.vectors.gguf import not_additive
from steering.vectors.strength import to_raw
from steering.vectors.vector import SteeringVector


def control_lengths(vector: SteeringVector, intervention: Intervention) -> dict[int, float]:
    """What a control vector adds at each block, raw units; at scale 1 llama.cpp adds what the intervention adds.

    Raises:
        SteeringError: Something that is no addition at the block output of all tokens, or that touches block 0.
    """
    if vector.site != "block_output" or intervention.site not in (None, "block_output"):
        raise not_additive("it is written elsewhere than at the block output")
    if intervention.mode != "add":
        raise not_additive(f"'{intervention.mode}' depends on the state that it is applied to")
    if intervention.scope != "all" or intervention.gate:
        raise not_additive("it is written at some tokens only")
    if intervention.unit == "nats":
        raise not_additive("a strength in nats has to be measured on a model first; give it in another unit")
    blocks: Any = intervention.blocks
    if blocks == "everywhere":
        raise not_additive("it is written elsewhere than at the block output")
    blocks = {"all": range(vector.n_blocks), "default": (vector.default_block,)}.get(blocks, blocks)
    if 0 in blocks:
        raise not_additive("llama.cpp takes no direction for block 0")
    return {block: to_raw(intervention.strength, intervention.unit, vector, block) for block in blocks}
