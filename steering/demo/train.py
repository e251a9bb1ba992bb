"""Training of the demo model from nothing: its tokenizer, its weights, its held-out scores and its card."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cos, pi
from pathlib import Path

import torch
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.batches import Batch, steps
from steering.demo.card import write_card
from steering.demo.scores import held_out_scores
from steering.demo.tokens import train_tokenizer
from steering.errors import SteeringError


Progress = Callable[[float, str], None]
"""Called with the share of the work done, from 0 to 1, and one line on where it stands."""

_LONGEST = 512
_NEEDED_MB = 100
_SCORING = 0.97
"""Share of the work that is done when scoring begins."""


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What to train and where to put it."""

    out: Path
    """The model folder to write; one that is there already is replaced at the very end."""
    steps: int = 3400
    """Optimiser steps."""
    conversations: int = 32
    """Conversations a step."""
    blocks: int = 6
    """Decoder blocks."""
    width: int = 192
    """Width of the residual stream."""
    heads: int = 6
    """Attention heads a block."""
    vocabulary: int = 2048
    """Tokens of the tokenizer."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW, after 4 % of the steps; from there a cosine down to a fiftieth."""
    seed: int = 0
    """Seed of weights and data."""
    scored: int = 200
    """Held-out prompts a score; 0 leaves the scores out."""


def train(settings: TrainSettings, *, progress: Progress = lambda share, line: None) -> dict[str, object]:
    """Train a demo model and write its folder; returns the card.

    The folder appears whole or not at all: everything is written to a hidden sibling that is renamed at the end.

    Raises:
        SteeringError: The place cannot be written, or its disk is too full.
    """
    out = settings.out.expanduser().resolve()
    partial = _prepare(out)
    try:
        card = _train_into(partial, settings, progress)
        _swap(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    progress(1.0, f"Written to {out}.")
    return card


def build_model(settings: TrainSettings, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A model of the settings' size with fresh weights, in float32."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.width,
        intermediate_size=round(settings.width * 8 / 3 / 64) * 64,
        num_hidden_layers=settings.blocks,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.heads,
        max_position_embeddings=_LONGEST,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    special = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    model.generation_config = GenerationConfig(
        bos_token_id=special["bos"], eos_token_id=special["eos"], pad_token_id=special["pad"]
    )
    return model


def _prepare(out: Path) -> Path:
    partial = out.parent / f".{out.name}.partial"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        free = shutil.disk_usage(out.parent).free / 1e6
    except OSError as error:
        raise SteeringError(
            f"The demo model cannot be written to {out}: {error.strerror or error}.",
            "a folder that may be written",
            "Choose another folder with --out.",
        ) from error
    if free < _NEEDED_MB:
        partial.rmdir()
        raise SteeringError(
            f"The disk of {out} has {free:.0f} MB free.",
            f"at least {_NEEDED_MB} MB",
            "Free some space, or choose another folder with --out.",
        )
    return partial


def _train_into(folder: Path, settings: TrainSettings, progress: Progress) -> dict[str, object]:
    started = time.perf_counter()
    progress(0.0, "Training the tokenizer.")
    tokenizer = train_tokenizer(vocabulary=settings.vocabulary)
    tokenizer.save_pretrained(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = build_model(settings, tokenizer).to(device)
    losses, tokens = _optimise(model, tokenizer, settings, progress)
    # What is scored is what is shipped: weights rounded to bfloat16.
    model = model.to(torch.bfloat16)
    scores = {}
    if settings.scored:
        progress(_SCORING, "Scoring on held-out prompts.")
        scores = held_out_scores(model.float(), tokenizer, n=settings.scored, seed=settings.seed)
    model.to(torch.bfloat16).save_pretrained(folder)
    facts = {"losses": losses, "tokens": tokens, "seconds": round(time.perf_counter() - started), "device": device}
    return write_card(folder, model, replace(settings, out=Path(settings.out.name)), scores, facts)


def _optimise(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, settings: TrainSettings, progress: Progress
) -> tuple[list[list[float]], int]:
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    plain = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, settings.steps))
    data = steps(tokenizer, conversations=settings.conversations, parts=3, longest=_LONGEST, seed=settings.seed)
    every, recent, curve, tokens = max(1, settings.steps // 40), list[float](), list[list[float]](), 0
    model.train()
    for step in range(settings.steps):
        batches = next(data)
        recent.append(_step(model, batches, optimiser))
        scheduler.step()
        tokens += int(sum(batch.mask.sum() for batch in batches))
        if (step + 1) % every == 0:
            loss, recent = sum(recent) / len(recent), []
            curve.append([step + 1, round(loss, 4)])
            progress(_SCORING * (step + 1) / settings.steps, f"Step {step + 1} of {settings.steps}, loss {loss:.3f}.")
    model.eval()
    return curve, tokens


def _step(model: LlamaForCausalLM, batches: list[Batch], optimiser: torch.optim.Optimizer) -> float:
    whole = sum(float(batch.weight[:, 1:].sum()) for batch in batches)
    loss = 0.0
    for batch in batches:
        part = _loss(model, batch) / whole
        part.backward()
        loss += float(part.detach())
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return loss


def _loss(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    ids, weight = batch.ids.to(model.device), batch.weight.to(model.device)
    # Padding stands on the right, where causal attention never looks, so no attention mask is needed.
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return (each * weight[:, 1:].flatten()).sum()


def _rate(step: int, total: int) -> float:
    warm = max(1, total // 25)
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + cos(pi * (step - warm) / max(1, total - warm)))


def _swap(partial: Path, out: Path) -> None:
    aside = out.parent / f".{out.name}.replaced"
    shutil.rmtree(aside, ignore_errors=True)
    if out.exists():
        out.rename(aside)
    partial.rename(out)
    shutil.rmtree(aside, ignore_errors=True)
