"""From a source to a dictionary: find its files, check them, let sae-lens make its object, say where it belongs."""

from __future__ import annotations

import hashlib
import warnings
from collections import OrderedDict
from dataclasses import fields, replace
from pathlib import Path
from threading import Lock
from typing import Any

import torch

from steering.confines import check_hub
from steering.dictionaries import cross_layer, crosscoder_files, sources
from steering.dictionaries.checks import check_content, check_topk, normalisation
from steering.dictionaries.dictionary import Dictionary, Kind, Where
from steering.dictionaries.encoding import architecture, is_transcoder
from steering.dictionaries.files import CFG, WEIGHTS, Content
from steering.dictionaries.hooks import read_hook, say_where
from steering.dictionaries.inputs import Input
from steering.dictionaries.layers import Layers
from steering.dictionaries.releases import HUB, read_release, release_of, why_summed
from steering.dictionaries.said_places import said_places
from steering.dictionaries.sources import dictionaries_at_hand, placed, read, stamp
from steering.dictionaries.told import Told, parted, told
from steering.errors import SteeringError
from steering.model.sites import SITES


MOST_KEPT = 400_000_000
"""Weights of dictionaries that stay loaded: 1.6 GB, as one of 65,000 features has at width 2,304. One always stays."""
__all__ = ["MOST_KEPT", "check_source", "dictionaries_at_hand", "load_dictionary", "why_read_only"]
_kept: OrderedDict[Any, Dictionary] = OrderedDict()
_lock = Lock()


def load_dictionary(
    source: str | Path,
    *,
    width: int | None = None,
    reads: str | Where | None = None,
    gives: str | Where | None = None,
    scale: float | None = None,
) -> Dictionary:
    """Load a dictionary onto the CPU, in float32; one that was loaded lately is given again.

    Args:
        source: A folder or file, the name of a shipped one (`dictionaries_at_hand`), a release of sae-lens with its id,
            or `hub:owner/name/folder`. Behind it may stand what the files do not say: `FOLDER?reads=3:block_output`.
        width: The width of the model that it is to be used with; None leaves this unchecked.
        reads: Block and site that it reads, where the files do not say; `(3, "block_output")` or `3:block_output`.
        gives: Block and site that a transcoder gives.
        scale: The factor that its training multiplied states by, where the files ask for one and do not have it.

    Raises:
        SteeringError: No dictionary there, damaged files, another width, or what the files do not say.
    """
    plain, said = parted(str(source))
    if reads is not None or gives is not None or scale is not None:
        given = told(reads, gives, scale)
        said = _joined(said, given)
    if plain.startswith(HUB):
        check_hub(plain)  # also where somebody else has loaded it before
    place = None if plain.startswith(HUB) else placed(plain)
    key = (str(place[0]), said, stamp(place[0])) if place else (plain, said)
    with _lock:
        found = _kept.get(key)
    if found is None:  # others need not wait meanwhile
        found = built(read(place[0]), place[1], said) if place else _fetched(plain, said)
    with _lock:
        _kept.pop(key, None)
        _kept[key] = found
        while len(_kept) > 1 and sum(map(_size, _kept.values())) > MOST_KEPT:
            _kept.popitem(last=False)
    if width is not None and found.width_in != width:
        raise SteeringError(
            f"The dictionary '{found.name}' reads states of width {found.width_in}.",
            f"width {width}, the model's own.",
            "Load the model that it was trained on, or choose another dictionary.",
        )
    return found


def check_source(source: str) -> None:
    """Refuse a source that names no dictionary, without reading one or asking the network.

    Raises:
        SteeringError: There is no file, release or repository of that name, or it may not be read here.
    """
    plain, _ = parted(source)
    if plain.startswith(HUB):
        check_hub(plain)
    if (plain.startswith(HUB) or placed(plain) is None) and release_of(plain) is None:
        raise _missing(plain)


def why_read_only(source: str) -> str:
    """Why nothing is written by a dictionary's features, as far as its files tell before they are read; "" for others.

    Raises:
        SteeringError: It may not be read here.
    """
    plain, _ = parted(source)
    place = None if plain.startswith(HUB) else placed(plain)
    return sources.why_read_only(place[0]) if place else why_summed(plain)


def _size(dictionary: Dictionary) -> int:
    return sum(each.numel() for each in dictionary.sae.parameters())


def _fetched(source: str, said: Told) -> Dictionary:
    """A dictionary that sae-lens knows by its release."""
    if release := release_of(source):
        return built(read_release(*release), source, said)
    raise _missing(source)


def _missing(source: str) -> SteeringError:
    return SteeringError(
        f"There is no dictionary '{source[:200]}'.",
        f"a folder with {CFG} and {WEIGHTS}, a release of sae-lens with its id, {HUB}owner/name/folder, or one of "
        f"{', '.join(dictionaries_at_hand())}.",
        "Correct the path or name.",
    )


