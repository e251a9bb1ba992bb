"""Time of CCS with all restarts in one product, beside one restart after the other. `make bench`.

1,000 pairs at width 1024, 1,500 steps of AdamW. The plain loop is CCS as it is usually written (`plain_ccs.py`): one
restart at a time with autograd, its rows gathered in a new order every step, which in a full batch changes nothing.
Both start from the same weights. A plain restart costs the same whichever it is, so one a block is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from plain_ccs import plain_ccs
from rich.console import Console
from rich.table import Table
from torch import Tensor

from steering.studies.probing.ccs import Training, starts, train


PAIRS, WIDTH, BLOCKS, STEPS = 1000, 1024, 24, 1500
RESTARTS = (10, 64)
PLAIN_STEPS = 150
"""Timed of the plain loop; its steps all cost the same."""


def states(block: int) -> tuple[Tensor, Tensor]:
    """One feature that turns with the answer, faint at the first block and clear at the last, and noise."""
    generator = torch.Generator().manual_seed(block)
    true = torch.randint(0, 2, (PAIRS,), generator=generator).float() * 2 - 1
    no, yes = torch.randn(2, PAIRS, WIDTH, generator=generator)
    size = 8 * (block + 1) / BLOCKS
    yes[:, 0] += size * true
    no[:, 0] -= size * true
    no, yes = (each / each.norm(dim=1, keepdim=True) for each in (no, yes))
    return no - no.mean(dim=0), yes - yes.mean(dim=0)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what came out."""
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def main() -> None:
    """Print seconds a block and ratios, and how far the results differ."""
    seconds: dict[str, list[float]] = {name: [] for name in ("plain", "plain, no shuffle", *map(str, RESTARTS))}
    worst = 0.0
    for block in range(BLOCKS):
        no, yes = states(block)
        begin = starts(WIDTH, max(RESTARTS), seed=block)
        one = (begin.weights[:1], begin.biases[:1])
        for name, shuffle in (("plain", True), ("plain, no shuffle", False)):
            spent, _ = timed(partial(plain_ccs, no, yes, *one, steps=PLAIN_STEPS, shuffle=shuffle))
            seconds[name].append(spent * STEPS / PLAIN_STEPS)
        for restarts in RESTARTS:
            own = type(begin)(begin.weights[:restarts], begin.biases[:restarts])
            spent, found = timed(partial(train, no, yes, own, Training(steps=STEPS)))
            seconds[str(restarts)].append(spent)
        if block % 8 == 0:  # results beside each other, over all steps
            ((probe, loss),) = plain_ccs(no, yes, *one, steps=STEPS)
            with torch.no_grad():
                apart = (torch.sigmoid(probe(yes))[:, 0] - found.probes(yes)[:, 0]).abs().max()
            worst = max(worst, float(apart), abs(loss - float(found.losses[0])))
    table = Table(title=f"CCS: {BLOCKS} blocks of {PAIRS:,} pairs at width {WIDTH}, {STEPS:,} steps; seconds a block")
    for head in (
        "restarts",
        "one at a time",
        "without shuffle",
        "in one product",
        "ratio",
        "without shuffle",
        "a restart",
    ):
        table.add_column(head, justify="right")
    plain, bare = (sum(seconds[name]) / BLOCKS for name in ("plain", "plain, no shuffle"))
    for restarts in RESTARTS:
        ours = sum(seconds[str(restarts)]) / BLOCKS
        table.add_row(
            str(restarts),
            f"{plain * restarts:.1f}",
            f"{bare * restarts:.1f}",
            f"{ours:.2f}",
            f"{plain * restarts / ours:.1f}",
            f"{bare * restarts / ours:.1f}",
            f"{1000 * ours / restarts:.0f} ms",
        )
    console = Console()
    console.print(table)
    console.print(f"Largest difference of a probability or loss, first restart of three blocks: {worst:.1e}")


if __name__ == "__main__":
    main()
