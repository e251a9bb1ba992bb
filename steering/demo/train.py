"""Training of the demo family: every member's folder with weights, tokenizer, held-out scores and card."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.batches import LONGEST
from steering.demo.card import write_card
from steering.demo.family import Member, chosen
from steering.demo.members import Trainee
from steering.demo.optimise import Progress
from steering.demo.scales import planted_scales
from steering.demo.scores import held_out_scores
from steering.demo.tokens import CHAT_TEMPLATE, train_tokenizer
from steering.errors import SteeringError
from steering.own_files import check_replaceable
from steering.resources import resource


_NEEDED_MB = 100
_SCORING = 0.97
"""Share of a member's work that is done when scoring begins."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What to train and where to put it."""

    out: Path
    """Folder that gets one folder a member; a member's folder that is there already is replaced at the very end."""
    which: str = "all"
    """`all`, or names with commas between."""
    seed: int = 0
    """Seed of weights and data."""
    effort: float = 1.0
    """Share of the usual steps, for a trial."""
    scored: int = 100
    """Held-out prompts a score; 0 leaves the scores out."""
    blocks: int = 6
    """Decoder blocks; this and the next three count where `demo-base` is trained, the others inherit."""
    width: int = 192
    """Width of the residual stream."""
    heads: int = 6
    """Attention heads a block."""
    vocabulary: int = 3072
    """Tokens of the tokenizer."""


def train(settings: TrainSettings, *, progress: Progress = lambda share, line: None) -> dict[str, dict[str, Any]]:
    """Train members of the demo family, parents first; returns each one's card.

    A parent that is not trained in the same run is taken from `out`, or else from the models that ship. A member's
    folder appears whole or not at all: everything is written to a hidden sibling that is renamed at the end. A run that
    was interrupted leaves its last checkpoint there, and the next run with the same settings goes on from it.

    Raises:
        SteeringError: An unknown member, a parent without its tokenizer or weights, a place that cannot be written
            or holds somebody else's folder, or a disk that is too full.
    """
    out = settings.out.expanduser().resolve()
    members, cards = chosen(settings.which), dict[str, dict[str, Any]]()
    for member in members:
        check_replaceable(out / member.name, "card.json")
    for place, member in enumerate(members):

        def report(share: float, line: str, place: int = place, name: str = member.name) -> None:
            progress((place + share) / len(members), f"{name}: {line}")

        cards[member.name] = _train_member(member, out, settings, report)
    progress(1.0, f"Written to {out}.")
    return cards


def build_model(settings: TrainSettings, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A model of the settings' size with fresh weights, in float32."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=round(settings.width * 8 / 3 / 64) * 64,
        num_hidden_layers=settings.blocks,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(config)
    special = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    model.generation_config = GenerationConfig(
        bos_token_id=special["bos"], eos_token_id=special["eos"], pad_token_id=special["pad"]
    )
    return model


def _train_member(member: Member, out: Path, settings: TrainSettings, progress: Progress) -> dict[str, Any]:
    folder, partial = out / member.name, out / f".{member.name}.partial"
    _prepare(partial)
    started = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = _start(member, out, settings, progress)
    course = replace(member.course, steps=max(1, round(settings.effort * member.course.steps)))
    trainee = Trainee(
        model=model.to(device),
        tokenizer=tokenizer,
        seed=settings.seed,
        course=course,
        checkpoint=partial / "checkpoint.pt",
        progress=lambda share, line: progress(_SCORING * share, line),
    )
    member.make(trainee)
    # What is scored is what is shipped: weights rounded to bfloat16.
    model = trainee.model.requires_grad_(False).eval().to(torch.bfloat16).float()
    if "planted" in trainee.facts:
        trainee.facts["planted"] |= planted_scales(model, tokenizer, trainee.facts["planted"]["direction"])
    scores = {}
    if settings.scored and member.chats:
        progress(_SCORING, "Scoring on held-out prompts.")
        scores = held_out_scores(model, tokenizer, n=settings.scored, seed=settings.seed)
    # Without a template the base model is given plain text, which is all that it knows.
    if not member.chats:
        tokenizer.chat_template = None
    tokenizer.save_pretrained(partial)
    model.to(torch.bfloat16).save_pretrained(partial)
    run = {"seed": settings.seed, "seconds": round(time.perf_counter() - started), "device": device}
    card = write_card(partial, model, replace(member, course=course), scores, {**run, **trainee.facts})
    _swap(partial, folder)
    progress(1.0, f"Written to {folder}.")
    return card


def _start(
    member: Member, out: Path, settings: TrainSettings, progress: Progress
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Fresh weights and a fresh tokenizer, or the parent's."""
    if member.parent is None:
        progress(0.0, "Training the tokenizer.")
        tokenizer = train_tokenizer(vocabulary=settings.vocabulary)
        return build_model(settings, tokenizer), tokenizer
    trained = out / member.parent
    folder = trained if trained.exists() else resource("assets", "models", member.parent)
    missing = [name for name in ("config.json", "model.safetensors", "tokenizer.json") if not (folder / name).exists()]
    if missing:
        raise SteeringError(
            f"{member.name} starts from {member.parent}, and {folder} has no {', '.join(missing)}.",
            "the parent's whole folder, in --out or among the models that ship.",
            f"Train the parent first: --which {member.parent},{member.name}.",
        )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHAT_TEMPLATE
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32), tokenizer


def _prepare(partial: Path) -> None:
    out = partial.parent
    try:
        partial.mkdir(parents=True, exist_ok=True)
        (partial / "writable").touch()
        (partial / "writable").unlink()
        free = shutil.disk_usage(out).free / 1e6
    except OSError as error:
        raise SteeringError(
            f"The demo models cannot be written to {out}: {error.strerror or error}.",
            "a folder that may be written",
            "Choose another folder with --out.",
        ) from error
    if free < _NEEDED_MB:
        raise SteeringError(
            f"The disk of {out} has {free:.0f} MB free.",
            f"at least {_NEEDED_MB} MB",
            "Free some space, or choose another folder with --out.",
        )


def _swap(partial: Path, out: Path) -> None:
    aside = out.parent / f".{out.name}.replaced"
    shutil.rmtree(aside, ignore_errors=True)
    if out.exists():
        out.rename(aside)
    partial.rename(out)
    shutil.rmtree(aside, ignore_errors=True)
