"""What a decoding step does with its logits at a real vocabulary, as multiples of the model's own output head.

A random-weight model of 28 blocks with the vocabulary of Qwen 2.5 and 3: once of the width of Qwen 3 0.6B, once of an
eighth of it, where the head against which all else is held costs an eighth and every share is eight times as large.
`make bench`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from decoding import ratio
from rich.console import Console
from rich.table import Table
from transformers import Qwen3Config, Qwen3ForCausalLM

from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate, next_token_logits
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.passes.sampling import choose


VOCABULARY, BLOCKS, WIDTHS = 151_936, 28, (1024, 128)
NEW_TOKENS, ROUNDS = 8, 20


def build(width: int) -> Host:
    demo = Host.load("demo", options=LoadOptions(dtype="float32"))
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
    host = Host.wrap(model, demo.tokenizer, name="random", lane=demo.lane)
    host.end_ids = frozenset()
    return host


def seconds(host: Host, work: Callable[[], Any]) -> float:
    """Median time of some work on the model thread."""

    def measure() -> float:
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            work()
            if host.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
        return statistics.median(times[1:])

    return host.run(lambda job: measure(), title="measuring")


def operations(host: Host, rows: int) -> dict[str, Callable[[], Any]]:
    """What is done with the logits of a step, by what the table calls it."""
    states = torch.randn(rows, host.info.width, device=host.device)
    logits = next_token_logits(host, [Row(render(host, "Hello."))] * rows).to(host.device)
    steps, half = [0] * rows, logits.to(torch.bfloat16)

    def drawn(**settings: float) -> Callable[[], Any]:
        each = [DecodeSettings(temperature=0.8, seed=seed, **settings) for seed in range(rows)]
        return lambda: choose(logits, each, steps)

    return {
        "output head": lambda: host.model._module.lm_head(states),
        "likeliest token": lambda: choose(logits, [DecodeSettings()] * rows, steps),
        "draw": drawn(),
        "draw, top_p 0.9": drawn(top_p=0.9),
        "draw, top_p 0.1": drawn(top_p=0.1),
        "bfloat16 to float32": lambda: half.float(),
        "text of 64 tokens": lambda: [host.tokenizer.decode([7] * 64, skip_special_tokens=True) for _ in range(rows)],
        "text of 2,048 tokens": lambda: [
            host.tokenizer.decode([7] * 2048, skip_special_tokens=True) for _ in range(rows)
        ],
    }


def main() -> None:
    for width in WIDTHS:
        host = build(width)
        print_operations(host, width)
        print_sampling(host)


def print_operations(host: Host, width: int) -> None:
    """What one step does with its logits, as multiples of the output head."""
    table = Table(title=f"Work on the logits of a step, vocabulary {VOCABULARY:,}, width {width:,}; head = 1", box=None)
    counts = (1, 8)
    table.add_column("operation")
    for rows in counts:
        table.add_column(f"{rows} rows" if rows > 1 else "1 row", justify="right")
    measured = [{name: seconds(host, work) for name, work in operations(host, rows).items()} for rows in counts]
    for name in measured[0]:
        table.add_row(name, *(f"{each[name] / each['output head']:.2f}" for each in measured))
    Console().print(table)


def print_sampling(host: Host) -> None:
    """Whole replies drawn, beside greedy ones."""

    def run(**settings: float) -> Callable[[], Any]:
        each = [DecodeSettings(max_new_tokens=NEW_TOKENS, seed=seed, **settings) for seed in range(8)]
        return lambda: generate(host, [Row(render(host, "Hello."))] * 8, each)

    # On a CPU the processor's own time, so that another program beside it does not decide.
    clock = time.process_time if host.device.type == "cpu" else time.perf_counter
    for top_p in (1.0, 0.9, 0.5, 0.1):
        share = ratio(run(), run(temperature=0.8, top_p=top_p), clock)
        Console().print(f"8 rows sampled beside 8 greedy ones, top_p {top_p:g}: {share:.2f} of the time")


if __name__ == "__main__":
    main()
