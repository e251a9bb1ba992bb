"""One layer of a cross-layer transcoder as a dictionary to look at: what it reads, and the decoder rows of its own
block.

Its activations are those of a transcoder. What an MLP gives is the sum over the features of all blocks up to it, so
nothing is written by one block's features. Gemma Scope 2's crosscoders over four blocks are of the same kind: features
of their own in each of these blocks, which give to it and to those behind.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from steering.dictionaries.files import Content, read_json, read_mapping
from steering.dictionaries.inputs import Input
from steering.dictionaries.layers import CIRCUIT, GEMMA, Layers, layers_in
from steering.errors import SteeringError
from steering.paths import is_file
from steering.yaml_files import load_yaml


CLT: Literal["cross-layer transcoder"] = "cross-layer transcoder"
READ_ONLY = (
    "A cross-layer transcoder is read only here: each of its features gives to its own block and to all behind it, so "
    "that none can be changed, and no MLP replaced, at one block alone."
)
MIDDLE = "hook_resid_mid"
"""TransformerLens' name of the stream between attention and MLP, which circuit-tracer's transcoders mostly read."""
_OF_BLOCKS = re.compile(r"layer((?:_\d{1,4})+)_width")
"""Which blocks a crosscoder of Gemma Scope 2 is of: `layer_7_13_17_22_width_65k_l0_medium`."""


def is_layer(path: Path) -> bool:
    """Whether a file is that of one layer."""
    return bool(CIRCUIT.fullmatch(path.name) or GEMMA.fullmatch(path.name))


def has_layers(folder: Path) -> bool:
    """Whether a folder holds the layers of one."""
    return bool(layers_in(folder))


def choose_layer(folder: Path) -> SteeringError:
    """That one layer has to be named."""
    files = list(layers_in(folder).values())
    return SteeringError(
        f"{folder} is a {CLT} with the features of {len(files)} blocks.",
        f"the file of one of them, such as {files[0]}.",
        "Name the file of the block whose features you want to look at.",
    )


def read_layer(path: Path) -> Content:
    """One layer: `W_enc_3.safetensors` beside `W_dec_3.safetensors` and `config.yaml`, or `params_layer_3.safetensors`.

    Raises:
        SteeringError: Files that are missing, damaged or do not belong together.
    """
    found = CIRCUIT.fullmatch(path.name) or GEMMA.fullmatch(path.name)
    assert found is not None, "is_layer said so"
    folder, number = path.parent, int(found[1])
    blocks = _blocks_of(folder) or tuple(range(max(layers_in(folder)) + 1))
    layers = Layers(folder, number, blocks, gemma=bool(GEMMA.fullmatch(path.name)))
    if number >= len(layers.blocks):
        raise SteeringError(
            f"{path} is layer {number}, and the folder's name says that there are {len(layers.blocks)}.",
            "a layer of one of the blocks that its name says.",
            "Fetch the folder again.",
        )
    encoder = layers.encoder(number)
    if encoder.threshold is not None and not layers.gemma and bool((encoder.threshold < 0).any()):
        raise SteeringError(
            f"{path} has thresholds below 0, at which circuit-tracer lets features be negative.",
            "thresholds of 0 or more.",
            "Choose another one.",
        )
    tensors = {
        "W_enc": encoder.weight,
        "b_enc": encoder.bias,
        "b_dec": encoder.given_bias,
        "W_dec": layers.decoder(number, number),
    }
    if encoder.threshold is not None:
        tensors["threshold"] = encoder.threshold.contiguous()
    said = _config_of(folder, number, layers)
    metadata = {"sae_lens_version": "6.0.0", **_places(said, layers.blocks[number], gemma=layers.gemma)}
    return Content(
        f"{folder.name}/layer {number}",
        {
            "architecture": "transcoder" if encoder.threshold is None else "jumprelu_transcoder",
            "apply_b_dec_to_input": False,
            "d_in": encoder.weight.shape[0],
            "d_sae": len(encoder.bias),
            "d_out": tensors["W_dec"].shape[1],
            "metadata": metadata,
        },
        tensors,
        said,
        several=layers,
    )


def inputs_of(content: Content, block: int) -> tuple[Input, ...]:
    """What a layer reads, where that is the stream between attention and MLP; () where it is a state of one site."""
    hook = str(content.card.get("feature_input_hook") or "")
    if not hook.endswith(MIDDLE):
        return ()
    return (Input(((block, "block_input"), (block, "attention_output"))),)


def _places(said: dict[str, Any], block: int, *, gemma: bool) -> dict[str, Any]:
    """The model and the hooks, in the words of sae-lens' metadata."""
    if gemma:
        return {
            "model_name": said.get("model_name"),
            "hf_hook_name": said.get("hf_hook_point_in"),
            "hf_hook_name_out": said.get("hf_hook_point_out") or said.get("hf_hook_point_in"),
        }
    hooks = [str(said[key]) if said.get(key) else None for key in ("feature_input_hook", "feature_output_hook")]
    # What is read there is said by `inputs_of`; its block and first part are a site.
    hooks = ["hook_resid_pre" if hook and hook.endswith(MIDDLE) else hook for hook in hooks]
    named = [None if hook is None else hook.replace("{layer}", str(block)) for hook in hooks]
    full = [
        hook if hook is None or hook.startswith(("blocks.", "model.")) else f"blocks.{block}.{hook}" for hook in named
    ]
    return {"model_name": said.get("model_name"), "hook_name": full[0], "hook_name_out": full[1]}


def _config_of(folder: Path, number: int, layers: Layers) -> dict[str, Any]:
    """What the folder says of where it belongs."""
    if not layers.gemma:
        path = folder / "config.yaml"
        return read_mapping(path, lambda text: load_yaml(text, f"The dictionary's file {path}"))
    path = folder / "config.json"
    said = read_json(path) if is_file(path) else {}
    block = layers.blocks[number]
    for key in ("hf_hook_point_in", "hf_hook_point_out"):
        if isinstance(said.get(key), list):
            said[key] = said[key][number] if number < len(said[key]) else None
    named = _hooks_by_name(folder, block)
    return {**named, **{key: value for key, value in said.items() if value is not None}}


def _hooks_by_name(folder: Path, block: int) -> dict[str, str]:
    """What Gemma Scope 2's folders say by their names, as sae-lens reads them: `clt/…`, `crosscoder/layer_7_13_…`."""
    if folder.parent.name == "clt":
        return {
            "hf_hook_point_in": f"model.layers.{block}.pre_feedforward_layernorm.output",
            "hf_hook_point_out": f"model.layers.{block}.post_feedforward_layernorm.output",
        }
    if folder.parent.name == "crosscoder" and _OF_BLOCKS.match(folder.name):
        return {"hf_hook_point_in": f"model.layers.{block}.output"}
    return {}


def _blocks_of(folder: Path) -> tuple[int, ...]:
    """The blocks of a crosscoder of Gemma Scope 2, by its folder's name; () where it says none."""
    found: Sequence[str] = ()
    if folder.parent.name == "crosscoder" and (said := _OF_BLOCKS.match(folder.name)):
        found = said[1].strip("_").split("_")
    return tuple(map(int, found))
