"""Where in a decoder the residual stream can be read and written, found for any architecture.

A block is one decoder layer, counted from 0. Its four sites are, in the order in which a forward pass meets them:

| site | value |
|---|---|
| `block_input` | the residual stream entering the block |
| `attention_output` | what attention adds to the stream, after the post-norm if there is one (Gemma 2, 3, OLMo 2) |
| `mlp_output` | what the MLP adds to the stream, likewise |
| `block_output` | the residual stream leaving the block, before any final norm |

so that `block_output = block_input + attention_output + mlp_output` in sequential and parallel blocks alike. Hugging
Face `hidden_states[l + 1]` equals `block_output[l]` except for the last block, which it normalises; the workbench never
reads the output tuple.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from steering.errors import SteeringError


Site = Literal["block_input", "attention_output", "mlp_output", "block_output"]
SITES: tuple[Site, ...] = get_args(Site)

_ATTENTION_NAMES = ("self_attn", "attn", "attention", "self_attention")
_MLP_NAMES = ("mlp", "feed_forward", "block_sparse_moe", "ffn")
# Gemma 2/3 and OLMo 2 norm a sub-layer's output before adding it. `post_attention_layernorm` alone proves nothing: in
# Llama that name belongs to the norm in front of the MLP, so the second name must be there as well.
_POST_NORMS: Mapping[Site, str] = {
    "attention_output": "post_attention_layernorm",
    "mlp_output": "post_feedforward_layernorm",
}


@dataclass(frozen=True)
class Sites:
    """The blocks of one model and where their sites are."""

    blocks_path: str
    """Dotted path of the list of blocks, such as `model.layers`."""
    n_blocks: int
    paths: Mapping[Site, str]
    """Path inside a block of the module whose input (`block_input`) or output (the others) is the site; "" is the
    block.
    """

    @property
    def available(self) -> tuple[Site, ...]:
        """The sites this architecture has, in forward order."""
        return tuple(site for site in SITES if site in self.paths)

    def check(self, site: str) -> Site:
        """Return `site` typed.

        Raises:
            SteeringError: No such site in this architecture.
        """
        if site not in self.paths:
            raise SteeringError(
                f"The site '{site}' was asked for.",
                f"one of {', '.join(self.available)}.",
                "Choose one of these sites.",
            )
        return site  # type: ignore[return-value]

    def check_block(self, block: int) -> int:
        """Return `block`, with negative numbers refused rather than counted from the end.

        Raises:
            SteeringError: The model has no such block.
        """
        if not 0 <= block < self.n_blocks:
            raise SteeringError(
                f"Block {block} was asked for.",
                f"a block from 0 to {self.n_blocks - 1}.",
                "Blocks are counted from 0; choose one of them.",
            )
        return block


def find_sites(model: nn.Module, n_blocks: int, blocks_path: str | None = None) -> Sites:
    """Find the blocks and sites of a causal language model.

    Args:
        model: The Hugging Face model.
        n_blocks: Number of decoder layers according to its configuration.
        blocks_path: Dotted path of the list of blocks, for an architecture that the search gets wrong.

    Raises:
        SteeringError: No list of `n_blocks` modules was found, or `blocks_path` names none.
    """
    path = blocks_path or _find_blocks(model, n_blocks)
    blocks = _named_blocks(model, path)
    block = blocks[0]
    paths: dict[Site, str] = {"block_input": "", "block_output": ""}
    attention = _first_child(block, _ATTENTION_NAMES)
    if attention:
        paths["attention_output"] = attention
    # OPT keeps its two MLP matrices in the block itself.
    mlp = _first_child(block, _MLP_NAMES) or _first_child(block, ("fc2",))
    if mlp:
        paths["mlp_output"] = mlp
    if all(hasattr(block, name) for name in _POST_NORMS.values()):
        paths.update(_POST_NORMS)
    return Sites(blocks_path=path, n_blocks=len(blocks), paths=paths)


def _find_blocks(model: nn.Module, n_blocks: int) -> str:
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)]
    matching = [name for name, module in found if len(module) == n_blocks]
    if not matching:
        lists = ", ".join(f"{name} ({len(module)})" for name, module in found[:8]) or "none"
        raise SteeringError(
            f"No list of {n_blocks} decoder blocks was found in {type(model).__name__}. "
            f"Lists of modules in it: {lists}.",
            "the path of the list that holds the decoder layers.",
            "Name it: LoadOptions(blocks='path.to.layers'), or --block-list path.to.layers on the command line.",
        )
    # The decoder's own list is the shallowest; lists of experts or of a vision tower's layers lie deeper.
    return min(matching, key=lambda name: (name.count("."), len(name)))


def _named_blocks(model: nn.Module, path: str) -> nn.ModuleList:
    try:
        blocks = model.get_submodule(path)
    except AttributeError:
        blocks = None
    if not isinstance(blocks, nn.ModuleList) or len(blocks) == 0:
        lists = ", ".join(name for name, module in model.named_modules() if isinstance(module, nn.ModuleList)) or "none"
        raise SteeringError(
            f"'{path}' is not a list of blocks in {type(model).__name__}.",
            f"the path of a list of modules; this model has: {lists}.",
            "Correct the path given as `blocks`.",
        )
    return blocks


def _first_child(block: nn.Module, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if isinstance(getattr(block, name, None), nn.Module)), None)
