"""Adapters: a LoRA or DoRA folder, its base, and the base with the adapter applied, by peft."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from steering.errors import SteeringError
from steering.loading.checkpoints import ADAPTER, WEIGHTS, Checkpoint
from steering.loading.configurations import read_json
from steering.loading.demo_models import demo_models
from steering.loading.load_errors import first_line, load_error
from steering.loading.weight_files import check_no_pointer, read_header


_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_KIND = "a LoRA or DoRA adapter of a causal language model, as peft saves it"
_EMBEDDINGS = ("embed_tokens", "lm_head", "wte", "word_embeddings", "embed_in", "embed_out", "embeddings")
_NEVER_MERGED = {
    **dict.fromkeys(
        (
            "PROMPT_TUNING",
            "MULTITASK_PROMPT_TUNING",
            "P_TUNING",
            "PREFIX_TUNING",
            "CPT",
            "ADAPTION_PROMPT",
            "CARTRIDGE",
        ),
        "learned vectors that stand before the prompt",
    ),
    **dict.fromkeys(("XLORA", "POLY"), "several adapters, mixed anew for every text"),
}
"""Kinds that cannot be added to a base's weights, and what they are."""


@dataclass(frozen=True)
class Adapter:
    """An adapter that was found, before its weights are read."""

    folder: Path
    kind: str
    """LoRA or DoRA."""
    base: str
    """Its base: a folder or a Hub id."""
    base_revision: str | None


def find_adapter(name: str, checkpoint: Checkpoint, *, base: str | None, revision: str | None) -> Adapter | None:
    """The adapter that a name names; None where it names a whole model.

    Args:
        name: What the user typed, for messages.
        checkpoint: Where it lies.
        base: The base to use in place of the one that the adapter names.
        revision: Of an adapter on the Hub, or of the base of a local one.

    Raises:
        SteeringError: An adapter of another kind, without weights, or whose base is not there; a base for what is no
            adapter.
    """
    folder = _folder(name, checkpoint, revision)
    if folder is None:
        if base:
            raise SteeringError(
                f"'{name}' is no adapter, but the base '{base}' was named for it.",
                f"a folder with {ADAPTER}.",
                "Leave --base out, or name an adapter.",
            )
        return None
    said = read_json(folder / ADAPTER)
    kind = _kind(name, said)
    _check_files(name, folder, base)
    local_revision = revision if checkpoint.source != "hub" else None
    stated = said.get("revision")
    return Adapter(
        folder=folder,
        kind=kind,
        base=_base(name, folder, said.get("base_model_name_or_path"), base),
        base_revision=local_revision or (stated if isinstance(stated, str) and not base else None),
    )


def _folder(name: str, checkpoint: Checkpoint, revision: str | None) -> Path | None:
    if checkpoint.folder is not None:
        return checkpoint.folder if (checkpoint.folder / ADAPTER).exists() and not checkpoint.gguf else None
    from huggingface_hub import snapshot_download
    from transformers.utils.peft_utils import find_adapter_config_file

    try:
        if find_adapter_config_file(checkpoint.path, revision=revision) is None:
            return None
        kept = ["adapter_*", "*token*", "*.jinja", "vocab*", "merges.txt", "spiece.model"]
        return Path(snapshot_download(checkpoint.path, revision=revision, allow_patterns=kept))
    except Exception as error:  # the Hub's own, and what lies below it
        raise load_error(name, checkpoint, error, "it cannot be read") from error


def _kind(name: str, said: dict[str, Any]) -> str:
    kind, task = str(said.get("peft_type") or "unknown"), said.get("task_type")
    if kind in _NEVER_MERGED:
        raise SteeringError(
            f"The adapter '{name}' is of the kind {kind}: {_NEVER_MERGED[kind]}.",
            f"{_KIND}.",
            "It cannot be merged into weights either: load its base alone, or another adapter.",
        )
    if kind != "LORA":
        raise SteeringError(
            f"The adapter '{name}' is of the kind {kind}.",
            f"{_KIND}.",
            "Merge it into its base with peft, save the model, and load that.",
        )
    if task not in (None, "CAUSAL_LM"):
        raise SteeringError(f"The adapter '{name}' is for another task: {task}.", f"{_KIND}.", "Choose another one.")
    if said.get("alora_invocation_tokens"):
        raise SteeringError(
            f"The adapter '{name}' is an activated LoRA, which counts only behind certain tokens of a text.",
            f"{_KIND}, which counts everywhere.",
            "Load its base alone, or another adapter.",
        )
    return "DoRA" if said.get("use_dora") else "LoRA"


def _check_files(name: str, folder: Path, base: str | None) -> None:
    found = next((folder / each for each in _WEIGHTS if (folder / each).exists()), None)
    if found is None:
        raise SteeringError(
            f"The adapter '{name}' has no weights.", f"{' or '.join(_WEIGHTS)} beside {ADAPTER}.", "Download them too."
        )
    check_no_pointer(found)
    if found.suffix == ".safetensors":
        read_header(found)
    if not base and any((folder / each).exists() for each in WEIGHTS):
        raise SteeringError(
            f"The folder '{folder}' holds a whole model and an adapter: which of them is meant cannot be told.",
            "a folder for each.",
            f"Move the adapter (adapter_*) into a folder of its own, or name its base: --base '{folder}' would need "
            "such a folder as well.",
        )


