"""What a model is by its configuration: a text generator, and of which class; or something else, said in words."""

from __future__ import annotations

import re
from typing import Any

import transformers
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMultimodalLM, PreTrainedModel
from transformers.models.auto import modeling_auto

from steering.errors import SteeringError
from steering.loading.block_list import run
from steering.loading.configurations import text_config


_WRAPPERS = {
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES": AutoModelForImageTextToText,
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES": AutoModelForMultimodalLM,
}
_CAUSAL = "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"
_ENCODER_DECODER = "an encoder-decoder, whose decoder reads what an encoder made of the prompt"
_WORDS = {
    "SEQUENCE_CLASSIFICATION": "a classifier, reward model or reranker, which gives scores and no text",
    "TOKEN_CLASSIFICATION": "a classifier of tokens, which gives labels and no text",
    "QUESTION_ANSWERING": "a model that marks answers in a text and writes none",
    "MULTIPLE_CHOICE": "a model that chooses between given answers and writes none",
    "NEXT_SENTENCE_PREDICTION": "a classifier of sentence pairs",
    "SEQ_TO_SEQ_CAUSAL_LM": _ENCODER_DECODER,
    "SPEECH_SEQ_2_SEQ": "a speech recogniser: an encoder of sound with a decoder that reads it",
    "MASKED_LM": "an encoder that fills in masked words, reading in both directions",
    "CTC": "a speech recogniser",
    "RETRIEVAL": "an embedding model, which gives vectors and no text",
    "TEXT_ENCODING": "a text encoder, which gives vectors and no text",
    "ZERO_SHOT_IMAGE_CLASSIFICATION": "a model that compares pictures with texts and writes none",
}
"""By a part of the name of the table in which transformers lists a class; the first that has it counts."""
_BY_NAME = {
    r"Reward|ForSequence|ForScore|Reranker|Classif|ValueHead": _WORDS["SEQUENCE_CLASSIFICATION"],
    r"Embedding|Retriev|Encoder$": _WORDS["RETRIEVAL"],
}
"""By a part of the name of a class that transformers does not list."""


def model_class(name: str, config: Any, *, own_code: bool) -> Any:
    """The class that loads a model as a text generator.

    What the configuration names is loaded whole: a multimodal wrapper gives on text exactly what its own `generate`
    does, and its other parts stay unused.

    Args:
        name: What the user typed, for messages.
        config: The model's configuration.
        own_code: Whether code that comes with the model may be run, and there is some.

    Raises:
        SteeringError: It generates no text by itself, and what it is instead.
    """
    stated = getattr(config, "architectures", None)
    architecture = stated[0] if isinstance(stated, list) and stated and isinstance(stated[0], str) else None
    if own_code and (offered := getattr(config, "auto_map", None)):
        return _own_class(name, architecture, offered)
    if said := _something_else(config, architecture):
        raise SteeringError(
            f"'{name}' ({architecture or config.model_type}) is {said}.",
            "a causal language model (a decoder), or a multimodal model with one inside.",
            "Load a decoder.",
        )
    if architecture and _table_of(architecture) in (_CAUSAL, *_WRAPPERS):
        named = getattr(transformers, architecture, None)
        if named is not None and named.config_class is type(config):
            return named
    if config.model_type in getattr(modeling_auto, _CAUSAL):
        return AutoModelForCausalLM
    return next(auto for table, auto in _WRAPPERS.items() if config.model_type in getattr(modeling_auto, table))


def is_wrapper(config: Any) -> bool:
    """Whether the decoder is one part of several."""
    return text_config(config) is not config


def about_head(model: Any, architecture: str | None) -> str:
    """A note where the files are of a model without an output head, whose embedding serves as one; "" elsewhere.

    Args:
        model: As loaded.
        architecture: What its configuration names.
    """
    generates = getattr(getattr(transformers, architecture or "", None), "can_generate", None)
    head = model.get_output_embeddings()
    if generates is None or generates() or head is None or head.weight is not model.get_input_embeddings().weight:
        return ""
    return (
        f"The files are of a {architecture}, which has no output head; the embedding serves as the head, as the "
        "configuration says (tie_word_embeddings)."
    )


def text_generator(model: Any) -> Any:
    """A wrapper itself where it runs on text alone; else the outermost generator inside it that does (BLIP-2's, whose
    own pass wants a picture). Where none does, the wrapper, so that its own reason is told.
    """
    inside = (each for each in model.modules() if isinstance(each, PreTrainedModel) and each.can_generate())
    for each in (model, *inside):
        try:
            run(each)
        except SteeringError:
            continue
        return each
    return model


def _own_class(name: str, architecture: str | None, offered: dict[str, Any]) -> Any:
    if "AutoModelForCausalLM" in offered:
        return AutoModelForCausalLM
    said = ", ".join(key for key in offered if key.startswith("AutoModel")) or "no model"
    raise SteeringError(
        f"The code that comes with '{name}'{f' ({architecture})' if architecture else ''} offers {said}.",
        "AutoModelForCausalLM: a text generator.",
        "Load another model.",
    )


def _something_else(config: Any, architecture: str | None) -> str | None:
    """What a model is that is no decoder, in words; None for a decoder."""
    table = _table_of(architecture) if architecture else None
    if table is not None and table not in (_CAUSAL, *_WRAPPERS):
        return _words(table)
    if table is None and architecture:
        for pattern, words in _BY_NAME.items():
            if re.search(pattern, architecture):
                return words
    if getattr(config, "is_encoder_decoder", False) or getattr(text_config(config), "is_encoder_decoder", False):
        return _ENCODER_DECODER
    kind = config.model_type
    masked = kind in modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if masked and getattr(config, "is_decoder", True) is False:
        return f"{_WORDS['MASKED_LM']} (its configuration does not say is_decoder)"
    if kind not in getattr(modeling_auto, _CAUSAL) and not any(kind in getattr(modeling_auto, t) for t in _WRAPPERS):
        return next((_words(t) for t in _tables() if kind in getattr(modeling_auto, t)), "no text generator")
    return None


def _table_of(architecture: str) -> str | None:
    """The table in which transformers lists a class, generators first."""
    return next((table for table in (_CAUSAL, *_WRAPPERS, *_tables()) if architecture in _classes(table)), None)


def _classes(table: str) -> set[str]:
    values = getattr(modeling_auto, table).values()
    return {name for value in values for name in (value if isinstance(value, tuple | list) else (value,))}


def _tables() -> list[str]:
    names = [n for n in dir(modeling_auto) if n.startswith("MODEL_FOR_") and n.endswith("MAPPING_NAMES")]
    known = [f"MODEL_FOR_{key}_MAPPING_NAMES" for key in _WORDS]
    others = [n for n in names if n not in (_CAUSAL, *_WRAPPERS, *known, "MODEL_FOR_PRETRAINING_MAPPING_NAMES")]
    return [n for n in known if n in names] + others


def _words(table: str) -> str:
    key = table.removeprefix("MODEL_FOR_").removesuffix("_MAPPING_NAMES")
    return _WORDS.get(key, f"a model for {key.lower().replace('_', ' ')}, which writes no text")
