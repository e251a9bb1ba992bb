"""Loading a causal language model and its tokenizer: what is found, how it is read, and what was noticed on the way."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from weakref import finalize

import torch

from steering.errors import SteeringError
from steering.lane import Job
from steering.loading.adapters import Adapter, apply_adapter, find_adapter
from steering.loading.block_list import name_outputs
from steering.loading.checkpoints import Checkpoint, check_present, locate
from steering.loading.configurations import number_of_blocks, read_configuration
from steering.loading.generation_settings import about_generation, check_generation_file
from steering.loading.gguf_models import check_gguf
from steering.loading.load_errors import load_error
from steering.loading.missing_weights import check_finite, check_loaded
from steering.loading.model_kinds import about_head, is_wrapper, model_class, text_generator
from steering.loading.model_sizes import check_size
from steering.loading.options import LoadOptions
from steering.loading.placement import check_at_hand, placement_note, placing
from steering.loading.quantised import on_load, stored_quantisation
from steering.loading.tensor_parallel import check_alone, dividing, parts
from steering.loading.tokenizer_files import about_tokens, quiet, read_tokenizer
from steering.loading.weight_files import Stored, check_weights


__all__ = ["DTYPES", "Loaded", "load_model", "locate"]

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Loaded:
    """A model that was read, and what there is to say about it."""

    model: Any
    tokenizer: Any
    source: str
    n_blocks: int | None
    """By its configuration."""
    revision: str | None
    adapter: str | None = None
    """LoRA or DoRA, where the name is an adapter's."""
    base: str | None = None
    """What the adapter was applied to."""
    quantisation: str | None = None
    """How its weights are stored, where they are quantised."""
    notes: tuple[str, ...] = ()
    """What was noticed, a sentence each."""


def load_model(name: str, options: LoadOptions, job: Job[Any]) -> Loaded:
    """Read a model and its tokenizer. Call on the model thread.

    Args:
        name: A demo model, a folder (a model's or an adapter's), a GGUF file or a Hub id.
        options: How.
        job: Told how far it is.

    Raises:
        SteeringError: What stands against it, by its cause.
    """
    job.report(0, 3, "reading the configuration")
    checkpoint = locate(name)
    adapter = find_adapter(name, checkpoint, base=options.base, revision=options.revision)
    if adapter is None:
        return _load_whole(name, checkpoint, options, job)
    return _load_adapted(name, checkpoint, adapter, options, job)


def _load_adapted(name: str, checkpoint: Checkpoint, adapter: Adapter, options: LoadOptions, job: Job[Any]) -> Loaded:
    check_alone(options, adapter=True)
    base_options = replace(options, revision=adapter.base_revision, base=None)
    try:
        where = locate(adapter.base)
        if where.folder is not None and find_adapter(adapter.base, where, base=None, revision=None):
            raise SteeringError(f"'{adapter.base}' is an adapter itself.", "a whole model.", "Merge it first.")
        base = _load_whole(adapter.base, where, base_options, job, tokenizer_from=adapter.folder)
    except SteeringError as error:
        said = f"The base of the {adapter.kind} adapter '{name}' cannot be loaded. {error.given}"
        remedy = f"{error.remedy} Or name the base that you have: --base (LoadOptions.base; on the page under More)."
        raise SteeringError(said, error.expected, remedy) from error
    check_at_hand(base.model, adapter.base, "adding an adapter to them")
    model, note = apply_adapter(name, adapter, base.model)
    check_finite(name, model)
    return replace(
        base,
        model=model.eval(),
        source=checkpoint.source,
        revision=options.revision if checkpoint.source == "hub" else base.revision,
        adapter=adapter.kind,
        base=adapter.base,
        notes=(note, *base.notes),
    )