def built(content: Content, source: str, said: Told) -> Dictionary:
    """A dictionary of what was read.

    Args:
        content: What the files hold.
        source: What loads it again, without what is told.
        said: What the user says of it.

    Raises:
        SteeringError: What the files hold is wrong, or does not say where it belongs.
    """
    inputs: tuple[Input, ...] = ()
    where = said
    if isinstance(content.several, crosscoder_files.RawCrosscoder):
        content, inputs = crosscoder_files.placed_at(content, said)
        where = Told(scale=said.scale)  # its places are said by now
    elif said.also or said.base:
        raise SteeringError(
            f"Several places or a second model were told of '{content.name}', which reads one state.",
            "one place; only a crosscoder reads several.",
            "Leave the others out.",
        )
    sae, notes = _made(content, said)
    metadata = vars(sae.cfg.metadata)  # which has any names, those of its own methods, too
    reads, gives, hooks, more = said_places(content.name, metadata, is_transcoder(sae), where)
    if gives[1] not in SITES:
        raise SteeringError(
            f"'{content.name}' is said to give {gives[1]} of block {gives[0]}, which is only read.",
            f"one of {', '.join(SITES)}.",
            say_where("Say what it gives"),
        )
    layers = content.several if isinstance(content.several, Layers) else None
    if layers is not None and said.reads is None:
        inputs = cross_layer.inputs_of(content, reads[0])
    kind, named, read_only = _sort(sae, inputs, layers)
    before_weight = bool(hooks[0]) and read_hook(hooks[0]).before_weight
    if before_weight:
        more = (
            *more,
            f"It reads the normed state before the norm's learnt weight ({hooks[0]}): on a model, that weight is taken "
            "off what enters the MLP.",
        )
    return Dictionary(
        name=content.name,
        source=source + said.words,
        digest=digest_of(sae),
        kind=kind,
        architecture=named,
        reads=reads,
        gives=gives,  # type: ignore[arg-type]
        model=str(metadata.get("model_name") or ""),
        sae=sae,
        card=content.card or dict(metadata),
        notes=(*content.notes, *notes, *more),
        hooks=hooks,
        before_weight=before_weight,
        centred=bool((metadata.get("model_from_pretrained_kwargs") or {}).get("center_writing_weights")),
        inputs=inputs,
        read_only=read_only,
        layers=layers,
    )


def _sort(sae: Any, inputs: tuple[Input, ...], layers: Layers | None) -> tuple[Kind, str, str]:
    """What it is, as what that is named, and why it is read only."""
    if layers is not None:
        return cross_layer.CLT, cross_layer.CLT, cross_layer.READ_ONLY
    if inputs:
        return crosscoder_files.CROSSCODER, crosscoder_files.CROSSCODER, crosscoder_files.READ_ONLY
    return "transcoder" if is_transcoder(sae) else "autoencoder", architecture(sae), ""


def digest_of(sae: Any) -> str:
    """A digest of a dictionary's weights and of what encoding depends on, 16 hex digits."""
    config = {key: value for key, value in sae.cfg.to_dict().items() if key not in ("device", "dtype", "metadata")}
    digest = hashlib.sha256(repr(sorted(config.items())).encode())
    for name, tensor in sorted(sae.state_dict().items()):
        digest.update(repr((name, tuple(tensor.shape))).encode())
        digest.update(memoryview(tensor.detach().cpu().contiguous().numpy()).cast("B"))
    return digest.hexdigest()[:16]


def _made(content: Content, said: Told) -> tuple[Any, tuple[str, ...]]:
    """The sae-lens object of what was read, by sae-lens' own loading, and notes."""
    from sae_lens import SAE
    from sae_lens.registry import SAE_CLASS_REGISTRY

    check_content(content, tuple(SAE_CLASS_REGISTRY))
    config = {
        **content.config,
        "dtype": "float32",
        "device": "cpu",
        "normalize_activations": normalisation(content.config),
    }
    if "transcoder" in str(config.get("architecture")):
        config.setdefault("apply_b_dec_to_input", False)  # sae-lens knows no transcoder that subtracts what it gives
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on how to load the model with TransformerLens; see `Dictionary.centred`
            with torch.device("meta"):  # some parts are made in full size before weights take their place
                sae = SAE.load_from_disk(
                    "", converter=lambda path, device, cfg_overrides: (config, dict(content.tensors))
                ).eval()
    except Exception as error:  # sae-lens and torch each raise their own
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SteeringError(
            f"The dictionary '{content.name}' cannot be read: {' '.join(line.strip() for line in reason)[:300]}",
            "a configuration and weights that belong to each other.",
            "Fetch or train it again.",
        ) from error
    check_topk(content, architecture(sae), getattr(sae.cfg, "k", None))
    notes: tuple[str, ...] = ()
    if sae.cfg.normalize_activations == "expected_average_only_in":
        notes = _scaled(sae, content, said)
    elif said.scale is not None:
        raise SteeringError(
            f"A scale was given for '{content.name}', whose states are not scaled by one factor.",
            "a scale only where the files ask for one.",
            "Leave it out.",
        )
    sae.requires_grad_(False)
    return sae, notes


def _scaled(sae: Any, content: Content, said: Told) -> tuple[str, ...]:
    """Fold the factor of states into the weights, as sae-lens does for its own releases."""
    factor, root = content.scale if said.scale is None else said.scale, sae.cfg.d_in**0.5
    if factor is None:
        raise SteeringError(
            f"'{content.name}' was trained on states that one factor brought to a mean length of √{sae.cfg.d_in}, and "
            "its files do not have that factor.",
            f"the factor, which is √{sae.cfg.d_in} = {root:.4g} over the states' mean length in training.",
            "Say it behind the source: 'FOLDER?scale=0.25'.",
        )
    sae.fold_activation_norm_scaling_factor(factor)
    said_by = "its release says" if said.scale is None else "was told"
    return (f"Its training multiplied states by {factor:g}, as {said_by}; that is folded into its weights.",)


def _joined(said: Told, more: Told) -> Told:
    """What stands behind a source, and what else is said, which goes first."""
    known = {each.name: value for each in fields(Told) if (value := getattr(more, each.name)) not in (None, ())}
    return replace(said, **known)
