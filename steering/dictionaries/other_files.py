"""Dictionaries that other libraries wrote, in sae-lens' words: circuit-tracer's transcoders, sparsify's folders.

circuit-tracer keeps a transcoder a block, `layer_3.safetensors`, with the encoder a feature a row, and one
`config.yaml` for all of them; one file is read at a time. sparsify keeps a folder a module, whose name says which.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from steering.dictionaries.files import CFG, Content, read_json, read_mapping, read_tensors, unreadable
from steering.errors import SteeringError
from steering.paths import is_file
from steering.yaml_files import load_yaml


CONFIG, SPARSIFY = "config.yaml", "sae.safetensors"
_LAYER = re.compile(r"layer_(\d{1,5})")
_THRESHOLD = "activation_function.threshold"


def read_transcoder_of_set(path: Path) -> Content:
    """One transcoder of a set that circuit-tracer wrote: `layer_3.safetensors` beside `config.yaml`.

    Raises:
        SteeringError: A cross-layer transcoder, an activation that sae-lens does not have, or damaged files.
    """
    config, block = read_set(path.parent / CONFIG), _block(path)
    check_kind(config, path.parent)
    tensors = read_tensors(path)
    missing = [name for name in ("W_enc", "W_dec", "b_enc", "b_dec") if name not in tensors]
    if missing or tensors["W_enc"].ndim != 2:
        raise SteeringError(
            f"{path} has no {', '.join(missing) or 'matrix W_enc'}.",
            "the file of one transcoder: W_enc, W_dec, b_enc and b_dec.",
            "Fetch the file again.",
        )
    tensors["W_enc"] = tensors["W_enc"].T.contiguous()
    if _THRESHOLD in tensors:
        tensors["threshold"] = tensors.pop(_THRESHOLD).expand(len(tensors["b_enc"])).contiguous()
    kind = f"{'jumprelu_' if 'threshold' in tensors else ''}{'skip_' if 'W_skip' in tensors else ''}transcoder"
    _check_activation(config, path, tensors)
    metadata = {
        "sae_lens_version": "6.0.0",
        "model_name": config.get("model_name"),
        "hook_name": _hook(config, "feature_input_hook", block),
        "hook_name_out": _hook(config, "feature_output_hook", block),
    }
    sizes = {"d_in": tensors["W_enc"].shape[0], "d_sae": tensors["W_enc"].shape[1], "d_out": tensors["W_dec"].shape[1]}
    said = {"architecture": kind, "apply_b_dec_to_input": False, "metadata": metadata, **sizes}
    return Content(f"{path.parent.name}/{path.stem}", said, tensors, config)


def read_set(path: Path) -> dict[str, Any]:
    """The `config.yaml` of a set.

    Raises:
        SteeringError: As `read_mapping` and `load_yaml`.
    """
    return read_mapping(path, lambda text: load_yaml(text, f"The dictionary's file {path}"))


def check_kind(config: Mapping[str, Any], folder: Path) -> None:
    """Raise unless a set is one of single transcoders.

    Raises:
        SteeringError: A cross-layer transcoder, with what it is, or something unknown.
    """
    kind = str(config.get("model_kind", "transcoder_set"))
    if kind == "cross_layer_transcoder":
        raise SteeringError(
            f"{folder} is a cross-layer transcoder of {config.get('model_name') or 'a model'}, and has no file of its "
            "layers.",
            "W_enc_0.safetensors, W_dec_0.safetensors and so on beside config.yaml.",
            "Fetch it again.",
        )
    if kind != "transcoder_set":
        raise SteeringError(
            f"{folder / CONFIG} says model_kind: {kind[:60]}.", "transcoder_set.", "Load it with what wrote it."
        )


def read_sparsify(folder: Path) -> Content:
    """A folder of sparsify: `cfg.json` and `sae.safetensors`; its name is the module's, such as `layers.3.mlp`.

    sae-lens' reader for such folders takes each for the residual stream, a transcoder for an autoencoder, transposes
    the decoder, and leaves `b_dec` on what is read, which sparsify takes off; so they are read here.

    Raises:
        SteeringError: A transcoder, an activation that is no TopK, or damaged files.
    """
    config, tensors = read_json(folder / CFG), read_tensors(folder / SPARSIFY)
    if config.get("transcode") or "W_skip" in tensors:
        raise SteeringError(
            f"{folder} is a TopK transcoder of sparsify, which sae-lens does not have.",
            "an autoencoder of sparsify, or a transcoder of sae-lens or circuit-tracer.",
            "Choose one of these.",
        )
    if str(config.get("activation", "topk")) != "topk" or config.get("signed"):
        raise SteeringError(
            f"{folder} has the activation '{'signed topk' if config.get('signed') else config['activation']}', which "
            "sae-lens does not have.",
            "TopK.",
            "Choose another dictionary.",
        )
    try:
        encoder, decoder = tensors["encoder.weight"], tensors["W_dec"]
        read = {"W_enc": encoder.T.contiguous(), "W_dec": decoder, "b_enc": tensors["encoder.bias"]}
        said = {"architecture": "topk", "k": int(config["k"]), "d_sae": len(encoder), "d_in": encoder.shape[1]}
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise unreadable(folder / SPARSIFY, error) from error
    about = folder.parent / "config.json"
    model = read_json(about).get("model") if is_file(about) else None
    metadata = {"sae_lens_version": "6.0.0", "hook_name": folder.name, "model_name": model}
    return Content(
        folder.name,
        {**said, "apply_b_dec_to_input": True, "metadata": metadata},
        {**read, "b_dec": tensors.get("b_dec", decoder.new_zeros(decoder.shape[1]))},
        config,
    )


def _block(path: Path) -> int:
    """The block of a transcoder's file, by its name."""
    found = _LAYER.search(path.stem)
    if not found:
        raise SteeringError(
            f"The name of {path} does not say of which block it is.", "layer_3.safetensors, for block 3.", "Rename it."
        )
    return int(found[1])


