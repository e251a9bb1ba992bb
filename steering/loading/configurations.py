"""A model's configuration: read, held against what a configuration can say, and what it says under many names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import CONFIG_MAPPING, AutoConfig, PretrainedConfig
from transformers import __version__ as transformers_version

from steering.errors import SteeringError
from steering.loading.checkpoints import Checkpoint
from steering.loading.demo_models import CONFIG
from steering.loading.load_errors import load_error


if TYPE_CHECKING:
    from steering.loading.options import LoadOptions

_LARGEST = {"layer": 10_000, "block": 1_000_000, "expert": 100_000}
"""The most that a number may say whose name has this word in it."""
_LARGEST_NUMBER = 10_000_000_000
_CONTEXT = (
    "max_position_embeddings",
    "max_seq_len",
    "n_positions",
    "seq_length",
    "max_sequence_length",
    "max_seq_length",
    "n_ctx",
    "context_length",
    "max_context_length",
    "block_size",
    "model_max_length",
)
"""Names under which configurations tell the most positions."""
_UNTOLD = 10**9
"""A tokenizer that knows no limit says 10^30."""
_ASSUMED = 2048


def read_configuration(name: str, checkpoint: Checkpoint, options: LoadOptions) -> tuple[Any, dict[str, Any]]:
    """The configuration, as transformers understands it and as it is written.

    Args:
        name: What the user typed, for messages.
        checkpoint: Where it lies.
        options: Revision and trust.

    Raises:
        SteeringError: It cannot be read, says what no model has, names a type that transformers does not know, or
            comes with code that is not trusted.
    """
    written = _written(name, checkpoint, options)
    _check_numbers(name, written)
    own_code = bool(written.get("auto_map")) and options.trust_remote_code
    if not own_code:
        _check_type(name, written)
    try:
        config = AutoConfig.from_pretrained(
            checkpoint.path,
            revision=options.revision,
            trust_remote_code=options.trust_remote_code,
            **({"gguf_file": checkpoint.gguf} if checkpoint.gguf else {}),
        )
    except Exception as error:  # transformers, its validators and a model's own code raise what they like
        raise load_error(name, checkpoint, error, "its configuration cannot be read") from error
    return config, written


def _written(name: str, checkpoint: Checkpoint, options: LoadOptions) -> dict[str, Any]:
    if checkpoint.folder is not None and checkpoint.gguf is None:
        return read_json(checkpoint.folder / CONFIG)
    gguf = {"gguf_file": checkpoint.gguf} if checkpoint.gguf else {}
    try:
        written, _ = PretrainedConfig.get_config_dict(checkpoint.path, revision=options.revision, **gguf)
    except Exception as error:  # see read_configuration
        raise load_error(name, checkpoint, error, "its configuration cannot be read") from error
    return written if isinstance(written, dict) else {}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds one object.

    Raises:
        SteeringError: It holds something else.
    """
    from steering.loading.weight_files import check_no_pointer

    try:
        check_no_pointer(path)
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]
        raise SteeringError(f"'{path}' is no JSON: {reason}.", "one JSON object.", "Mend the file.") from error
    except OSError as error:
        raise SteeringError(f"'{path}' cannot be read: {error.strerror}.", "one JSON object.") from error
    if not isinstance(content, dict):
        raise SteeringError(f"'{path}' holds a {type(content).__name__}.", "one JSON object.", "Mend the file.")
    return content


def _check_type(name: str, written: dict[str, Any]) -> None:
    if written.get("auto_map") and written.get("model_type") not in CONFIG_MAPPING:
        raise SteeringError(
            f"The model '{name}' comes with its own Python code, which was not run.",
            "a model that transformers knows, or your explicit trust.",
            "Read that code, then load again with trust_remote_code (--trust-remote-code on the command line).",
        )
    kind = written.get("model_type")
    if not isinstance(kind, str) or not kind:
        raise SteeringError(
            f"The configuration of '{name}' says no model_type.",
            "the config.json of a Hugging Face model; other layouts (Meta's params.json, a training configuration) "
            "have to be converted.",
            "Point to a converted model.",
        )
    if kind not in CONFIG_MAPPING:
        saved = written.get("transformers_version")
        by = f" It was saved by transformers {saved}." if isinstance(saved, str) else ""
        raise SteeringError(
            f"The model '{name}' is of type '{kind}', which transformers {transformers_version} does not know.{by}",
            "a type that this version knows.",
            "Install a newer transformers (pip install -U transformers), or correct model_type in config.json.",
        )


def _check_numbers(name: str, written: dict[str, Any]) -> None:
    for key, number in _numbers(written):
        lower = key.lower()
        if any(word in lower for word in ("position", "length", "token", "ctx", "seq", "window", "theta", "max")):
            largest = 10**18
        else:
            largest = next((most for word, most in _LARGEST.items() if word in lower), _LARGEST_NUMBER)
        if abs(number) > largest:
            raise SteeringError(
                f"The configuration of '{name}' says {key} = {_short(number)}.",
                f"at most {largest:,}, which no model comes near.",
                "Mend config.json, or download it again.",
            )


def _short(number: int | float) -> str:
    return f"{number:,}" if abs(number) < 1e21 else f"{number:.3g}" if abs(number) < 1e300 else "a number past 1e300"


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _numbers(item, str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _numbers(item, key)
    elif isinstance(value, int):
        yield key, value


def stated_width(config: Any) -> int | None:
    """The width of the residual stream according to a configuration; None where it does not say."""
    stated = (getattr(text_config(config), name, None) for name in ("hidden_size", "n_embd", "d_model"))
    return next((n for n in stated if isinstance(n, int)), None)


def text_config(config: Any) -> Any:
    """The part of a configuration that speaks of the decoder; the whole where it has no parts."""
    get = getattr(config, "get_text_config", None)
    return get() if callable(get) else config


def number_of_blocks(config: Any) -> int | None:
    """How many blocks the configuration says; None where it says nothing under a usual name."""
    text = text_config(config)
    found = (getattr(text, name, None) for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"))
    return next((number for number in found if isinstance(number, int) and number > 0), None)


def context_of(config: Any, tokenizer: Any) -> tuple[int, str]:
    """The most positions, prompt and reply together, and a note where the configuration does not say it."""
    for part in (text_config(config), config):
        if number := _positions(part):
            return number, ""
    limit = getattr(tokenizer, "model_max_length", None)
    if isinstance(limit, int) and 0 < limit < _UNTOLD:
        return limit, f"The context of {limit} tokens is the tokenizer's; the configuration says none."
    return _ASSUMED, f"The configuration says no context length; {_ASSUMED} tokens are assumed."


def _positions(part: Any) -> int | None:
    """What a configuration says of its positions: rather what its file says than what every model of its class has."""
    found = {name: getattr(part, name, None) for name in _CONTEXT}
    numbers = {name: number for name, number in found.items() if isinstance(number, int) and number > 0}
    told = [n for name, n in numbers.items() if n != getattr(type(part), name, None) and name != "block_size"]
    return next(iter((*told, *numbers.values())), None)
