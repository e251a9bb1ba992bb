"""Sparse autoencoders, trained by sae-lens: TopK, BatchTopK and JumpReLU.

TopK (Gao et al. 2024, arXiv 2406.04093) keeps a token's largest activations; BatchTopK (Bussmann et al. 2024, arXiv
2412.06410) those of a batch, and ends as a JumpReLU with one threshold; JumpReLU (Rajamanoharan et al. 2024, arXiv
2407.14435) learns a threshold a feature, here with Gemma Scope 2's loss, which is quadratic around the wanted number of
active features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from steering.studies.dictionaries.course import Course, scale_of, variance_of


Kind = Literal["topk", "batchtopk", "jumprelu"]
KINDS: dict[Kind, str] = {
    "topk": "the same number of features at every token",
    "batchtopk": "that number on average; saved with one threshold",
    "jumprelu": "that number on average; a threshold a feature",
}
_JUMPRELU = {
    "decoder_init_norm": 1.0,
    "jumprelu_init_threshold": 1.0,
    "jumprelu_bandwidth": 1.0,
    "l0_coefficient": 1.0,
    "pre_act_loss_coefficient": 1e-2,
}
"""Wide enough that a threshold learns in hundreds of steps; states have a mean norm of the root of their width."""
_THRESHOLD_RATE = 0.01
"""Of the running mean of BatchTopK's threshold, at least; in a short training it moves faster, since it begins at 0."""


class Autoencoder:
    """sae-lens's trainer, fed with states."""

    def __init__(self, states: Tensor, course: Course, kind: Kind, metadata: Any, device: torch.device) -> None:
        """Random weights, and a bias at the mean state.

        Args:
            states: States of the residual stream, (tokens, width), on the CPU.
            course: How to train.
            kind: Which kind.
            metadata: A `sae_lens` SAEMetadata to be saved with the weights.
            device: Where to train.
        """
        from sae_lens import SAETrainer
        from sae_lens.config import SAETrainerConfig

        self._states, self._kind, self._device = states, kind, device
        self._scale = scale_of(states)
        self._variance = variance_of(states) * self._scale**2
        with torch.random.fork_rng():
            torch.manual_seed(course.seed)
            self._sae = _fresh(states.shape[1], course, kind, metadata, str(device))
        with torch.no_grad():
            self._sae.b_dec.copy_(self._scale * states.mean(dim=0))
        size = min(course.batch, len(states))
        plan = SAETrainerConfig(
            total_training_samples=course.steps * size,
            train_batch_size_samples=size,
            lr=course.rate,
            lr_end=course.rate,  # "constant" until the decay to nothing begins
            lr_warm_up_steps=course.warm_up,
            lr_decay_steps=course.steps // 2,
            dead_feature_window=course.silent_after,
            device=str(device),
        )
        self._trainer = SAETrainer(plan, self._sae, iter(()))

    def step(self, rows: Tensor) -> float:
        """See `Learner`."""
        batch = self._states[rows].to(self._device) * self._scale
        loss = self._trainer.step(batch).losses["mse_loss"]  # the trainer's own `fit` draws a progress bar
        self._trainer.n_training_steps += 1
        return float(loss.detach()) / self._variance

    def state(self) -> dict[str, Any]:
        """See `Learner`."""
        trainer = self._trainer
        return {
            "weights": self._sae.state_dict(),
            "optimiser": trainer.optimizer.state_dict(),
            "scheduler": trainer.lr_scheduler.state_dict(),
            "coefficients": {name: each.state_dict() for name, each in trainer.coefficient_schedulers.items()},
            **{name: getattr(trainer, name) for name in _COUNTS},
        }

    def resume(self, state: dict[str, Any]) -> None:
        """See `Learner`."""
        trainer = self._trainer
        self._sae.load_state_dict(state["weights"])
        trainer.optimizer.load_state_dict(state["optimiser"])
        trainer.lr_scheduler.load_state_dict(state["scheduler"])
        for name, each in state["coefficients"].items():
            trainer.coefficient_schedulers[name].load_state_dict(each)
        for name in _COUNTS:
            value = state[name]
            setattr(trainer, name, value.to(self._device) if isinstance(value, Tensor) else value)

    def save(self, folder: Path) -> None:
        """See `Learner`."""
        self._trainer.set_final_sae_metadata()
        if self._kind == "jumprelu":  # the other kinds do so as they are saved
            self._sae.fold_W_dec_norm()
        self._sae.fold_activation_norm_scaling_factor(self._scale)
        self._sae.eval().to("cpu").save_inference_model(folder)


_COUNTS = (
    "n_training_steps",
    "n_training_samples",
    "n_frac_active_samples",
    "act_freq_scores",
    "n_forward_passes_since_fired",
)
"""What sae-lens's trainer counts beside its optimiser."""


def _fresh(width: int, course: Course, kind: Kind, metadata: Any, device: str) -> Any:
    import sae_lens

    same = {"d_in": width, "d_sae": course.features, "device": device, "metadata": metadata}
    if kind == "topk":
        return sae_lens.TopKTrainingSAE(sae_lens.TopKTrainingSAEConfig(**same, k=course.active))
    if kind == "batchtopk":
        rate = max(_THRESHOLD_RATE, min(1.0, 10 / course.steps))
        config = sae_lens.BatchTopKTrainingSAEConfig(**same, k=float(course.active), topk_threshold_lr=rate)
        return sae_lens.BatchTopKTrainingSAE(config)
    config = sae_lens.JumpReLUTrainingSAEConfig(
        **same,
        jumprelu_sparsity_loss_mode="quadratic",
        target_l0=float(course.active),
        **_JUMPRELU,
        l0_warm_up_steps=max(1, course.steps // 5),
    )
    return sae_lens.JumpReLUTrainingSAE(config)
