"""Runs that are killed at random moments: 10 of those that `make crash` kills, of short kinds, one for each aim."""

from __future__ import annotations

from pathlib import Path

from tests.programs import Program


CRASHES = "import runpy; runpy.run_module('tests.crashes', run_name='__main__')"


def test_of_ten_runs_that_are_killed_nothing_is_lost_and_all_go_on_to_the_same_end(tmp_path: Path) -> None:
    # A process of its own: it forks, which a process with threads should not.
    crashes = Program(CRASHES, "10", "--kinds", "extract,steer,grid,methods", said=tmp_path / "said")
    code, told = crashes.wait()
    assert code == 0, told
    *_, last, said = told.strip().splitlines()
    before, begin, computing, writing, telling, after, every = map(int, last.split()[1:])
    assert every == 10 == before + begin + computing + writing + telling + after
    assert computing  # on however busy a machine, some were cut in the middle
    assert writing
    assert said.startswith("Nothing was lost, changed or half-written")
