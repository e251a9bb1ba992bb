"""CCS with all restarts in one product, beside one restart after the other.

1,000 pairs at width 1024, 1,500 steps of AdamW. The plain loop is CCS as it is usually written (`plain_ccs.py`): one
restart at a time with autograd, its rows gathered in a new order every step, which in a full batch changes nothing.
Both start from the same weights. A plain restart costs the same whichever it is, and so does a step, so a tenth of one
restart a block is timed.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from bench.harness.pairs import clocked, paired
from bench.harness.row import Aim, BenchRow
from bench.plain_ccs import plain_ccs
from steering.studies.probing.ccs import Training, starts, train


SECTION = "Probing"
PAIRS, WIDTH, BLOCKS, STEPS = 1000, 1024, 24, 1500
PLAIN_STEPS = 150
WHY = "The loop's shuffling is the memory's work and the product the processor's, so the ratio depends on the machine."


def rows(quick: bool) -> Iterator[BenchRow]:
    """With 10 restarts, and with 64."""
    blocks = (20,) if quick else range(0, BLOCKS, 3)
    steps = STEPS // 5 if quick else STEPS
    for restarts in (10,) if quick else (10, 64):
        for shuffle in (True, False):
            yield _restarts(restarts, shuffle, list(blocks), steps, quick)


def _restarts(restarts: int, shuffle: bool, blocks: list[int], steps: int, quick: bool) -> BenchRow:
    """The steps and restarts that the loop is not timed for count by a factor."""
    given = [states(block) for block in blocks]
    begun = [starts(WIDTH, restarts, seed=block) for block in blocks]
    plain_steps = PLAIN_STEPS // 5 if quick else PLAIN_STEPS

    def ours() -> None:
        for (no, yes), begin in zip(given, begun, strict=True):
            train(no, yes, begin, Training(steps=steps))

    def loop() -> None:
        for (no, yes), begin in zip(given, begun, strict=True):
            plain_ccs(no, yes, begin.weights[:1], begin.biases[:1], steps=plain_steps, shuffle=shuffle)

    found = paired(clocked(ours), clocked(loop), 2 if quick else 3)
    how = "shuffling" if shuffle else "not shuffling"
    note = f"ours {found.ours / len(blocks):.2f} s a block; results differ by {_apart(*given[0], steps):.0e} at most"
    return found.row(
        SECTION, f"CCS, {PAIRS:,} pairs of width {WIDTH:,}, {restarts} restarts", "in one product",
        f"one restart at a time, {how}", times=restarts * steps / plain_steps,
        aim=Aim(7.0) if shuffle else None, note=note, why=WHY,
    )  # fmt: skip


def _apart(no: Tensor, yes: Tensor, steps: int) -> float:
    """Largest difference of a probability, or of the loss, after all steps of the first restart."""
    begin = starts(WIDTH, 2, seed=0)
    found = train(no, yes, begin, Training(steps=steps))
    ((probe, loss),) = plain_ccs(no, yes, begin.weights[:1], begin.biases[:1], steps=steps)
    with torch.no_grad():
        apart = (torch.sigmoid(probe(yes))[:, 0] - found.probes(yes)[:, 0]).abs().max()
    return max(float(apart), abs(loss - float(found.losses[0])))


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
