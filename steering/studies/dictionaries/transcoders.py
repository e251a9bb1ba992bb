"""Transcoders: what an MLP adds, given sparsely from what enters it (Dunefsky et al. 2024, arXiv 2406.11944).

sae-lens trains autoencoders only, so the loop is put together from its parts. BatchTopK keeps the largest activations
of a batch, and the smallest that is kept becomes the threshold of the JumpReLU transcoder that is saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steering.studies.dictionaries.batch_topk import BatchTopK
from steering.studies.dictionaries.course import Course, scale_of, variance_of


class Transcoder:
    """A transcoder on its way."""

    def __init__(self, inputs: Tensor, targets: Tensor, course: Course, metadata: Any, device: torch.device) -> None:
        """Random unit directions on both sides; both biases start at the mean states.

        Args:
            inputs: States entering the MLP, (tokens, width), on the CPU.
            targets: What the MLP adds, (tokens, width).
            course: How to train.
            metadata: A `sae_lens` SAEMetadata to be saved with the weights.
            device: Where to train.
        """
        self._inputs, self._targets, self._device = inputs, targets, device
        self._scales = scale_of(inputs), scale_of(targets)
        self._variance = variance_of(targets) * self._scales[1] ** 2
        with torch.random.fork_rng():
            torch.manual_seed(course.seed)
            self._made = _fresh(inputs, targets, course, metadata, str(device))
        made = self._made
        self._topk = BatchTopK([made.W_enc, made.b_enc, made.W_dec, made.b_dec], course)

    def step(self, rows: Tensor) -> float:
        """See `Learner`."""
        made, topk = self._made, self._topk
        inputs = self._inputs[rows].to(self._device) * self._scales[0]
        targets = self._targets[rows].to(self._device) * self._scales[1]
        values = inputs @ made.W_enc + made.b_enc
        kept = topk.kept(values)
        error = targets - (kept @ made.W_dec + made.b_dec)
        loss = error.pow(2).sum(dim=-1).mean()
        topk.count(kept)
        topk.learn(loss + topk.revival(values, made.W_dec, error), kept)
        with torch.no_grad():  # else a feature could shrink its activations and make up for it in its direction
            made.W_dec.div_(made.W_dec.norm(dim=1, keepdim=True))
        return float(loss.detach()) / self._variance

    def state(self) -> dict[str, Any]:
        """See `Learner`."""
        return self._topk.state()

    def resume(self, state: dict[str, Any]) -> None:
        """See `Learner`."""
        self._topk.resume(state)

    @torch.no_grad()
    def save(self, folder: Path) -> None:
        """See `Learner`. The scales go into the weights: what is saved takes and gives the model's own states."""
        made, (scale_in, scale_out) = self._made, self._scales
        made.W_enc.mul_(scale_in / scale_out)
        made.b_enc.div_(scale_out)
        made.b_dec.div_(scale_out)
        made.threshold.fill_(self._topk.threshold / scale_out)
        made.eval().to("cpu").save_model(folder)


def _fresh(inputs: Tensor, targets: Tensor, course: Course, metadata: Any, device: str) -> Any:
    from sae_lens import JumpReLUTranscoder, JumpReLUTranscoderConfig

    sizes = {"d_in": inputs.shape[1], "d_sae": course.features, "d_out": targets.shape[1]}
    made = JumpReLUTranscoder(
        JumpReLUTranscoderConfig(**sizes, apply_b_dec_to_input=False, device=device, metadata=metadata, dtype="float32")
    )
    with torch.no_grad():
        made.W_enc.div_(made.W_enc.norm(dim=0, keepdim=True))
        made.W_dec.div_(made.W_dec.norm(dim=1, keepdim=True))
        made.b_enc.copy_(-scale_of(inputs) * inputs.mean(dim=0).to(device) @ made.W_enc)
        made.b_dec.copy_(scale_of(targets) * targets.mean(dim=0))
    return made
