"""Crosscoders (Lindsey et al. 2024): one set of activations from several states of a token, of several blocks or of two
models, and a decoder for each of them.

a = z where z = Σ_m x_m W_m + b and z |D| exceed 0 and a threshold, with |D| the lengths of a feature's decoders added
up; x'_m = a D_m + b_m. Two layouts are read: what `workbench run crosscoder` writes, and the state of
dictionary_learning's `CrossCoder` and `BatchTopKCrossCoder` as `save_pretrained` writes it (`config.json` and
`model.safetensors`), whose files say neither blocks nor models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import Tensor

from steering.dictionaries.files import CFG, WEIGHTS, Content, read_json, read_tensors
from steering.dictionaries.hooks import told_where
from steering.dictionaries.inputs import Input
from steering.dictionaries.told import Told
from steering.errors import SteeringError
from steering.model.sites import ReadPlace
from steering.paths import is_file


CROSSCODER: Literal["crosscoder"] = "crosscoder"
READ_ONLY = (
    "A crosscoder is read only here: each of its features has one activation for several states at once and gives to "
    "all of them, so that none can be changed, and no state replaced, at one place alone."
)
MODEL, CONFIG = "model.safetensors", "config.json"
"""Of dictionary_learning."""
_NORMS = {1: "CROSSCODER", 2: "SAE", 3: "MIXED", 4: "NONE", 5: "DECOUPLED"}
"""How dictionary_learning measures a feature's decoders, by the number in its files."""


@dataclass(frozen=True, eq=False)
class RawCrosscoder:
    """A crosscoder's weights, before it is known which of its decoders is looked at."""

    encoder: Tensor
    """(input, width, feature)."""
    bias: Tensor
    """(feature,)."""
    decoder: Tensor
    """(input, feature, width)."""
    centre: Tensor
    """(input, width)."""
    thresholds: Tensor | None
    """What a pre-activation must exceed, (feature,); None for 0."""
    places: tuple[ReadPlace, ...] = ()
    """What its files say that it reads."""
    base: str = ""
    """The first of two models that its files name."""
    model: str = ""


def is_dictionary_learning(path: Path) -> bool:
    """Whether a file may hold a crosscoder of dictionary_learning, by its header; a whole model may lie there, too."""
    if path.suffix.lower() != ".safetensors" or not is_file(path) or is_file(path.parent / CFG):
        return False
    try:
        with safe_open(path, framework="pt") as file:
            names = {name.removeprefix("_orig_mod."): name for name in file.keys()}  # noqa: SIM118
            return "encoder.weight" in names and len(file.get_slice(names["encoder.weight"]).get_shape()) == 3
    except Exception:  # safetensors raises its own; whoever reads it says what is wrong
        return path.name == MODEL and is_file(path.parent / CONFIG)


def read_trained(folder: Path) -> Content:
    """A crosscoder that the study wrote.

    Raises:
        SteeringError: Damaged files, or weights of other sizes than they say.
    """
    config, found = read_json(folder / CFG), read_tensors(folder / WEIGHTS)
    card = read_json(folder / "card.json") if is_file(folder / "card.json") else {}
    names = ("W_enc", "b_enc", "W_dec", "b_dec")
    encoder, bias, decoder, centre = _shaped(folder / WEIGHTS, found, names)
    try:
        scales, threshold = torch.tensor([float(each) for each in config["scales"]]), float(config["threshold"])
        if len(scales) != len(encoder) or not (math.isfinite(threshold) and bool(scales.isfinite().all())):
            raise ValueError(f"{len(scales)} scales")
        lengths = (decoder.norm(dim=-1) * scales[:, None]).sum(dim=0)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SteeringError(
            f"{folder / CFG} says neither a threshold nor a scale for each of {len(encoder)} models.",
            "the configuration that the study crosscoder wrote.",
            "Train it again.",
        ) from error
    places: tuple[ReadPlace, ...] = ()
    if "block" in card and "reads" in card:
        places = (told_where(f"{card['block']}:{card['reads']}").where,)
    raw = RawCrosscoder(
        encoder, bias, decoder, centre, _over(threshold, lengths), places,
        str(card.get("base") or ""), str(card.get("model") or ""),
    )  # fmt: skip
    return Content(folder.name, {}, {}, card, several=raw)