def _load_whole(
    name: str, checkpoint: Checkpoint, options: LoadOptions, job: Job[Any], *, tokenizer_from: Path | None = None
) -> Loaded:
    # Of a GGUF file transformers reads the configuration itself; of a folder its kind is told before its weights are.
    stored = check_gguf(Path(checkpoint.path) / checkpoint.gguf) if checkpoint.gguf else None
    config, written = read_configuration(name, checkpoint, options)
    own_code = bool(written.get("auto_map")) and options.trust_remote_code
    loader = model_class(name, config, own_code=own_code)
    if checkpoint.folder is not None and stored is None:
        check_present(checkpoint.folder)
        stored = check_weights(checkpoint.folder)
    quantisation = stored_quantisation(name, written)
    _check_packed(name, stored, quantisation)
    _check_embedding_model(name, checkpoint, options)
    device = _device(options.device)
    dtype = _dtype(options.dtype, device)
    placed = (
        None if options.device_map or options.tensor_parallel > 1 or options.quantisation or quantisation else device
    )
    precision = dtype if isinstance(dtype, torch.dtype) else getattr(config, "dtype", None) or torch.float32
    check_size(name, loader, config, stored=stored, dtype=precision, device=placed, own_code=own_code)
    tokenizer = read_tokenizer(name, checkpoint, options, tokenizer_from)
    check_generation_file(checkpoint.folder)
    job.report(1, 3, "reading the weights")
    model, loading = _weights(name, checkpoint, config, loader, options, device, dtype)
    name_outputs(model)
    notes = [placement_note(model), *check_loaded(name, model, loading, allow=options.allow_missing)]
    notes.append(about_head(model, next(iter(getattr(config, "architectures", None) or ()), None)))
    check_finite(name, model)
    if is_wrapper(model.config):
        notes.append(f"The language model of a {type(model).__name__}: text alone, its other parts are not used.")
        model = text_generator(model)
    notes += [*about_tokens(model, tokenizer), *about_generation(model)]
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        source=checkpoint.source,
        n_blocks=number_of_blocks(model.config),
        revision=options.revision,
        quantisation=_how_stored(checkpoint, options, quantisation),
        notes=tuple(note for note in notes if note),
    )


def _how_stored(checkpoint: Checkpoint, options: LoadOptions, stored: str | None) -> str | None:
    if checkpoint.gguf:
        return "GGUF, dequantised"
    return f"quantised to {options.quantisation}" if options.quantisation else stored


def _check_packed(name: str, stored: Stored | None, quantisation: str | None) -> None:
    if stored is not None and stored.whole_numbers and not quantisation:
        raise SteeringError(
            f"The weights of '{name}' are whole numbers ({stored.whole_numbers[0]} and others): quantised, and its "
            "configuration does not say how (quantization_config).",
            "weights as numbers, or a configuration that says how they are packed.",
            "Download the model again with the config.json that belongs to it.",
        )


def _check_embedding_model(name: str, checkpoint: Checkpoint, options: LoadOptions) -> None:
    if checkpoint.folder and (checkpoint.folder / "modules.json").exists() and not options.allow_missing:
        raise SteeringError(
            f"'{name}' is an embedding model of sentence-transformers (modules.json): its output head was not trained.",
            "a causal language model.",
            "Load the model that it was made from; --allow-missing (LoadOptions.allow_missing) loads it all the same.",
        )


def _weights(
    name: str, checkpoint: Checkpoint, config: Any, loader: Any, options: LoadOptions, device: torch.device, dtype: Any
) -> tuple[Any, dict[str, Any]]:
    keywords: dict[str, Any] = {"revision": options.revision, "dtype": dtype, "output_loading_info": True}
    # What does not fit is named by `check_loaded`, all of it at once.
    keywords |= {"ignore_mismatched_sizes": True, "trust_remote_code": options.trust_remote_code}
    if options.quantisation:
        keywords["quantization_config"] = on_load(options.quantisation)
    if checkpoint.gguf:
        from transformers import GgufConfig

        keywords |= {"gguf_file": checkpoint.gguf, "quantization_config": GgufConfig(dequantize=True)}
    keywords |= placing(options, device)
    keywords |= dividing(name, config, options, GGUF=checkpoint.gguf)
    written = keywords.get("offload_folder")
    try:
        with quiet():
            model, loading = loader.from_pretrained(checkpoint.path, **keywords)
            if written:
                finalize(model, shutil.rmtree, written, ignore_errors=True)  # with the model, or the program
            placed = getattr(model, "hf_device_map", None) or parts(model) > 1
            return model if placed else model.to(device), loading
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # transformers, torch and a model's own code raise what they like
        raise load_error(name, checkpoint, error, "its weights cannot be read") from error


def _dtype(name: str, device: torch.device) -> Any:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if name not in DTYPES:
        raise SteeringError(f"The dtype '{name}' was asked for.", f"auto, {', '.join(DTYPES)}.", "Choose one of these.")
    return DTYPES[name]


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        return device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SteeringError(
            f"The device '{name}' cannot be used: {str(error).splitlines()[0]}",
            "auto, cpu, cuda, cuda:1, mps, …, as far as this machine has them.",
            "Choose another device.",
        ) from error
