"""Training loops of sparse dictionaries: autoencoders by sae-lens's own trainer, transcoders by a short loop here.

sae-lens trains autoencoders only, so the transcoder's loop is put together from its parts: BatchTopK (Bussmann et al.
2024, arXiv:2412.06410) keeps the largest activations of a batch, an auxiliary loss (Gao et al. 2024, arXiv:2406.04093)
lets features that have fallen silent explain what the others leave over, and the smallest activation kept becomes the
threshold of the JumpReLU transcoder that is saved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from steering.resources import resource


Report = Callable[[int, float], None]
"""Called after each step with the number of steps done and the share of the batch's variance left unexplained."""

_THRESHOLD_MEMORY = 0.98
"""The threshold is a running mean over about 50 batches, because the smallest activation of one batch is noisy."""


@dataclass(frozen=True, kw_only=True)
class DictionarySettings:
    """What to train and where to put it."""

    out: Path = field(default_factory=lambda: resource("assets") / "dictionaries" / "demo")
    """The folder to write; one that is there already is replaced at the very end."""
    blocks: tuple[int, ...] = (1, 3)
    """The blocks that get an autoencoder and a transcoder each."""
    features: int = 1024
    """Size of each dictionary."""
    active: int = 32
    """Features that a token may use: at most so many (autoencoder), or so many on average (transcoder)."""
    tokens: int = 300_000
    """States to train on, in whole conversations of the training split."""
    held_out_tokens: int = 30_000
    """States to measure on, in whole conversations of the held-out split."""
    steps: int = 1500
    """Optimiser steps a dictionary."""
    batch: int = 1024
    """Tokens a step."""
    autoencoder_rate: float = 3e-3
    """Peak learning rate of the autoencoders."""
    transcoder_rate: float = 4e-3
    """Peak learning rate of the transcoders."""
    silent_after: int = 100
    """Steps without firing after which a feature is trained on what the others leave over."""
    seed: int = 0
    """Seed of data, weights and order."""

    @property
    def warm_up(self) -> int:
        """Steps until the peak rate."""
        return max(1, self.steps // 20)


def _shuffled(n: int, size: int, seed: int) -> Iterator[Tensor]:
    """Indices of endless batches, each of `size` out of `n` states (all where there are fewer), epoch after epoch."""
    generator, size = torch.Generator().manual_seed(seed), min(n, size)
    while True:
        order = torch.randperm(n, generator=generator)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]


def _scale(states: Tensor) -> float:
    """The factor that gives states (tokens, width) a mean norm of the root of their width."""
    return float(states.shape[-1] ** 0.5 / states.norm(dim=-1).mean())


def _variance(states: Tensor) -> float:
    """Mean squared distance of states (tokens, width) from their mean."""
    return float(states.var(dim=0, correction=0).sum())


def train_autoencoder(states: Tensor, settings: DictionarySettings, metadata: Any, report: Report) -> Any:
    """Train a TopK autoencoder with sae-lens's trainer and return its training object, ready to be saved.

    Args:
        states: States of the residual stream, (tokens, width).
        settings: Of the loop.
        metadata: A `sae_lens` SAEMetadata to be saved with the weights.
        report: Told of every step.
    """
    from sae_lens import SAETrainer, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig

    scale, device, size = _scale(states), str(states.device), min(settings.batch, len(states))
    sizes = {"d_in": states.shape[1], "d_sae": settings.features, "k": settings.active}
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        sae = TopKTrainingSAE(TopKTrainingSAEConfig(**sizes, device=device, metadata=metadata))
    with torch.no_grad():
        sae.b_dec.copy_(scale * states.mean(dim=0))
    batches = (states[rows] * scale for rows in _shuffled(len(states), size, settings.seed))
    plan = SAETrainerConfig(
        total_training_samples=settings.steps * size,
        train_batch_size_samples=size,
        lr=settings.autoencoder_rate,
        lr_end=settings.autoencoder_rate,  # "constant" until the decay to nothing begins
        lr_warm_up_steps=settings.warm_up,
        lr_decay_steps=settings.steps // 2,
        dead_feature_window=settings.silent_after,
        device=device,
    )
    trainer, variance = SAETrainer(plan, sae, batches), _variance(states) * scale**2
    for step in range(settings.steps):  # the trainer's own `fit` draws a progress bar
        loss = trainer.step(next(batches)).losses["mse_loss"]
        trainer.n_training_steps += 1
        report(step + 1, float(loss.detach()) / variance)
    trainer.set_final_sae_metadata()
    sae.fold_activation_norm_scaling_factor(scale)
    return sae.eval()


def train_transcoder(
    inputs: Tensor, targets: Tensor, settings: DictionarySettings, metadata: Any, report: Report
) -> Any:
    """Train on pairs of states and return the `sae_lens` JumpReLUTranscoder, ready to be saved.

    Args:
        inputs: States entering the MLP, (tokens, width).
        targets: What the MLP adds, (tokens, width).
        settings: Of the loop.
        metadata: A `sae_lens` SAEMetadata to be saved with the weights.
        report: Told of every step.
    """
    scale_in, scale_out = _scale(inputs), _scale(targets)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        transcoder = _fresh(inputs, targets, settings, metadata)
    threshold = _optimise(transcoder, inputs * scale_in, targets * scale_out, settings, report)
    with torch.no_grad():  # the scales go into the weights: what is saved takes and gives the model's own states
        transcoder.W_enc.mul_(scale_in / scale_out)
        transcoder.b_enc.div_(scale_out)
        transcoder.b_dec.div_(scale_out)
        transcoder.threshold.fill_(threshold / scale_out)
    return transcoder.eval()