def _base(name: str, folder: Path, stated: Any, given: str | None) -> str:
    if given:
        return given
    if not isinstance(stated, str) or not stated.strip():
        raise SteeringError(
            f"The adapter '{name}' does not say what its base is (base_model_name_or_path).",
            "the model that it was trained on.",
            "Name it: --base (LoadOptions.base).",
        )
    if stated in demo_models():
        return stated
    for place in (Path(stated), folder / stated):
        if place.exists():
            return str(place)
    if Path(stated).is_absolute() or stated.startswith((".", "~")) or stated.count("/") != 1:
        raise SteeringError(
            f"The base of the adapter '{name}' is not there: '{stated}'.",
            "the model that it was trained on.",
            "Name where it lies now: --base (LoadOptions.base).",
        )
    return stated


def apply_adapter(name: str, adapter: Adapter, model: Any) -> tuple[Any, str]:
    """The base with the adapter: W becomes W + (alpha / r) B A, rescaled to the trained norms for DoRA.

    Hu et al. 2021, arXiv 2106.09685; Liu et al. 2024, arXiv 2402.09353.

    Args:
        name: What the user typed, for messages.
        adapter: The adapter.
        model: The base as loaded; it is changed.

    Returns:
        The model, and a note on how the adapter was applied: added to the weights, or, where these are packed or
        shared, by layers of its own beside them.

    Raises:
        SteeringError: The adapter does not fit this base.
    """
    from peft import PeftModel
    from peft.utils import get_peft_model_state_dict, load_peft_weights

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what peft warns of is refused below
            weights = load_peft_weights(str(adapter.folder), device="cpu")
            _check_rank(name, adapter, weights)
            _make_room(model, weights)
            applied = PeftModel.from_pretrained(model, str(adapter.folder), torch_device=str(model.device))
            expected = set(get_peft_model_state_dict(applied, save_embedding_layers=False))
            _check_fit(name, adapter, expected, set(weights))
            reason = _why_beside(read_json(adapter.folder / ADAPTER), model, weights)
            how = (
                f"applied beside the weights of {adapter.base}, {reason}"
                if reason
                else f"added to the weights of {adapter.base}"
            )
            note = f"The {adapter.kind} adapter is {how}."
            return (applied.get_base_model() if reason else applied.merge_and_unload()), note
    except SteeringError:
        raise
    except Exception as error:  # peft raises what it likes where shapes or names do not fit
        raise _no_fit(name, adapter, first_line(error)) from error


def _why_beside(said: dict[str, Any], model: nn.Module, weights: dict[str, Any]) -> str:
    """Why an adapter cannot be added to the weights without changing what it computes; "" where it can."""
    if _is_quantised(model):
        return "which are quantised"
    if said.get("layer_replication"):
        return "which its repeated blocks share"
    if said.get("lora_bias"):
        return "which have no biases for its own to be added to"
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()  # type: ignore[operator]
    if head is not None and head.weight is embedding.weight and any(_of_embedding(k) and "lora_" in k for k in weights):
        return "which embedding and output head share"
    return ""


def _of_embedding(key: str) -> bool:
    """Whether a tensor of an adapter belongs to the embedding or the output head."""
    return any(part in _EMBEDDINGS for part in key.split("."))


def _check_rank(name: str, adapter: Adapter, weights: dict[str, Any]) -> None:
    """Refuse a rank past that of the weights, before matrices of that size are made."""
    said = read_json(adapter.folder / ADAPTER)
    pattern = said.get("rank_pattern")
    stated = [said.get("r"), *(pattern.values() if isinstance(pattern, dict) else ())]
    largest = max((max(tensor.shape, default=0) for tensor in weights.values()), default=0)
    if too_large := [rank for rank in stated if not isinstance(rank, int) or not 0 < rank <= largest]:
        raise _no_fit(name, adapter, f"it says a rank of {too_large[0]}, its weights have {largest} numbers a side")


def _make_room(model: Any, weights: dict[str, Any]) -> None:
    """An adapter that was trained with new tokens brings a longer embedding."""
    rows = model.get_input_embeddings().weight.shape[0]
    new = [
        len(tensor)
        for key, tensor in weights.items()
        if tensor.ndim == 2
        and "lora_" not in key
        and key.removesuffix(".base_layer.weight").removesuffix(".weight").endswith(_EMBEDDINGS)
    ]
    if new and max(new) != rows:
        model.resize_token_embeddings(max(new), mean_resizing=False)


def _check_fit(name: str, adapter: Adapter, expected: set[str], found: set[str]) -> None:
    # Whole embeddings, which peft saves beside what it adds to them, and twice after a resize.
    whole = ("modules_to_save", "original_module", *_EMBEDDINGS)
    paths = {key: key.rpartition(".")[0].removesuffix(".base_layer") for key in found if "lora_" not in key}
    own = {key for key, path in paths.items() if path.endswith(whole)}
    missing, left = sorted(expected - found), sorted(found - expected - own)
    if missing:
        raise _no_fit(name, adapter, f"its files lack {len(missing)} tensors that the base asks for: {missing[0]}")
    if left:
        raise _no_fit(name, adapter, f"{len(left)} of its tensors have no place in the base: {left[0]}")


def _no_fit(name: str, adapter: Adapter, reason: str) -> SteeringError:
    return SteeringError(
        f"The {adapter.kind} adapter '{name}' does not fit the base '{adapter.base}': {reason}",
        "the model that it was trained on.",
        "Name the right base: --base (LoadOptions.base).",
    )


def _is_quantised(model: nn.Module) -> bool:
    """Whether weights are packed, so that nothing can be added to them."""
    return getattr(model, "hf_quantizer", None) is not None and not all(
        each.is_floating_point() for each in model.parameters()
    )
