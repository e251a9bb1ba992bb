"""What a decoding step does with its logits at a real vocabulary, beside the model's own output head.

A random-weight model of 28 blocks with the vocabulary of Qwen 2.5 and 3: once of the width of Qwen 3 0.6B, once of an
eighth of it, where the head against which all else is held costs an eighth and every share is eight times as large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from bench.harness.pairs import clocked, paired
from bench.harness.row import BenchRow
from bench.models import VOCABULARY, host
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate, next_token_logits
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.passes.sampling import choose


SECTION = "Work on the logits of a step"
BLOCKS, WIDTHS = 28, (128, 1024)
NEW_TOKENS = 8


def build(width: int) -> Host:
    """A random-weight model of a width."""
    demo = host("demo")
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=BLOCKS,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 128,
        head_dim=64,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        eos_token_id=None,
    )
    model = Qwen3ForCausalLM(config).to(demo.device)
    made = Host.wrap(model, demo.tokenizer, name="random", lane=demo.lane)
    made.end_ids = frozenset()
    return made


def operations(of: Host, rows: int) -> dict[str, Callable[[], Any]]:
    """What is done with the logits of a step, by what the table calls it."""
    states = torch.randn(rows, of.info.width, device=of.device)
    logits = next_token_logits(of, [Row(render(of, "Hello."))] * rows).to(of.device)
    steps, half = [0] * rows, logits.to(torch.bfloat16)

    def drawn(**settings: float) -> Callable[[], Any]:
        each = [DecodeSettings(temperature=0.8, seed=seed, **settings) for seed in range(rows)]
        return lambda: choose(logits, each, steps)

    return {
        "output head": lambda: of.model._module.lm_head(states),
        "likeliest token": lambda: choose(logits, [DecodeSettings()] * rows, steps),
        "draw": drawn(),
        "draw, top_p 0.9": drawn(top_p=0.9),
        "draw, top_p 0.1": drawn(top_p=0.1),
        "bfloat16 to float32": lambda: half.float(),
        "text of 64 tokens": lambda: [of.tokenizer.decode([7] * 64, skip_special_tokens=True) for _ in range(rows)],
        "text of 2,048 tokens": lambda: [
            of.tokenizer.decode([7] * 2048, skip_special_tokens=True) for _ in range(rows)
        ],
    }


def rows(quick: bool) -> Iterator[BenchRow]:
    """Operations beside the head, and whole replies drawn beside greedy ones."""
    for width in WIDTHS[:1] if quick else WIDTHS:
        of = build(width)
        yield from _operations(of, width, 5 if quick else 20)
        yield from _sampling(of, width, quick)


def _operations(of: Host, width: int, rounds: int) -> Iterator[BenchRow]:
    works = operations(of, 8)
    head = works.pop("output head")
    for name, work in works.items():

        def measure(work: Callable[[], Any] = work) -> Any:
            return of.run(lambda job: paired(clocked(work), clocked(head), rounds, warm=2), title="measuring")

        yield measure().row(SECTION, f"width {width:,}, 8 rows: {name}", name, "output head")


def _sampling(of: Host, width: int, quick: bool) -> Iterator[BenchRow]:
    def run(**settings: float) -> Callable[[], Any]:
        each = [DecodeSettings(max_new_tokens=NEW_TOKENS, seed=seed, **settings) for seed in range(8)]
        return lambda: generate(of, [Row(render(of, "Hello."))] * 8, each)

    for top_p in (0.9,) if quick else (1.0, 0.9, 0.5, 0.1):
        found = paired(clocked(run(temperature=0.8, top_p=top_p)), clocked(run()), 2 if quick else 9)
        yield found.row(SECTION, f"width {width:,}, 8 whole replies, top_p {top_p:g}", "sampled", "ours, greedy")
