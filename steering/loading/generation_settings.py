"""What a model's generation_config says: its end tokens, and what its own `generate` does besides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steering.loading.configurations import read_json


_FILE = "generation_config.json"
_CHANGES: dict[str, tuple[Any, ...]] = {
    "repetition_penalty": (1,),
    "encoder_repetition_penalty": (1,),
    "no_repeat_ngram_size": (0,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "num_beams": (1,),
    "guidance_scale": (1,),
    "suppress_tokens": (),
    "begin_suppress_tokens": (),
    "bad_words_ids": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "sequence_bias": (),
    "exponential_decay_length_penalty": (),
    "watermarking_config": (),
    "stop_strings": (),
    "penalty_alpha": (0,),
    "dola_layers": (),
}
"""Settings that change what is written without sampling, and the values, beside None and nothing, that do not."""


def check_generation_file(folder: Path | None) -> None:
    """Refuse a damaged generation_config.json: transformers drops it in silence, and the end tokens with it.

    Raises:
        SteeringError: It is no JSON object.
    """
    if folder is not None and (folder / _FILE).exists():
        read_json(folder / _FILE)


def about_generation(model: Any) -> list[str]:
    """What the model's own `generate` would do to a greedy reply and the workbench does not, a sentence or none."""
    said = getattr(model, "generation_config", None)
    found = [f"{name} = {getattr(said, name)}"[:80] for name in _CHANGES if _counts(said, name)]
    if not found:
        return []
    return [f"The model's generation_config says {', '.join(found)}: replies here are decoded without."]


def _counts(said: Any, name: str) -> bool:
    value = getattr(said, name, None)
    return value is not None and value not in ([], "", *_CHANGES[name])


def end_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a reply: those of the generation configuration, and the tokenizer's own."""
    stated = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    return frozenset((*_ids(stated, tokenizer), *_ids(tokenizer.eos_token_id, tokenizer)))


def _ids(stated: Any, tokenizer: Any) -> Iterator[int]:
    """Token ids however they are written: a number, a token, a list of either."""
    if isinstance(stated, list | tuple):
        for each in stated:
            yield from _ids(each, tokenizer)
    elif isinstance(stated, str):
        if stated in tokenizer.get_vocab():
            yield tokenizer.convert_tokens_to_ids(stated)
    elif isinstance(stated, int | float) and stated == int(stated):
        yield int(stated)