def read_dictionary_learning(path: Path) -> Content:
    """A crosscoder of dictionary_learning: `model.safetensors` with `config.json` beside it.

    Raises:
        SteeringError: No crosscoder, damaged files, or activations that are found in another way.
    """
    config = read_json(path.parent / CONFIG) if is_file(path.parent / CONFIG) else {}
    found = {name.removeprefix("_orig_mod."): each for name, each in read_tensors(path).items()}
    encoder, bias, decoder, centre = _shaped(
        path, found, ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias")
    )
    threshold = found.get("threshold")
    told = found.get("code_normalization_id", torch.ones(1))
    kind = int(told) if told.numel() == 1 else 0
    if threshold is None:
        over = None
    elif _NORMS.get(kind) == "CROSSCODER" and threshold.numel() == 1:
        over = _over(float(threshold), decoder.norm(dim=-1).sum(dim=0))
    elif _NORMS.get(kind) == "SAE" and threshold.numel() == 1:
        over = _over(float(threshold), decoder.norm(dim=(0, 2)))
    elif _NORMS.get(kind) == "NONE" and threshold.numel() == 1:
        over = torch.full_like(bias, float(threshold))
    else:
        raise SteeringError(
            f"{path} measures activations by {_NORMS.get(kind, kind)}, and has {threshold.numel()} thresholds.",
            "one threshold, with decoders measured by CROSSCODER, SAE or NONE.",
            "Choose another crosscoder.",
        )
    if config.get("encoder_layers") not in (None, list(range(len(encoder)))):
        raise SteeringError(
            f"{path.parent / CONFIG} says that only the states {config['encoder_layers']} are read.",
            "a crosscoder that reads all that it gives.",
            "Choose another crosscoder.",
        )
    name = path.parent.name if path.name == MODEL else path.stem
    return Content(name, {}, {}, config, several=RawCrosscoder(encoder, bias, decoder, centre, over))


def placed_at(content: Content, said: Told) -> tuple[Content, tuple[Input, ...]]:
    """The crosscoder with the decoder of one of its places, as sae-lens has a transcoder, and all that it reads.

    Args:
        content: With a `RawCrosscoder`.
        said: Which places it reads, where its files do not say, the second model, and which place is looked at.

    Raises:
        SteeringError: It is not known what it reads, or another number of states than it has encoders.
    """
    raw: RawCrosscoder = content.several
    inputs = _inputs(content.name, raw, said)
    own = [each.places[0] for each in inputs]
    mine = said.gives or (own[-1] if inputs[0].model else own[0])
    if mine not in own:
        raise SteeringError(
            f"'{content.name}' was to be looked at where it gives {mine[0]}:{mine[1]}.",
            f"one of {', '.join(f'{block}:{site}' for block, site in own)}.",
            "Correct what stands behind the source as gives.",
        )
    at = max(index for index, place in enumerate(own) if place == mine)  # of two models the one at hand
    n, width, features = raw.encoder.shape
    tensors = {
        "W_enc": raw.encoder.reshape(n * width, features),
        "b_enc": raw.bias,
        "W_dec": raw.decoder[at].contiguous(),
        "b_dec": raw.centre[at].contiguous(),
    }
    if raw.thresholds is not None:
        tensors["threshold"] = raw.thresholds
    config = {
        "architecture": "transcoder" if raw.thresholds is None else "jumprelu_transcoder",
        "apply_b_dec_to_input": False,
        "d_in": n * width,
        "d_sae": features,
        "d_out": width,
        "metadata": {
            "sae_lens_version": "6.0.0",
            "model_name": raw.model or None,
            **dict.fromkeys(("hook_name", "hook_name_out"), f"block {mine[0]} {mine[1]}"),
        },
    }
    return replace(content, config=config, tensors=tensors), inputs


def _inputs(name: str, raw: RawCrosscoder, said: Told) -> tuple[Input, ...]:
    n, places, base = len(raw.encoder), said.every or raw.places, said.base or raw.base
    if base and n == 2 and len(places) == 1:
        return Input(places, base), Input(places)
    if not base and n == len(places) and len(set(places)) == n:
        return tuple(Input((place,)) for place in places)
    raise SteeringError(
        f"The crosscoder '{name}' reads {n} states, and {len(places) or 'no'} places"
        f"{f' and the model {base}' if base else ''} are known.",
        f"{n} different places of one model" + (", or one place and a second model." if n == 2 else "."),
        "Say it behind the source: 'FOLDER?reads=1:block_output,3:block_output'"
        + (", or 'FOLDER?reads=3:block_output&base=MODEL' for one of two models, the other first." if n == 2 else "."),
    )


def _shaped(path: Path, found: Mapping[str, Tensor], names: tuple[str, str, str, str]) -> list[Tensor]:
    """Encoder (input, width, feature), bias, decoder (input, feature, width) and what is added of no feature."""
    encoder: Any = found.get(names[0])
    if any(name not in found for name in names) or encoder.ndim != 3:
        raise SteeringError(
            f"{path} has no {', '.join(name for name in names if name not in found) or f'{names[0]} of three axes'}.",
            "the weights of a crosscoder.",
            "Fetch or train it again.",
        )
    n, width, features = encoder.shape
    decoder = found[names[2]]
    if tuple(decoder.shape) == (features, n, width) and n != features:
        decoder = decoder.transpose(0, 1)
    shapes = [tuple(each.shape) for each in (found[names[1]], decoder, found[names[3]])]
    if shapes != [(features,), (n, features, width), (n, width)]:
        raise SteeringError(
            f"{path} holds an encoder of {tuple(encoder.shape)}, and beside it weights of "
            f"{', '.join(map(str, shapes))}.",
            f"({features},), {(n, features, width)} and {(n, width)}.",
            "Fetch or train it again.",
        )
    return [encoder, found[names[1]], decoder, found[names[3]]]


def _over(threshold: float, lengths: Tensor) -> Tensor:
    """What z must exceed where z times the decoders' lengths must exceed a threshold; no number does at length 0."""
    return torch.where(lengths > 0, threshold / lengths.clamp(min=1e-30), torch.inf if threshold >= 0 else 0.0)
