"""Speed of steered decoding beside Hugging Face `generate`, in one run: ratios, since machines differ. `make bench`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM

from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.writes.interventions import Write
from steering.writes.operations import Add


NEW_TOKENS, ROUNDS = 32, 5


def hosts() -> dict[str, Host]:
    """The demo model, and a random-weight Llama of about 100 million parameters."""
    demo = Host.load("demo", options=LoadOptions(dtype="float32"))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=demo.info.vocabulary,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=10,
        num_attention_heads=12,
        max_position_embeddings=512,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config).to(demo.device)
    return {"demo": demo, "random 100 M": Host.wrap(model, demo.tokenizer, name="random", lane=demo.lane)}


def plan(host: Host, blocks: int) -> tuple[Write, ...]:
    """An Add at so many blocks, too weak to change the text's length."""
    direction = torch.nn.functional.normalize(torch.ones(host.info.width), dim=0)
    return tuple(Write(Add(direction, 1e-3), block, "block_output") for block in range(blocks))


def plain(host: Host, batch: int) -> Callable[[], Any]:
    """Hugging Face `generate` on the same tokens, on the same thread."""
    ids = torch.tensor([render(host, "Write a review of the hotel.").ids] * batch, device=host.device)
    model = host.model._module

    def run() -> None:
        with torch.no_grad():
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=0,
            )

    return lambda: host.run(lambda job: run(), title="plain")


def steered(host: Host, batch: int, blocks: int) -> Callable[[], Any]:
    """The workbench's own decoding."""
    host.end_ids = frozenset()  # as many tokens as `generate` was told to make
    row = Row(render(host, "Write a review of the hotel."), plan(host, blocks))
    return lambda: generate(host, [row] * batch, DecodeSettings(max_new_tokens=NEW_TOKENS), batch_size=batch)


def ratio(first: Callable[[], Any], second: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Median of the time of `second` over the time of `first`, run in turn so that a drifting machine cancels out."""
    ratios = []
    for _ in range(ROUNDS + 1):
        times = []
        for run in (first, second):
            start = clock()
            run()
            times.append(clock() - start)
        ratios.append(times[1] / times[0])
    return statistics.median(ratios[1:])  # the first round warms up


def main() -> None:
    table = Table(title="Tokens per second, as a multiple of Hugging Face generate (higher is faster)", box=None)
    for column in ("model", "batch", "unsteered", "one block", "all blocks"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, host in hosts().items():
        for batch in (1, 16):
            base = plain(host, batch)
            cells = [f"{ratio(steered(host, batch, n), base):.2f}" for n in (0, 1, host.info.blocks)]
            table.add_row(name, str(batch), *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
