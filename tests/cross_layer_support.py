"""Cross-layer transcoders and crosscoders of random weights, written in the layouts of those who train them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file


WIDTH, FEATURES = 32, 40


def drawn(*shape: int, seed: int, scale: float = 0.3) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def circuit(
    folder: Path, *, blocks: int = 2, jump: bool = True, features: int = FEATURES, over: float = 0.0, **config: Any
) -> list[dict[str, torch.Tensor]]:
    """A cross-layer transcoder as circuit-tracer writes it, with thresholds above `over`; gives each layer's tensors by
    their plain names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layers = []
    for n in range(blocks):
        layer = {
            "W_enc": drawn(features, WIDTH, seed=10 * n),
            "b_enc": drawn(features, seed=10 * n + 1),
            "b_dec": drawn(WIDTH, seed=10 * n + 2),
        }
        if jump:
            layer["threshold"] = drawn(features, seed=10 * n + 3).abs() + over
        save_file({f"{name}_{n}": each for name, each in layer.items()}, folder / f"W_enc_{n}.safetensors")
        layer["W_dec"] = drawn(features, blocks - n, WIDTH, seed=10 * n + 4)
        save_file({f"W_dec_{n}": layer["W_dec"]}, folder / f"W_dec_{n}.safetensors")
        layers.append(layer)
    said = {"model_name": "org/tiny-llama", "model_kind": "cross_layer_transcoder"}
    said |= {"feature_input_hook": "hook_resid_mid", "feature_output_hook": "hook_mlp_out", **config}
    (folder / "config.yaml").write_text(yaml.safe_dump(said))
    return layers


def gemma(folder: Path, *, layers: int = 2, affine: bool = False) -> list[dict[str, torch.Tensor]]:
    """Layers as Gemma Scope 2 writes them, of a cross-layer transcoder or of a crosscoder over some blocks."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for n in range(layers):
        layer = {
            "w_enc": drawn(WIDTH, FEATURES, seed=10 * n),
            "b_enc": drawn(FEATURES, seed=10 * n + 1),
            "b_dec": drawn(WIDTH, seed=10 * n + 2),
            "threshold": drawn(FEATURES, seed=10 * n + 3).abs(),
            "w_dec": drawn(FEATURES, layers, WIDTH, seed=10 * n + 4),
        }
        if affine:
            layer["affine_skip_connection"] = drawn(WIDTH, WIDTH, seed=10 * n + 5)
        save_file(layer, folder / f"params_layer_{n}.safetensors")
        found.append(layer)
    return found


def learned(folder: Path, *, inputs: int = 2, threshold: float | None = 0.4, **more: torch.Tensor) -> dict[str, Any]:
    """A crosscoder as dictionary_learning's `save_pretrained` writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        "encoder.weight": drawn(inputs, WIDTH, FEATURES, seed=1),
        "encoder.bias": drawn(FEATURES, seed=2),
        "decoder.weight": drawn(inputs, FEATURES, WIDTH, seed=3),
        "decoder.bias": drawn(inputs, WIDTH, seed=4),
    }
    if threshold is not None:
        tensors["threshold"] = torch.tensor(threshold)
    tensors |= more
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"activation_dim": WIDTH, "dict_size": FEATURES}))
    return tensors


def jumped(before: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """z where it exceeds its threshold and 0, else 0."""
    return torch.where((before > threshold) & (before > 0), before, 0.0)