def _hook(config: Mapping[str, Any], key: str, block: int) -> str | None:
    """A hook's name in one block; sets write it without the block, or with `{layer}` for it."""
    said = config.get(key)
    if not said:
        return None
    said = str(said)
    if "{layer}" in said:
        return said.replace("{layer}", str(block))
    return said if "." in said and said.startswith(("blocks.", "model.")) else f"blocks.{block}.{said}"


def _check_activation(config: Mapping[str, Any], path: Path, tensors: Mapping[str, Tensor]) -> None:
    said = str(config.get("activation") or "relu").lower()
    threshold = tensors.get("threshold")
    unknown = [name for name in tensors if name.startswith(("log_threshold", "activation_function."))]
    if config.get("k") or said not in ("relu", "jumprelu", "jump_relu") or unknown:
        raise SteeringError(
            f"The transcoders of {path.parent} are active by '{said if not config.get('k') else 'topk'}', which "
            "sae-lens does not have for transcoders.",
            "ReLU, or JumpReLU with its thresholds.",
            "Choose another set.",
        )
    if threshold is not None and bool((threshold < 0).any()):
        raise SteeringError(
            f"{path} has thresholds below 0, at which circuit-tracer lets features be negative and sae-lens does not.",
            "thresholds of 0 or more.",
            "Choose another set.",
        )


def files_of_set(folder: Path) -> list[str]:
    """The transcoders' files of a set, by block."""
    found = [path for path in folder.iterdir() if path.suffix == ".safetensors" and _LAYER.search(path.stem)]
    return [path.name for path in sorted(found, key=lambda path: int(_LAYER.findall(path.stem)[0]))]


def is_of_set(path: Path) -> bool:
    """Whether a file is one transcoder of a set."""
    return bool(_LAYER.search(path.stem)) and is_file(path.parent / CONFIG)
