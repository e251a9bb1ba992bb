"""Speed of reading states and of extraction beside a bare forward pass over the same tokens, in one run: ratios, since
machines differ. `make bench`.
"""

from __future__ import annotations

import time

import torch
from decoding import hosts, ratio
from rich.console import Console
from rich.table import Table

from steering.extraction.extract import extract
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, batches_by_length, read_states
from steering.passes.rows import Batch
from steering.texts.contrast import ContrastSet


SYSTEM = "You are a careful assistant. " * 20
"""A long system prompt, which every prompt then begins with."""


def prompts(host: Host, system: str = "") -> list[Prompt]:
    """Those that an extraction from one contrast set reads."""
    contrast = ContrastSet.load("formality")
    said = [
        each.messages
        for side in ("positive", "negative")
        for split in ("train", "validation")
        for each in contrast.side(side, split)  # type: ignore[arg-type]
    ]
    before = (Message("system", system),) if system else ()
    return [render(host, [*before, *messages]) for messages in said]


def bare(host: Host, given: list[Prompt]) -> None:
    """A forward pass over the same batches: no hooks, and logits at the last position only, as an extraction has."""

    def run() -> None:
        for indices in batches_by_length([len(prompt) for prompt in given], DEFAULT_TOKEN_BUDGET):
            batch = Batch.of(host, [given[index] for index in indices])
            with torch.no_grad():
                host.model._module(
                    input_ids=batch.ids.to(host.device),
                    attention_mask=batch.real.long().to(host.device),
                    use_cache=False,
                    logits_to_keep=1,
                )

    host.run(lambda job: run(), title="bare")


def main() -> None:
    table = Table(title="Prompts read per second, as a multiple of a bare forward pass (higher is faster)", box=None)
    for column in ("model", "states read", "whole extraction", "prompts/s", "with a long system prompt"):
        table.add_column(column, justify="left" if column == "model" else "right")
    contrast = ContrastSet.load("formality")
    for name, host in hosts().items():
        given, long = prompts(host), prompts(host, SYSTEM)
        start = time.perf_counter()
        read_states(host, given)
        pace = len(given) / (time.perf_counter() - start)
        table.add_row(
            name,
            f"{ratio(lambda h=host, g=given: read_states(h, g), lambda h=host, g=given: bare(h, g)):.2f}",  # type: ignore[misc]
            f"{ratio(lambda h=host: extract(h, contrast), lambda h=host, g=given: bare(h, g)):.2f}",  # type: ignore[misc]
            f"{pace:.0f}",
            f"{ratio(lambda h=host, g=long: read_states(h, g), lambda h=host, g=long: bare(h, g)):.2f}",  # type: ignore[misc]
        )
    Console().print(table)


if __name__ == "__main__":
    main()
