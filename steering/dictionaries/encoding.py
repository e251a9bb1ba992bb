"""How each architecture of sae-lens turns a state into activations, without holding what is not active.

sae-lens' own `encode` gives a dense (token, feature) tensor after three or four passes over it. Here the same
pre-activations are compared once and only what is active is kept; `tests/steering/dictionaries` holds every
architecture against sae-lens' own. Two have no pre-activations (temporal, matching pursuit): sae-lens encodes these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


OWN_ENCODE = ("temporal", "matching_pursuit")
"""Architectures whose activations are found step by step, by sae-lens."""


def architecture(sae: Any) -> str:
    """The architecture of a sae-lens object, such as `jumprelu_transcoder`."""
    return str(sae.cfg.architecture())


def is_transcoder(sae: Any) -> bool:
    return "transcoder" in architecture(sae)


def normalised(sae: Any, states: Tensor, *, centred: bool = False) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """What the encoder reads of raw states (..., width), and by which factor and shift (..., 1) decoding undoes it.

    Args:
        sae: The sae-lens object; its `normalize_activations` says how.
        states: Raw states, float32.
        centred: Whether it was trained on states without their mean (`center_writing_weights` of TransformerLens).
    """
    scale: Tensor | None = None
    shift: Tensor | None = None
    if centred:
        shift = states.mean(dim=-1, keepdim=True)
        states = states - shift
    kind = sae.cfg.normalize_activations
    if kind == "layer_norm":  # sae-lens divides by the sample deviation plus 1e-5, and multiplies by it alone
        mean = states.mean(dim=-1, keepdim=True)
        states = states - mean
        scale = states.std(dim=-1, keepdim=True)
        states = states / (scale + 1e-5)
        shift = mean if shift is None else shift + mean
    elif kind == "constant_norm_rescale":
        scale = states.norm(dim=-1, keepdim=True) / sae.cfg.d_in**0.5
        states = states / scale
    elif kind == "constant_scalar_rescale":
        scale = torch.full_like(states[..., :1], 1 / sae.cfg.activation_normalization_factor)
        states = states / scale
    if is_transcoder(sae):  # what it gives is another state, in that state's own units
        return states, None, None
    return states, scale, shift


def active(sae: Any, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The active features of normalised states (token, width): features and values, row by row, and how many a row."""
    kind = architecture(sae)
    if kind in ("topk", "abstopk"):
        values, features = _top(sae, _before(sae, inputs))
        features, order = features.sort(dim=-1)
        values = values.gather(-1, order)
        kept = values != 0
        return features[kept], values[kept], kept.sum(dim=-1)
    if kind == "gated":
        values = _gated(sae, inputs)
        kept = values != 0
    else:
        values = _before(sae, inputs)
        kept = values > (sae.threshold.clamp(min=0) if "jumprelu" in kind else 0.0)
    rows, features = kept.nonzero(as_tuple=True)
    # Counted from what was found: to add up so many truths takes as long as the product.
    return features, values[rows, features], torch.bincount(rows, minlength=len(inputs))


def some(sae: Any, inputs: Tensor, features: Sequence[int] | Tensor) -> Tensor:
    """Activations of some features at normalised states (token, width): (token, len(features))."""
    kind = architecture(sae)
    index = torch.as_tensor(features, dtype=torch.long, device=inputs.device)
    if kind in ("topk", "abstopk"):  # whether one is among the largest depends on all
        before = _before(sae, inputs)
        values, places = _top(sae, before)
        return torch.zeros_like(before).scatter(-1, places, values)[..., index]
    if kind == "gated":
        return _gated(sae, inputs, index)
    before = _before(sae, inputs, index)
    if "jumprelu" in kind:
        return before * (before > sae.threshold[index].clamp(min=0))
    return before.relu()


def _before(sae: Any, inputs: Tensor, index: Tensor | None = None) -> Tensor:
    """Pre-activations (token, feature), of all features or some."""
    weight, bias = (sae.W_enc, sae.b_enc) if index is None else (sae.W_enc[:, index], sae.b_enc[index])
    before = torch.addmm(bias, _entered(sae, inputs), weight)  # with no second tensor of that size
    if getattr(sae.cfg, "rescale_acts_by_decoder_norm", False):
        norm = sae.W_dec.norm(dim=-1)
        before = before * (norm if index is None else norm[index])
    return before


def _entered(sae: Any, inputs: Tensor) -> Tensor:
    return inputs if is_transcoder(sae) or not sae.cfg.apply_b_dec_to_input else inputs - sae.b_dec


def _top(sae: Any, before: Tensor) -> tuple[Tensor, Tensor]:
    """The k largest a row, by size where signs are kept; their values and places."""
    if architecture(sae) == "abstopk":
        places = before.abs().topk(sae.cfg.k, dim=-1, sorted=False).indices
        return before.gather(-1, places), places
    values, places = before.topk(sae.cfg.k, dim=-1, sorted=False)
    return values.relu(), places


def _gated(sae: Any, inputs: Tensor, index: Tensor | None = None) -> Tensor:
    """Gate and magnitude share their weights, so one product serves both (Rajamanoharan et al. 2024, eq. 6)."""
    every = slice(None) if index is None else index
    product = _entered(sae, inputs) @ sae.W_enc[:, every]
    magnitude = product * sae.r_mag[every].exp() + sae.b_mag[every]
    return magnitude.relu() * (product + sae.b_gate[every] > 0)
