"""Reading a tokenizer, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoTokenizer
from transformers.utils import logging

from steering.errors import SteeringError
from steering.loading.checkpoints import Checkpoint
from steering.loading.configurations import context_of, read_json
from steering.loading.load_errors import load_error
from steering.loading.weight_files import check_no_pointer


if TYPE_CHECKING:
    from steering.loading.options import LoadOptions

_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
_TEMPLATES = ("chat_template.jinja", "chat_template.json")
_SIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", *_TEMPLATES)


@contextmanager
def quiet() -> Iterator[None]:
    """Without progress bars and reports: the job says how far it is, and what is wrong is an error or a note."""
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    placing = getLogger("accelerate.big_modeling")  # says where weights lie, as a note of the model does
    before = placing.level
    placing.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        placing.setLevel(before)
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_tokenizer(name: str, checkpoint: Checkpoint, options: LoadOptions, own: Path | None = None) -> Any:
    """A model's tokenizer, with its chat template wherever that lies.

    Args:
        name: What the user typed, for messages.
        checkpoint: Where the model lies.
        options: Revision and trust.
        own: Folder of an adapter, whose own tokenizer is preferred.

    Raises:
        SteeringError: There is none that can be read.
    """
    brought = own is not None and has_tokenizer(own)
    place = str(own) if brought else checkpoint.path
    keywords: dict[str, Any] = {"revision": None if brought else options.revision}
    if checkpoint.gguf and not brought:
        keywords["gguf_file"] = checkpoint.gguf
    _check_pointers(own if own is not None and brought else checkpoint.folder)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=options.trust_remote_code, **keywords)
    except Exception as error:  # transformers, tokenizers and a model's own code raise what they like
        raise _tokenizer_error(name, checkpoint, error) from error
    _take_template(tokenizer, [folder for folder in (own, checkpoint.folder) if folder is not None])
    check_template(tokenizer.chat_template)
    return tokenizer


def _check_pointers(folder: Path | None) -> None:
    """Refuse a Git LFS pointer in place of a file that is read; one beside a whole tokenizer.json is not."""
    whole = folder is not None and (folder / "tokenizer.json").exists()
    for name in ("tokenizer.json", *_SIDE) if whole else (*_FILES, "merges.txt", *_SIDE):
        if folder is not None and (folder / name).exists():
            check_no_pointer(folder / name)


def _tokenizer_error(name: str, checkpoint: Checkpoint, error: Exception) -> SteeringError:
    folder = checkpoint.folder
    if folder is not None and not checkpoint.gguf and not has_tokenizer(folder):
        return SteeringError(
            f"The folder of '{name}' has no tokenizer that can be read.",
            "tokenizer.json, or tokenizer.model, vocab.json and their like, beside config.json.",
            "Copy the tokenizer files of the model that it was made from into the folder.",
        )
    for file in (folder / each for each in (*_FILES, *_SIDE) if folder is not None):
        if file.suffix == ".json" and file.exists():
            said = read_json(file)  # which says what is wrong with it
            check_template(said.get("chat_template"))  # transformers takes its list apart at once
    return load_error(name, checkpoint, error, "its tokenizer cannot be read")


def _take_template(tokenizer: Any, folders: list[Path]) -> None:
    """A chat template that lies in a file of its own, as adapters and multimodal processors have it."""
    if tokenizer.chat_template:
        return
    for folder in folders:
        if (file := folder / _TEMPLATES[0]).is_file():
            tokenizer.chat_template = file.read_text(encoding="utf-8")
            return
        if (file := folder / _TEMPLATES[1]).is_file():
            tokenizer.chat_template = read_json(file).get("chat_template")
            return


def check_template(template: Any) -> None:
    """Look at the form of a chat template: a text, texts by their names, or a list of {name, template}; or none.

    Raises:
        SteeringError: It is something else.
    """
    if isinstance(template, list | tuple):
        named = all(isinstance(each, Mapping) and {"name", "template"} <= each.keys() for each in template)
        texts = [each[key] for each in template for key in ("name", "template")] if named else [template]
    else:
        texts = list(template.values()) if isinstance(template, Mapping) else [template or ""]
    if not all(isinstance(each, str) for each in texts):
        raise SteeringError(
            f"The chat_template of the tokenizer is no template but {str(template)[:80]}.",
            "a text in Jinja, several texts by their names, or none.",
            "Take chat_template out of tokenizer_config.json, or put in the one of the model that it was made from.",
        )


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder has a tokenizer's files."""
    return any((folder / name).exists() for name in _FILES)


def about_tokens(model: Any, tokenizer: Any) -> list[str]:
    """What a user should know of how tokenizer and model go together, a sentence each."""
    notes = [context_of(model.config, tokenizer)[1]]
    rows, known = model.get_input_embeddings().weight.shape[0], len(tokenizer)
    if known > rows:
        notes.append(
            f"The tokenizer knows {known:,} tokens, the model {rows:,}: a text with one of the others is refused."
        )
    generation = getattr(model, "generation_config", None)
    if tokenizer.eos_token_id is None and getattr(generation, "eos_token_id", None) is None:
        notes.append("Neither tokenizer nor model knows an end token: replies end at their longest.")
    return notes
