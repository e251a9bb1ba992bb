"""A low-rank adapter on the matrices of a frozen model, merged at the end."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from steering.demo.copies import Copies


class Adapter:
    """Trains W + B A in place of every matrix W that it covers (LoRA, Hu et al. 2021, arXiv 2106.09685)."""

    def __init__(
        self, model: LlamaForCausalLM, *, rank: int, matrices: tuple[str, ...], blocks: range, seed: int
    ) -> None:
        """
        Args:
            model: The model to adapt; its own weights stay as they are.
            rank: Rank of each change.
            matrices: Which matrices of a block, such as `mlp.down_proj`.
            blocks: Which blocks.
            seed: Seed of A; B starts at zero.
        """
        self.model = model.requires_grad_(False)
        self._copies = Copies(model)
        self.names = [f"model.layers.{block}.{name}.weight" for block in blocks for name in matrices]
        generator = torch.Generator().manual_seed(seed)
        self.weights: dict[str, Tensor] = {}
        """What is trained, by the matrix's name: `a`, (rank, in), and `b`, (out, rank)."""
        for name in self.names:
            matrix = model.get_parameter(name)
            first = torch.randn(rank, matrix.shape[1], generator=generator) / matrix.shape[1] ** 0.5
            self.weights[f"{name}.a"] = first.to(matrix.device)
            self.weights[f"{name}.b"] = torch.zeros(matrix.shape[0], rank, device=matrix.device)

    def changed(self) -> dict[str, Tensor]:
        """The adapted matrices by parameter name, differentiable in `weights`."""
        return {
            name: self.model.get_parameter(name) + self.weights[f"{name}.b"] @ self.weights[f"{name}.a"]
            for name in self.names
        }

    def size(self) -> Tensor:
        """Squared change of all matrices over their own squares, a scalar."""
        change = torch.stack(
            [(self.weights[f"{name}.b"] @ self.weights[f"{name}.a"]).square().sum() for name in self.names]
        )
        own = torch.stack([self.model.get_parameter(name).square().sum() for name in self.names])
        return change.sum() / own.sum()

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of the adapted model, (rows, tokens, vocabulary)."""
        return self._copies.logits(ids, self.changed())

    @torch.no_grad()
    def merge(self) -> LlamaForCausalLM:
        """The model with the adapted matrices as its own."""
        for name, matrix in self.changed().items():
            self.model.get_parameter(name).copy_(matrix)
        return self.model
