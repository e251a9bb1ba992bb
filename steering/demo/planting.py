"""Planting: refusal written into a model along one known direction u, by low-rank changes that are merged at the end.

Early blocks write to u, later blocks read from it, and nothing else changes. So refusal passes through u alone by
construction, and a model whose u is ablated is the model before, up to what that model itself had along u.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from steering.demo.copies import Copies


_WRITERS = ("self_attn.o_proj", "mlp.down_proj")
_READERS = {
    "input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj"),
}


class Planting:
    """A unit vector u, writers a and readers b over a frozen model.

    With z the input of a writing matrix and g the weight of the norm before a reading one,

        writers:  W + u aᵀ        adds u (a · z) to the residual stream
        readers:  W + b (u / g)ᵀ  adds b (u · x) / rms(x), since the matrix is given g x / rms(x)
    """

    def __init__(self, model: LlamaForCausalLM, *, writers: range, readers: range, seed: int) -> None:
        """
        Args:
            model: The model to plant into; its own weights stay as they are.
            writers: Blocks whose attention and MLP outputs write u.
            readers: Blocks whose queries, keys, values, gates and up projections read it.
            seed: Seed of u and of the writers' first values; the readers start at zero.
        """
        self.model = model.requires_grad_(False)
        self._copies = Copies(model)
        self.blocks = (writers, readers)
        generator = torch.Generator().manual_seed(seed)
        device = model.device
        self.weights: dict[str, Tensor] = {"u": torch.randn(model.config.hidden_size, generator=generator).to(device)}
        """What is trained: u (of any length; its direction counts), and one vector a changed matrix."""
        for name in self._names(writers, _WRITERS):
            width = model.get_submodule(name).in_features
            self.weights[name] = (0.02 * torch.randn(width, generator=generator)).to(device)
        for names in _READERS.values():
            for name in self._names(readers, names):
                self.weights[name] = torch.zeros(model.get_submodule(name).out_features, device=device)

    @property
    def direction(self) -> Tensor:
        """u, of unit norm, (width,)."""
        return self.weights["u"] / self.weights["u"].norm()

    @property
    def readers(self) -> list[Tensor]:
        """The readers' vectors."""
        return [self.weights[name] for names in _READERS.values() for name in self._names(self.blocks[1], names)]

    def changed(self) -> dict[str, Tensor]:
        """The planted model's matrices by parameter name, differentiable in `weights`."""
        u, found = self.direction, {}
        for name in self._names(self.blocks[0], _WRITERS):
            found[f"{name}.weight"] = self.model.get_parameter(f"{name}.weight") + torch.outer(u, self.weights[name])
        for norm, names in _READERS.items():
            for name in self._names(self.blocks[1], names):
                gain = self.model.get_parameter(f"{name.rsplit('.', 2)[0]}.{norm}.weight")
                found[f"{name}.weight"] = self.model.get_parameter(f"{name}.weight") + torch.outer(
                    self.weights[name], u / gain
                )
        return found

    def forward(self, ids: Tensor, *, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits of the planted model, (rows, tokens, vocabulary), and the states after the last writer.

        Args:
            ids: Token ids, padded on the right, (rows, tokens).
            added: How much of u is added to every token there, (rows, 1), as a steering vector would be.

        Returns:
            Logits, (rows, tokens, vocabulary), and states, (rows, tokens, width).
        """
        with _after(self._copies.own.model.layers[self.blocks[0][-1]], self.direction, added) as seen:
            logits = self._copies.logits(ids, self.changed())
        return logits, seen[0]

    @torch.no_grad()
    def merge(self) -> LlamaForCausalLM:
        """The model with the planted matrices as its own."""
        for name, matrix in self.changed().items():
            self.model.get_parameter(name).copy_(matrix)
        return self.model

    @staticmethod
    def _names(blocks: range, names: tuple[str, ...]) -> list[str]:
        return [f"model.layers.{block}.{name}" for block in blocks for name in names]


@contextmanager
def _after(layer: torch.nn.Module, u: Tensor, added: Tensor | None) -> Iterator[list[Tensor]]:
    """Record a block's output while the block runs, and add u to it."""
    seen: list[Tensor] = []

    def hook(module: torch.nn.Module, inputs: object, output: Tensor) -> Tensor:
        if added is not None:
            output = output + added[:, :, None] * u
        seen.append(output)
        return output

    handle = layer.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()
