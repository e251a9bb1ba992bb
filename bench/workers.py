"""Time of a trade-off's readings by two workers of one thread each, beside one's. `make bench`.

A B A B: one worker, two, one, two, each beginning with nothing kept. All have loaded the model before the clock starts;
what that took is printed beside. Two ratios: of wall time, which other programs on the machine disturb, and of
processor time, one worker's by that of the busier of two, which is what wall time comes to where nothing else runs.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import ray
import torch
from rich.console import Console
from rich.table import Table

from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.parts.part import parts, spread_over
from steering.parts.ray_cluster import Workers, cluster
from steering.parts.ray_pool import RayPool
from steering.studies import find_study
from steering.studies.tradeoff.comparison import Comparison
from steering.studies.tradeoff.spread import unread


GIVEN = {"recipes": ["sentiment"], "strengths": "-2..2 step 0.4", "n": 50, "random": 5, "n_replies": 8}
ROUNDS = 2


@dataclass(frozen=True)
class Timed:
    """One go."""

    start: float
    """Seconds until all workers had loaded the model."""
    wall: float
    processor: float
    """Seconds of the busier worker's processor."""
    driver: float
    """Of this process, meanwhile."""
    kept: str
    load: float
    """Of the machine, mean of a minute, at the end."""


@contextmanager
def pool_of(host: Host, n: int) -> Iterator[RayPool]:
    """So many workers, all of which have loaded the model."""
    with cluster(Workers(n)):
        pool = RayPool(host, Workers(n))
        try:
            while pool._loading:
                pool._ready()
            with spread_over(host, pool):
                yield pool
        finally:
            pool.close()


def timed(host: Host, prepared: Comparison, n: int) -> Timed:
    """All readings of a trade-off, by so many workers."""
    began = time.perf_counter()
    with pool_of(host, n) as pool:
        start, before = time.perf_counter() - began, processor(pool)
        wall, driver, kept = host.run(lambda job: read_by(host, prepared, job), title="Reading")
        used = [after - each for each, after in zip(before, processor(pool), strict=True)]
    return Timed(start, wall, max(used), driver, repr(sorted(kept.items())), os.getloadavg()[0])


def processor(pool: RayPool) -> list[float]:
    """Seconds of processor time that each worker has had, always in the same order."""
    asked = {actor._actor_id.hex(): actor.__ray_call__.remote(lambda _: time.process_time()) for actor in pool._idle}
    return [ray.get(asked[key]) for key in sorted(asked)]


def read_by(host: Host, prepared: Comparison, job: Any) -> tuple[float, float, dict[str, Any]]:
    """Seconds and seconds of this processor that all readings take, and what is kept of them."""
    kept: dict[str, Any] = {}
    fresh = Comparison(host, prepared.settings, kept, prepared.curves.vectors)
    fresh.prepare()
    items = unread(fresh._reader, list(fresh._steps()))
    began, own = time.perf_counter(), time.process_time()
    with closing(parts(job, host, items, kept)) as told:
        for _ in told:
            pass
    return time.perf_counter() - began, time.process_time() - own, kept


def main() -> None:
    torch.set_num_threads(1)
    host = Host.load("demo", options=LoadOptions(dtype="float32"))
    prepared = Comparison(host, find_study("tradeoff").parse(GIVEN), {})
    host.run(lambda job: prepared.prepare(), title="Preparing")
    table = Table(title="A trade-off's readings by two workers beside one (higher is faster)", box=None)
    for column in ("round", "wall", "processor", "one / two, wall", "one / two, processor", "driver", "start", "load"):
        table.add_column(column, justify="right")
    rounds = [(timed(host, prepared, 1), timed(host, prepared, 2)) for _ in range(ROUNDS)]
    for number, (one, two) in enumerate(rounds, start=1):
        table.add_row(
            str(number),
            f"{one.wall / two.wall:.2f}",
            f"{one.processor / two.processor:.2f}",
            f"{one.wall:.1f} / {two.wall:.1f} s",
            f"{one.processor:.1f} / {two.processor:.1f} s",
            f"{one.driver:.1f} / {two.driver:.1f} s",
            f"{one.start:.1f} / {two.start:.1f} s",
            f"{one.load:.1f} / {two.load:.1f}",
        )
    console = Console(width=140)
    console.print(table)
    wall, used = (statistics.mean(getattr(a, of) / getattr(b, of) for a, b in rounds) for of in ("wall", "processor"))
    same = len({each.kept for pair in rounds for each in pair}) == 1
    console.print(f"Mean: {wall:.2f} of wall time, {used:.2f} of processor time; the same numbers: {same}.")


if __name__ == "__main__":
    main()