def _fresh(inputs: Tensor, targets: Tensor, settings: DictionarySettings, metadata: Any) -> Any:
    """Random unit directions on both sides; both biases start at the mean states."""
    from sae_lens import JumpReLUTranscoder, JumpReLUTranscoderConfig

    sizes = {"d_in": inputs.shape[1], "d_sae": settings.features, "d_out": targets.shape[1]}
    transcoder = JumpReLUTranscoder(
        JumpReLUTranscoderConfig(
            **sizes, apply_b_dec_to_input=False, device=str(inputs.device), metadata=metadata, dtype="float32"
        )
    )
    with torch.no_grad():
        transcoder.W_enc.div_(transcoder.W_enc.norm(dim=0, keepdim=True))
        transcoder.W_dec.div_(transcoder.W_dec.norm(dim=1, keepdim=True))
        transcoder.b_enc.copy_(-_scale(inputs) * inputs.mean(dim=0) @ transcoder.W_enc)
        transcoder.b_dec.copy_(_scale(targets) * targets.mean(dim=0))
    return transcoder


def _optimise(transcoder: Any, inputs: Tensor, targets: Tensor, settings: DictionarySettings, report: Report) -> float:
    """Fit the weights to scaled states; returns the threshold below which an activation is dropped."""
    from sae_lens.saes.batchtopk_sae import BatchTopK

    keep_largest, variance = BatchTopK(settings.active), _variance(targets)
    weights = [transcoder.W_enc, transcoder.b_enc, transcoder.W_dec, transcoder.b_dec]
    optimiser = torch.optim.Adam(weights, lr=settings.transcoder_rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, settings))
    silent_for = torch.zeros(settings.features, device=inputs.device)
    batches, threshold = _shuffled(len(inputs), settings.batch, settings.seed), 0.0
    for step in range(settings.steps):
        rows = next(batches)
        before = inputs[rows] @ transcoder.W_enc + transcoder.b_enc
        activations = keep_largest(before)
        error = targets[rows] - (activations @ transcoder.W_dec + transcoder.b_dec)
        loss = error.pow(2).sum(dim=-1).mean()
        silent_for = torch.where((activations > 0).any(dim=0), 0.0, silent_for + 1)
        revival = _revival_loss(transcoder, before, error.detach(), silent_for > settings.silent_after)
        (loss + revival).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        scheduler.step()
        with torch.no_grad():  # else a feature could shrink its activations and make up for it in its direction
            transcoder.W_dec.div_(transcoder.W_dec.norm(dim=1, keepdim=True))
        smallest = float(activations.detach()[activations > 0].min())
        threshold = smallest if step == 0 else _THRESHOLD_MEMORY * threshold + (1 - _THRESHOLD_MEMORY) * smallest
        report(step + 1, float(loss.detach()) / variance)
    return threshold


def _revival_loss(transcoder: Any, before: Tensor, error: Tensor, silent: Tensor) -> Tensor:
    """Squared error that is left when the silent features alone explain `error`; weaker while there are few."""
    from sae_lens.saes.topk_sae import calculate_topk_aux_acts

    n_silent, wanted = int(silent.sum()), error.shape[1] // 2
    if n_silent == 0:
        return error.new_zeros(())
    chosen = calculate_topk_aux_acts(min(wanted, n_silent), before, silent)
    left = (chosen @ transcoder.W_dec - error).pow(2).sum(dim=-1).mean()
    return min(n_silent / wanted, 1.0) * left


def _rate(step: int, settings: DictionarySettings) -> float:
    return min(1.0, (step + 1) / settings.warm_up, 2 * (settings.steps - step) / settings.steps)


@torch.no_grad()
def measure(sae: Any, inputs: Tensor, targets: Tensor) -> dict[str, Any]:
    """How well and how sparsely a dictionary gives `targets` from `inputs`, (tokens, width) each.

    Returns:
        `explained_variance` (1 - residual sum of squares / sum of squares around the mean), `l0` (mean number of active
        features a token), `dead` (features that no token activates), `dead_share`, and `tokens`.
    """
    left, active, ever = 0.0, 0, torch.zeros(sae.cfg.d_sae, dtype=torch.bool, device=inputs.device)
    for some, wanted in zip(inputs.split(4096), targets.split(4096), strict=True):
        activations = sae.encode(some)
        left += float((wanted - sae.decode(activations)).double().pow(2).sum())
        active += int((activations != 0).sum())
        ever |= (activations != 0).any(dim=0)
    dead = int((~ever).sum())
    return {
        "explained_variance": round(1 - left / (_variance(targets.double()) * len(targets)), 4),
        "l0": round(active / len(inputs), 2),
        "dead": dead,
        "dead_share": round(dead / len(ever), 4),
        "tokens": len(inputs),
    }
