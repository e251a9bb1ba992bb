"""Tiny dictionaries of random weights, one of each architecture that sae-lens runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


D_IN, D_OUT, FEATURES = 24, 20, 96
TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
AUTOENCODERS = ("standard", "gated", "topk", "abstopk", "jumprelu", "temporal", "matching_pursuit")
_TEMPORAL = {"n_heads": 4, "bottleneck_factor": 8, "kval_topk": 6, "tied_weights": False}
_OWN: dict[str, dict[str, Any]] = {
    "topk": {"k": 6, "rescale_acts_by_decoder_norm": True},
    "abstopk": {"k": 6},
    "temporal": _TEMPORAL,
    "matching_pursuit": {"max_iterations": 6},
}


def made(kind: str, *, seed: int = 0, hook: str = "blocks.2.hook_resid_post", **changes: Any) -> Any:
    """A sae-lens object with random weights, biases and thresholds."""
    from sae_lens.registry import get_sae_class
    from sae_lens.saes.sae import SAEMetadata

    said: dict[str, Any] = {"model_name": "tiny-llama", "hook_name": hook, **changes.pop("metadata", {})}
    config: dict[str, Any] = {"d_in": D_IN, "d_sae": FEATURES, **_OWN.get(kind, {})}
    if kind in TRANSCODERS:
        said = {**said, "hook_name": "blocks.2.mlp.hook_in", "hook_name_out": "blocks.2.hook_mlp_out"}
        config |= {"d_out": D_OUT, "apply_b_dec_to_input": False}
    sae_class, config_class = get_sae_class(kind)
    sae = sae_class(config_class(**{**config, **changes}, metadata=SAEMetadata(**said))).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
            if name == "threshold":
                parameter.copy_(torch.rand(parameter.shape, generator=generator) * 2 - 0.5)  # some below 0
            if name == "W_dec" and kind == "matching_pursuit":  # whose rows are of length 1
                parameter.div_(parameter.norm(dim=-1, keepdim=True))
    return sae


def saved(folder: Path, kind: str, **changes: Any) -> Path:
    """The folder of a random dictionary, as sae-lens saves it."""
    made(kind, **changes).save_model(folder)
    return folder


def states(*shape: int, width: int = D_IN, seed: int = 1) -> torch.Tensor:
    """States of some length, away from zero mean."""
    return 2 * torch.randn(*shape, width, generator=torch.Generator().manual_seed(seed)) + 0.5
