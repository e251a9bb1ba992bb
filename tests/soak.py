"""A storm of visitors over the page, for an hour or as long as somebody likes: nobody gets a wrong text, nothing is
left on the model thread, and memory, open files and threads stay where they were.

    python -m tests.soak                         # `make soak`
    python -m tests.soak --seed 7 --rounds 12    # the first 12 rounds of another storm

A storm goes in rounds. In each every client does some things (`tests/storms/visitors.py`), drawn by the seed alone, so
that they do the same again; how their doings fall together is the machine's. Then all is let end, what was kept is
compared with what it gives alone, and the process is measured. Server and clients are one process, so that what either
leaves behind is seen.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.storms.measured import ROOM, UNIT, Bound
from tests.storms.served import served
from tests.storms.storm import FULL, STEPS, Storm
from tests.storms.visitors import ACTS


WARM = 0.2
"""Share of a storm, in which caches fill and pools grow; what is measured then is what the rest is held against."""


def soak(
    folder: Path,
    *,
    minutes: float = 60.0,
    rounds: int | None = None,
    seed: int = 0,
    clients: int = 8,
    steps: int = STEPS,
) -> tuple[Storm, list[Bound]]:
    """A whole storm; gives what was seen, failures included, and the bounds.

    Args:
        folder: For all that it writes.
        minutes: How long, where no rounds are given.
        rounds: How many.
        seed: Of what clients do.
        clients: How many.
        steps: That each does in a round.
    """
    with served(folder, clients, seed) as storm:
        storm.steps = steps
        began, warm, bounds, share = time.monotonic(), 0, list[Bound](), 0.0
        while share < 1 or len(storm.measured) <= warm:
            known = len(storm.failures)
            storm.round()
            n = len(storm.measured)
            share = n / rounds if rounds else (time.monotonic() - began) / (60 * minutes)
            print(
                f"round {n - 1}: {storm.acts} acts so far, {storm.measured[-1]}, {len(storm.failures)} failures",
                flush=True,
            )
            for failure in storm.failures[known:]:
                print(f"FAILED {failure}", flush=True)
            if not warm and n >= 2 and share >= WARM and (storm.acts >= FULL or share >= 0.5):
                warm, bounds = n, storm.warm_up()
                print("\n".join(map(str, bounds)), flush=True)
        storm.check(bounds, warm)
    return storm, bounds


def print_table(storm: Storm, bounds: list[Bound]) -> None:
    """What was done, and what was measured."""
    print(f"\n{'':8}" + "".join(f"{act.name:>8}" for act in ACTS) + f"{'refused':>9}")
    for each in storm.clients:
        print(
            f"client {each.number}" + "".join(f"{each.done.get(act.name, 0):8}" for act in ACTS) + f"{each.refused:9}"
        )
    print(f"\nruns kept and compared: {', '.join(f'{n} {state}' for state, n in sorted(storm.runs.items()))}")
    print(f"\n{'':10}{'first':>8}{'warm-up':>9}{'bound':>8}{'most':>8}{'last':>8}")
    for bound in bounds:
        values = [getattr(each, bound.name) for each in storm.measured]
        told = f"{values[0]:8.0f}{bound.warm:9.0f}{bound.most:8.0f}{max(values):8.0f}{values[-1]:8.0f}"
        print(f"{bound.name:10}{told}{UNIT.get(bound.name, '')}")
    if len(bounds) < len(ROOM):
        print(f"Memory was not judged: fewer than {FULL} acts came before.")


def main() -> int:
    parser = argparse.ArgumentParser(description="Have visitors storm the page, and look what is left.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, help="So many rounds, however long they take.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clients", type=int, default=8)
    asked = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory(prefix="soak-") as folder:
        storm, bounds = soak(
            Path(folder), minutes=asked.minutes, rounds=asked.rounds, seed=asked.seed, clients=asked.clients
        )
    print_table(storm, bounds)
    for failure in storm.failures:
        print(f"FAILED {failure}")
    rounds = len(storm.measured)
    if storm.failures:
        again = f"python -m tests.soak --rounds {rounds} --seed {asked.seed} --clients {asked.clients}"
        print(f"\n{len(storm.failures)} failures; the same storm again: {again}")
    else:
        took = time.monotonic() - began
        print(f"\nNo wrong text, nothing stuck, nothing left behind, in {rounds} rounds and {took:.0f} s.")
    return bool(storm.failures)


if __name__ == "__main__":
    sys.exit(main())
