"""A trade-off's readings by two workers of one thread each, beside one's.

All workers have loaded the model before the clock starts, and each go begins with nothing kept. Computing is that of
the busier worker: what the clock comes to where nothing else wants the cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import ray

from bench.harness.pairs import Timed, Work, alone, paired
from bench.harness.row import Aim, BenchRow, skipped
from steering.model.host import Host
from steering.parts.part import parts, spread_over
from steering.parts.ray_cluster import Workers, cluster
from steering.parts.ray_pool import RayPool
from steering.studies import find_study
from steering.studies.tradeoff.comparison import Comparison
from steering.studies.tradeoff.spread import unread


SECTION = "Workers"
GIVEN = {"recipes": ["sentiment"], "strengths": "-2..2 step 0.4", "n": 50, "random": 5, "n_replies": 8}
QUICK = {"n": 15, "random": 1, "n_replies": 2}
AIM = Aim(1.7)
BUSY = "Cores that other programs want are not there for the second worker: look at computing."
OURS = "two workers of one thread"


def rows(quick: bool) -> Iterator[BenchRow]:
    """Two workers beside one, and how long workers take to start."""
    if (os.cpu_count() or 1) < 2:
        yield skipped(SECTION, "readings of a trade-off, demo", OURS, "one", "one core")
        return
    host = Host.load("demo")
    prepared = Comparison(host, find_study("tradeoff").parse(GIVEN | (QUICK if quick else {})), {})
    host.run(lambda job: prepared.prepare(), title="Preparing")
    with cluster(Workers(3)):
        pools, starts = {}, []
        for n in (1, 2):
            began = time.perf_counter()
            pools[n] = _loaded(host, n)
            starts.append(time.perf_counter() - began)
        kept: set[str] = set()
        found = paired(*(_reading(host, prepared, pools[n], kept) for n in (2, 1)), 2 if quick else 4)
        same = "the same numbers in all" if len(kept) == 1 else "NUMBERS DIFFER"
        note = f"{found.theirs:.1f} s by one, {found.ours:.1f} s by two; {same}"
        row = found.row(SECTION, "readings of a trade-off, demo", OURS, "one worker", aim=AIM, note=note, why=BUSY)
        for pool in pools.values():
            pool.close()
    yield row
    yield alone(SECTION, "until workers have loaded demo", "one, then two at once", starts)


def _loaded(host: Host, n: int) -> RayPool:
    """So many workers, all of which have loaded the model."""
    pool = RayPool(host, Workers(n))
    while pool._loading:
        pool._ready()
    return pool


def _reading(host: Host, prepared: Comparison, pool: RayPool, numbers: set[str]) -> Work:
    """All readings of a trade-off, by the workers of a pool; what they find is added to `numbers`."""

    def work() -> Timed:
        before = _computed(pool)
        with spread_over(host, pool):
            seconds, kept = host.run(lambda job: _read(host, prepared, job), title="Reading")
        numbers.add(repr(sorted(kept.items())))
        return Timed(seconds, max(after - each for each, after in zip(before, _computed(pool), strict=True)))

    return work


def _computed(pool: RayPool) -> list[float]:
    """Seconds of a processor that each worker has had, always in the same order."""
    asked = {actor._actor_id.hex(): actor.__ray_call__.remote(lambda _: time.process_time()) for actor in pool._idle}
    return [ray.get(asked[key]) for key in sorted(asked)]


def _read(host: Host, prepared: Comparison, job: Any) -> tuple[float, dict[str, Any]]:
    """Seconds that all readings take, and what is kept of them."""
    kept: dict[str, Any] = {}
    fresh = Comparison(host, prepared.settings, kept, prepared.curves.vectors)
    fresh.prepare()
    items = unread(fresh._reader, list(fresh._steps()))
    began = time.perf_counter()
    with closing(parts(job, host, items, kept)) as told:
        for _ in told:
            pass
    return time.perf_counter() - began, kept
