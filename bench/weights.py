"""How near a decoding step comes to the time in which a device reads the weights once, which no step can beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from bench.harness.pairs import Timed, Work, paired, synchronise
from bench.harness.row import Aim, BenchRow
from steering.model.host import Host


SHORT, LONG = 32, 96
"""Tokens of two replies; what one takes more than the other is steps alone."""
COPIED = 2**30
"""Bytes that are copied to see how fast memory is, where there is room for them; no cache holds as many."""
AIM = Aim(0.5)
"""Within twice the time."""


def beside_weights(
    of: Host, name: str, section: str, decode: Callable[[int], Any], *, rounds: int, aim: Aim | None = AIM
) -> BenchRow:
    """The row of a model.

    Args:
        of: The model.
        name: What is measured, and on which model.
        section: The table.
        decode: Makes a reply of so many tokens, one row.
        rounds: Pairs.
        aim: The share of the memory's speed that has to be reached.
    """
    read = bytes_read(of)
    found = paired(_steps(decode), _reading(of, read * (LONG - SHORT)), rounds)
    step = found.ours / (LONG - SHORT)
    note = f"{read / 1e9:.3g} GB of weights, {step * 1e3:.3g} ms a step"
    why = "What a step does beside reading weights: attention, writes, choosing a token, and beginning each of these."
    against = "reading the weights once"
    return found.row(section, name, "a steered step", against, aim=aim, note=note, why=why)


def bytes_read(of: Host) -> int:
    """Bytes of weights that a step reads: all, but of a table of embeddings that is no head as well a few rows."""
    model = of.model._module
    table = model.get_input_embeddings().weight
    sizes = {weight: weight.numel() * weight.element_size() for weight in model.parameters()}
    head = model.get_output_embeddings()
    alone = head is None or head.weight is not table
    return sum(sizes.values()) - (sizes[table] if alone else 0)


def _steps(decode: Callable[[int], Any]) -> Work:
    def run() -> Timed:
        clocks = []
        for tokens in (SHORT, LONG):
            synchronise()
            began, computed = time.perf_counter(), time.process_time()
            decode(tokens)
            synchronise()
            clocks.append((time.perf_counter() - began, time.process_time() - computed))
        (short, less), (long, more) = clocks
        return Timed(long - short, more - less)

    return run


def _reading(of: Host, size: int) -> Work:
    """The time in which so many bytes are read, by what copying takes: it reads and writes each."""
    room = torch.cuda.mem_get_info(of.device)[0] // 4 if of.device.type == "cuda" else COPIED
    here = torch.zeros(min(COPIED, room), dtype=torch.uint8, device=of.device)
    there = torch.empty_like(here)

    def run() -> Timed:
        synchronise()
        began, computed = time.perf_counter(), time.process_time()
        there.copy_(here)
        synchronise()
        times = size / (2 * here.numel())
        return Timed((time.perf_counter() - began) * times, (time.process_time() - computed) * times)

    return run
