"""Runs that are killed at random moments: 10 of those that `make crash` kills, of short kinds, one for each aim."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_of_ten_runs_that_are_killed_nothing_is_lost_and_all_go_on_to_the_same_end() -> None:
    # A process of its own: it forks, which a process with threads should not.
    command = [sys.executable, "-m", "tests.crashes", "10", "--kinds", "extract,steer,grid,methods"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    *_, last, said = done.stdout.strip().splitlines()
    before, begin, computing, writing, telling, after, every = map(int, last.split()[1:])
    assert every == 10 == before + begin + computing + writing + telling + after
    assert computing  # on however busy a machine, some were cut in the middle
    assert writing
    assert said.startswith("Nothing was lost, changed or half-written")
