"""A clock that is put back an hour or forward a day while something goes on: times never run backwards, runs stay in
order, and nothing that is in use goes as too old.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from steering.lane import Job, Lane
from workbench.runs import arrivals, run
from workbench.runs.run import Run
from workbench.runs.runs import Runs


class Clock(datetime):
    """As it is put."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + cls.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(run, "datetime", Clock)
    monkeypatch.setattr(run, "_said", [datetime.min.replace(tzinfo=UTC)])
    monkeypatch.setattr(Clock, "ahead", timedelta())
    return Clock


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=1)])
def test_runs_stay_in_order_and_none_ends_before_it_began(clock: type[Clock], tmp_path: Path, jump: timedelta) -> None:
    runs = Runs(tmp_path / "runs")
    first = runs.begin(Run("", "steer", "first", "demo"))
    began = datetime.now(UTC)
    clock.ahead = jump
    assert abs(Clock.now(UTC) - began - jump) < timedelta(minutes=1)  # it is put
    runs.end(first, "done")
    second = runs.begin(Run("", "steer", "second", "demo"))
    clock.ahead = timedelta()
    runs.end(second, "done")
    third = runs.begin(Run("", "steer", "third", "demo"))
    runs.end(third, "done")
    assert [each.title for each in runs.find()] == ["third", "second", "first"]
    assert all(each.ended > each.begun for each in runs.find())
    runs.close()


def test_an_import_that_goes_on_is_left_alone_and_what_a_killed_one_left_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, working = (tmp_path / f"{arrivals._ROOM}{name}" for name in ("left", "working"))
    for room in (left, working):
        room.mkdir()
    a_day_on = time.time() + arrivals._STALE + 60
    with arrivals.FileLock(working / arrivals._AT_WORK):
        monkeypatch.setattr(arrivals.time, "time", lambda: a_day_on)
        arrivals._tidy(tmp_path)
        assert (working.exists(), left.exists()) == (True, False)


@pytest.mark.parametrize("jump", [-3600.0, 86_400.0])
def test_how_long_a_job_took_is_no_matter_of_the_clock(monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    lane, real, began, release = Lane(), time.time, threading.Event(), threading.Event()

    def work(job: Job[None]) -> None:
        job.report(1, 4, "quarters")
        began.set()
        release.wait(5)

    job = lane.submit(work, title="work")
    assert began.wait(5)
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    assert 0 <= job.elapsed < 60
    assert 0 <= job.used < 60
    assert 0 <= (job.remaining or 0) < 600
    release.set()
    job.result(5)
    assert 0 <= job.elapsed < 60
    lane.close()
