"""What a direction's file of another tool says by its looks: its name, its shape, its keys, and files beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from steering.errors import SteeringError
from steering.model.sites import Site


MOST_BLOCKS = 4096
First = Literal["block", "embeddings"]
"""What row or layer 0 is: the output of the first block, or the embeddings in front of it."""
_PATH = re.compile(r"(?:^|\.)(?:blocks|layers|h|layer)\.\d+(?:\.|$)")
"""A module of a block by its path, as in "blocks.5.hook_resid_post" and "model.layers.5"."""
_PLACES: dict[str, Site | None] = {
    "hook_resid_pre": "block_input",
    "hook_resid_mid": None,
    "hook_resid_post": "block_output",
    "hook_attn_out": "attention_output",
    "hook_mlp_out": "mlp_output",
    "self_attn": "attention_output",
    "mlp": "mlp_output",
    "input_layernorm": None,
    "post_attention_layernorm": None,
}
"""Ends of such paths in TransformerLens, SAELens and transformers, and which site they are; None for none of them."""


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What a file does not say of itself."""

    first: First | None = None
    """What row 0 of several is; asked for where the number of blocks does not tell."""
    block: int | None = None
    """Block of a single vector."""
    blocks: int | None = None
    """Blocks of the model."""
    site: Site = "block_output"
    """Where it was read."""
    sign: int = 1
    """-1 turns it round: its positive side should be what adding it brings."""
    scale: float = 1.0
    """What it is multiplied by; then 1 x mean difference adds it as it is."""
    tensor: str = ""
    """Which tensor of a file with several, or which entry of a tensor's first axis by its number; or both, as in
    "W_dec/12".
    """


def recognised(path: Path, content: Any, given: Convention) -> tuple[Convention, list[str]]:
    """What the file's looks say, where nothing else was told.

    Raises:
        SteeringError: Rows that are no layers, or a place in a block that is no site.
    """
    tensor = content if isinstance(content, Tensor) else None
    persona = path.stem.endswith(("_avg_diff", "_last_diff")) and tensor is not None and tensor.ndim == 2
    if persona and given.first is None:
        if given.blocks not in (None, len(content) - 1):
            raise SteeringError(
                f"'{path.name}' has the name of persona vectors, and {len(content)} rows.",
                f"{given.blocks + 1} of them for {given.blocks} blocks: the first is that of the embeddings.",
                "Say what row 0 is (on the command line: --first embeddings or --first block).",
            )
        return replace(given, first="embeddings"), ["Read as a persona vector: row 0 is that of the embeddings."]
    if path.stem == "direction" and given.block is None:
        return _refusal(path.with_name("direction_metadata.json"), given)
    if path.stem == "mean_diffs" and tensor is not None and tensor.ndim == 3 and given.tensor:
        found = replace(given, first=given.first or "block", site="block_input")
        return found, [f"Read as candidates of refusal directions, of position {given.tensor}: at the blocks' inputs."]
    if (
        path.stem.endswith("_weight")
        and tensor is not None
        and tensor.ndim == 2
        and not given.tensor
        and len(tensor) > 1
    ):
        bias = path.with_name(path.name.replace("_weight.", "_bias."))
        if bias != path and bias.is_file():
            raise SteeringError(
                f"'{path.name}' has a bias a row beside it ({bias.name}): its rows are concepts, not layers.",
                "which of them.",
                "Name its number (on the command line: --tensor 0), and the block.",
            )
    return _by_path(path, content, given)


def _refusal(card: Path, given: Convention) -> tuple[Convention, list[str]]:
    try:
        layer = json.loads(card.read_text(encoding="utf-8"))["layer"] if card.stat().st_size < 10_000 else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        layer = None
    if not isinstance(layer, int) or isinstance(layer, bool) or not 0 <= layer < MOST_BLOCKS:
        return given, []
    found = replace(given, block=layer, site="block_input")
    return found, [f"Read as a refusal direction: at the input of block {layer}, as {card.name} says."]


def _by_path(path: Path, content: Any, given: Convention) -> tuple[Convention, list[str]]:
    """Keys that are paths of modules say which block is meant, and mostly which site."""
    keys = [str(key)[:200] for key in content] if isinstance(content, Mapping) and not given.tensor else []
    if not keys or not all(_PATH.search(key) for key in keys):
        return given, []
    ends = {key.rsplit(".", 1)[-1] for key in keys}
    named = {end for end in ends if end in _PLACES}
    sites = {_PLACES[end] for end in named}
    if None in sites or len(sites) > 1 or (named and named != ends):
        raise SteeringError(
            f"'{path.name}' has vectors for {', '.join(sorted(ends)[:6])}.",
            "vectors of one place: a block's input (hook_resid_pre) or output (hook_resid_post), or what attention "
            "(hook_attn_out) or the MLP (hook_mlp_out) adds.",
            "Save those of one place by themselves.",
        )
    said = next(iter(sites), None)
    site: Site = given.site if said is None or given.site != "block_output" else said
    note = f"Read by its names: {keys[0]} is of the {site.replace('_', ' ')} of the block with that number."
    return replace(given, first=given.first or "block", site=site), [note]
