"""Faults of a dictionary's files that loading alone would not show; each is told with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, ValidationError

from steering.dictionaries.files import Content
from steering.errors import SteeringError
from steering.validation import validation_error


_TOPK = ("topk", "abstopk", "batchtopk")
_PLAIN = ("standard", "gated", "transcoder", "skip_transcoder")
"""Architectures whose features are active wherever they are above 0."""
_SEVERAL = ("crosscoder", "clt", "cross_layer", "crosslayer", "cross-layer")


_Count = Annotated[int, Field(strict=True, gt=0)]


class Configuration(BaseModel, extra="allow"):
    """What sae-lens takes for granted of a configuration; the rest may be anything."""

    architecture: str = "standard"
    d_in: _Count
    d_sae: _Count
    d_out: _Count | None = None
    k: _Count | None = None
    apply_b_dec_to_input: StrictBool = True
    rescale_acts_by_decoder_norm: StrictBool = False
    normalize_activations: str | bool | None = None
    reshape_activations: str | None = None
    activation_fn: str | None = None
    activation_fn_str: str | None = None
    activation_fn_kwargs: dict[str, Any] | None = None
    sae_lens_version: str | None = None
    hook_name: str | None = None
    model_name: str | None = None
    metadata: dict[str, Any] = {}


class Metadata(BaseModel, extra="allow"):
    """The same of its metadata."""

    sae_lens_version: str | None = None
    model_name: str | None = None
    hook_name: str | None = None
    hook_name_out: str | None = None
    hf_hook_name: str | None = None
    hf_hook_name_out: str | None = None
    hook_head_index: int | None = None
    model_from_pretrained_kwargs: dict[str, Any] | None = None
    training_architecture: str | None = None


def check_content(content: Content, known: tuple[str, ...]) -> None:
    """Look at what was read, before sae-lens makes an object of it.

    Args:
        content: What the files hold.
        known: The architectures that sae-lens has.

    Raises:
        SteeringError: What sae-lens would read wrongly, or not at all.
    """
    config = content.config
    _check_one_state(content)
    try:
        Configuration.model_validate(config)
        Metadata.model_validate(config.get("metadata", {}))
    except ValidationError as error:
        raise validation_error(f"The configuration of '{content.name}'", error) from error
    kind = str(config.get("architecture", "standard"))
    if kind not in known:
        raise SteeringError(
            f"The dictionary '{content.name}' has the architecture '{kind[:60]}'.",
            f"one of {', '.join(known)}.",
            "Convert it to one of them, or load it with the library that wrote it.",
        )
    _check_state(content)
    _check_normalisation(content)
    _check_shape(content)


def check_topk(content: Content, architecture: str, k: object) -> None:
    """Refuse a TopK dictionary that was read as another: as ReLU, hundreds of its features would seem active (#553).

    Args:
        content: What the files hold.
        architecture: As what sae-lens has read it.
        k: How many features it has read to be active; where files say nothing, sae-lens takes 100.

    Raises:
        SteeringError: Its settings say TopK, or not how many.
    """
    config = content.config
    said = [config.get(key) for key in ("activation_fn", "activation_fn_str", "activation")]
    said += [_metadata(config).get("training_architecture")]
    counted = config.get("k") or (config.get("activation_fn_kwargs") or {}).get("k")
    if architecture in _PLAIN and (counted or any(str(each).lower() in _TOPK for each in said)):
        raise SteeringError(
            f"'{content.name}' is a TopK dictionary by its settings, but calls itself '{architecture}', as which every "
            "feature above 0 would be active.",
            'the architecture "topk" with its k.',
            "Correct `architecture` in its cfg.json, or fetch it again: sae-lens has mended its own releases.",
        )
    if architecture in _TOPK and not (counted and type(k) is int and 0 < k <= config["d_sae"]):
        raise SteeringError(
            f"'{content.name}' is a TopK dictionary with k = {str(k)[:40] if counted else 'nothing'}.",
            f"k from 1 to {config['d_sae']}: how many features are active.",
            "Correct its configuration.",
        )


def normalisation(config: Mapping[str, Any]) -> str:
    """How states are normalised, in today's words; earlier versions wrote true or false."""
    said = config.get("normalize_activations")
    return {None: "none", False: "none", True: "expected_average_only_in"}.get(said, said)  # type: ignore[return-value]


def _check_one_state(content: Content) -> None:
    """Refuse what reads or gives several states: a crosscoder of several models or blocks, a cross-layer transcoder."""
    said = " ".join(str(content.config.get(key, "")) for key in ("architecture", "model_kind", "type", "dict_class"))
    encoder = content.tensors.get("W_enc")
    several = any(word in said.lower() for word in _SEVERAL) or (encoder is not None and encoder.ndim > 2)
    if several:
        raise SteeringError(
            f"'{content.name}' is a crosscoder or cross-layer transcoder: its features read or give several states at "
            "once, of several blocks or models.",
            "a dictionary of one state: an autoencoder, or a transcoder of one MLP.",
            "Choose a dictionary of one block. Which features a crosscoder of two models has, its own study tells.",
        )


def _check_state(content: Content) -> None:
    """Refuse states that no site has: one head's, or all heads' side by side."""
    config = {**_metadata(content.config), **content.config}
    if config.get("reshape_activations") not in (None, "none") or config.get("hook_head_index") is not None:
        raise SteeringError(
            f"'{content.name}' reads single attention heads (before the output projection), which no site has.",
            "a dictionary of a block's input or output, or of what attention or MLP add.",
            "Choose a dictionary of the residual stream or of the MLP.",
        )


def _check_normalisation(content: Content) -> None:
    kind = normalisation(content.config)
    if kind == "covariance_whitening":
        raise SteeringError(
            f"'{content.name}' was saved without its whitening: its configuration asks for whitened states, and the "
            "matrix for it is not in the file.",
            "weights into which the whitening is folded, as sae-lens saves them at the end of training.",
            "Save it again with `fold_activation_whitening`.",
        )


def _check_shape(content: Content) -> None:
    """Look at the decoder's shape before an object of the configuration's size is made."""
    config, decoder = content.config, content.tensors.get("W_dec")
    size = (config["d_sae"], config.get("d_out") if "transcoder" in str(config.get("architecture")) else config["d_in"])
    if decoder is not None and size[1] is not None and tuple(decoder.shape) != size:
        raise SteeringError(
            f"The decoder of '{content.name}' has the shape {tuple(decoder.shape)}.",
            f"{size}, as its configuration says.",
            "Fetch the files again.",
        )


def _metadata(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("metadata")
    return found if isinstance(found, Mapping) else {}
