"""Crosscoders of two models (Lindsey et al. 2024): one set of activations from the states of both at the same token,
and a decoder for each.

a = BatchTopK(x_0 W_0 + x_1 W_1 + b), x'_m = a D_m + b_m. What counts for the largest is a_i (|d_i^0| + |d_i^1|), as
Minder et al. 2025 (arXiv 2504.02922) train them, since L1 in its place shrinks what is weak in one model to nothing and
makes shared features look like one model's own. The smallest value that is kept becomes the threshold.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from steering.errors import SteeringError
from steering.studies.dictionaries.batch_topk import BatchTopK
from steering.studies.dictionaries.course import Course, variance_of


CONFIG, WEIGHTS = "cfg.json", "sae_weights.safetensors"
"""The files of a crosscoder; the configuration says that it is none of one state."""
ARCHITECTURE = "crosscoder"
_FIRST_LENGTH = 0.2
"""Of decoders, before anything is learnt."""


@dataclass(frozen=True, eq=False)
class Crosscoder:
    """A crosscoder of the states of two models, in their own units."""

    encoder: Tensor
    """(model, width, feature)."""
    bias: Tensor
    """Of the activations, (feature,)."""
    decoder: Tensor
    """(model, feature, width)."""
    centre: Tensor
    """What is added of no feature, (model, width)."""
    threshold: float
    """What a_i (|d_i^0| + |d_i^1|) must exceed, with decoders measured as in `norms`."""
    scales: tuple[float, float]
    """By which each model's states were multiplied, so that both vary alike and neither counts for more."""

    @property
    def norms(self) -> Tensor:
        """Lengths of the decoders, beside how much each model's states vary, (model, feature)."""
        return self.decoder.norm(dim=-1) * torch.tensor(self.scales)[:, None]

    @property
    def relative(self) -> Tensor:
        """½ ((|d_i^1| - |d_i^0|) / max + 1): 0 for a feature of the first model alone, 1 of the second, (feature,)."""
        norms = self.norms
        return 0.5 * ((norms[1] - norms[0]) / norms.amax(dim=0).clamp(min=1e-12) + 1)

    @torch.no_grad()
    def encode(self, states: Tensor) -> Tensor:
        """Activations (token, feature) of states (model, token, width); dense, so give few tokens at a time."""
        before = (torch.einsum("mtw,mwf->tf", states, self.encoder) + self.bias).relu()
        return before * (before * self.norms.sum(dim=0) > self.threshold)

    @torch.no_grad()
    def decode(self, activations: Tensor) -> Tensor:
        """Both models' states (model, token, width) from activations (token, feature)."""
        return torch.einsum("tf,mfw->mtw", activations, self.decoder) + self.centre[:, None]


class CrosscoderLearner:
    """A crosscoder on its way."""

    def __init__(self, states: Sequence[Tensor], course: Course, device: torch.device) -> None:
        """Random directions, alike for both models and the encoder's transpose, so that no feature begins as one's own.

        Args:
            states: Of both models at the same tokens, (token, width) each, on the CPU.
            course: How to train.
            device: Where to train.
        """
        self._states, self._device = list(states), device
        self._scales = torch.tensor([(each.shape[1] / variance_of(each)) ** 0.5 for each in self._states])
        drawn = torch.randn(course.features, states[0].shape[1], generator=torch.Generator().manual_seed(course.seed))
        both = (drawn / drawn.norm(dim=-1, keepdim=True)).repeat(2, 1, 1)
        short = _FIRST_LENGTH * both  # so that little has to be unlearnt where a feature is not in a model
        centre = self._scales[:, None] * torch.stack([each.mean(dim=0) for each in states])
        encoder = 0.5 * both.transpose(1, 2)  # so that what both models share is counted once
        bias = -torch.einsum("mw,mwf->f", centre, encoder)
        self._weights = [each.contiguous().to(device) for each in (encoder, bias, short, centre)]
        self._topk = BatchTopK(self._weights, course)

    def step(self, rows: Tensor) -> float:
        """See `Learner`."""
        encoder, bias, decoder, centre = self._weights
        states = torch.stack(
            [each[rows].to(self._device) * float(scale) for each, scale in zip(self._states, self._scales, strict=True)]
        )
        before = torch.einsum("mtw,mwf->tf", states, encoder) + bias
        norms = decoder.norm(dim=-1).sum(dim=0)
        kept = self._topk.kept(before * norms)
        wide = torch.cat([decoder[0], decoder[1]], dim=-1) / norms[:, None]
        wanted = torch.cat([states[0], states[1]], dim=-1)
        error = wanted - (kept @ wide + centre.flatten())
        loss = error.pow(2).sum(dim=-1).mean()
        self._topk.count(kept)
        self._topk.learn(loss + self._topk.revival(before * norms, wide, error), kept)
        return float(loss.detach()) / wanted.shape[1]  # scaled states vary by 1 in each of their numbers

    def state(self) -> dict[str, Any]:
        """See `Learner`."""
        return self._topk.state()

    def resume(self, state: dict[str, Any]) -> None:
        """See `Learner`."""
        self._topk.resume(state)

    @torch.no_grad()
    def finished(self) -> Crosscoder:
        """What was learnt, in the units of the models' own states."""
        encoder, bias, decoder, centre = (each.detach().cpu() for each in self._weights)
        scales = self._scales[:, None]
        return Crosscoder(
            encoder * scales[:, None],
            bias,
            decoder / scales[:, None],
            centre / scales,
            self._topk.threshold,
            (float(scales[0]), float(scales[1])),
        )

    def save(self, folder: Path) -> None:
        """See `Learner`."""
        save_crosscoder(self.finished(), folder)


def save_crosscoder(crosscoder: Crosscoder, folder: Path) -> None:
    """Write a crosscoder into a folder that is there."""
    n_models, width, features = crosscoder.encoder.shape
    said = {
        "architecture": ARCHITECTURE,
        "n_models": n_models,
        "d_in": width,
        "d_sae": features,
        "threshold": crosscoder.threshold,
        "scales": list(crosscoder.scales),
        "note": "Of two models; no autoencoder can be made of it.",
    }
    (folder / CONFIG).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    weights = {
        "W_enc": crosscoder.encoder,
        "b_enc": crosscoder.bias,
        "W_dec": crosscoder.decoder,
        "b_dec": crosscoder.centre,
    }
    save_file({name: each.contiguous() for name, each in weights.items()}, folder / WEIGHTS)


def load_crosscoder(folder: Path) -> Crosscoder:
    """Read what `save_crosscoder` wrote.

    Raises:
        SteeringError: There is none, or its files are damaged.
    """
    try:
        said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if said["architecture"] != ARCHITECTURE:
            raise ValueError(f"its architecture is {said['architecture']}")
        found = load_file(folder / WEIGHTS)
        encoder, bias, decoder, centre = (found[name].float() for name in ("W_enc", "b_enc", "W_dec", "b_dec"))
        width, features = int(said["d_in"]), int(said["d_sae"])
        shapes = [(2, width, features), (features,), (2, features, width), (2, width)]
        if [tuple(each.shape) for each in (encoder, bias, decoder, centre)] != shapes:
            raise ValueError("its weights have other sizes than its configuration says")
        one, other = said["scales"]
        return Crosscoder(encoder, bias, decoder, centre, float(said["threshold"]), (float(one), float(other)))
    except Exception as error:  # json, safetensors and torch each raise their own
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise SteeringError(
            f"The crosscoder in {folder} cannot be read: {reason}",
            f"a folder that the study crosscoder wrote ({CONFIG} and {WEIGHTS}).",
            "Train it again.",
        ) from error
