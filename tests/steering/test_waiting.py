"""Waiting for a job: what a notebook and a terminal show meanwhile, and what an interrupt leaves behind."""

from __future__ import annotations

import _thread
import io
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from steering import waiting
from steering.job import Job
from steering.lane import Lane
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate, stream
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.waiting import Interrupted, progress
from steering.writes.interventions import Write
from steering.writes.operations import Add


MANY = 100_000
"""Reports of a job that only a stop ends; at a millisecond each, more than any test waits."""


@pytest.fixture
def own_lane() -> Iterator[Lane]:
    lane = Lane()
    yield lane
    assert lane.close()


@dataclass
class Notebook:
    """What a kernel's front end was given: each line that was displayed, and what became of it."""

    lines: list[list[Any]]
    shell: Any
    shown: threading.Event
    """Set once a line was changed in place."""


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Notebook:
    """A stand-in for IPython in a kernel."""
    found = Notebook([], SimpleNamespace(kernel=object(), execution_count=1), threading.Event())

    def display(line: Any, *, display_id: bool) -> Any:
        assert display_id
        found.lines.append([line])
        mine = found.lines[-1]
        return SimpleNamespace(update=lambda line: (mine.append(line), found.shown.set()))

    ipython, displays = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: found.shell  # type: ignore[attr-defined]
    displays.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", displays)
    monkeypatch.setattr(waiting, "_cell", (None, None))
    return found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars are shown from the beginning, and looked at often."""
    monkeypatch.setattr(waiting, "EVERY", 0.001)
    monkeypatch.setattr(waiting, "_AFTER", 0.0)
    monkeypatch.setattr(waiting, "_GUESS_AFTER", 0.0)


def _until(seen: threading.Event, job: Job[Any], total: int = 4) -> str:
    """Report two units in four until somebody has seen it."""
    for _ in range(MANY):
        job.report(2, total, "prompts <read>")
        if seen.wait(0.001):
            return "done"
    raise AssertionError("nothing was shown")


class _Elements(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_cell_has_one_line_with_units_that_is_changed_in_place(own_lane: Lane, notebook: Notebook) -> None:
    assert own_lane.run(lambda job: _until(notebook.shown, job), title="Reading <b>") == "done"
    (line,) = notebook.lines
    said = [_Elements(each._repr_html_()) for each in line]
    assert any("2 / 4 prompts <read>" in each.text for each in said), "titles and units are text"
    values = [attrs.get("value") for each in said for tag, attrs in each.found if tag == "progress"]
    assert "0.5000" in values
    assert {tag for each in said for tag, _ in each.found} <= {"div", "b", "progress"}
    assert "done in" in said[-1].text
    assert not [tag for tag, _ in said[-1].found if tag == "progress"]
    assert "2 / 4 prompts <read>" in " ".join(map(repr, line)), "where no markup is shown"
    notebook.shown.clear()
    own_lane.run(lambda job: _until(notebook.shown, job), title="Again")
    assert len(notebook.lines) == 1, "the next job of the same cell goes on in its line"
    notebook.shell.execution_count = 2
    notebook.shown.clear()
    own_lane.run(lambda job: _until(notebook.shown, job), title="Next cell")
    assert len(notebook.lines) == 2


def test_nothing_is_shown_unasked_in_a_script_by_other_threads_or_once_it_is_turned_off(
    own_lane: Lane, notebook: Notebook, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def some(job: Job[int]) -> int:
        for n in range(20):
            job.report(n, 20, "steps")
            threading.Event().wait(0.002)  # a bar that is looked at every millisecond would be shown
        return 20

    with progress(False):
        own_lane.run(some, title="Off")
    page = threading.Thread(target=lambda: own_lane.run(some, title="Of a page in the same kernel"))
    page.start()
    page.join()
    assert notebook.lines == []
    monkeypatch.delitem(sys.modules, "IPython")
    own_lane.run(some, title="A script")
    assert capsys.readouterr().err == ""
    assert waiting.cell_number() is None


def test_a_script_that_asks_has_a_line_on_its_terminal(own_lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def flush(self) -> None:
            if "2 / 4" in self.getvalue():
                seen.set()

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with progress():
        own_lane.run(lambda job: _until(seen, job), title="Reading")
    shown = terminal.getvalue()
    assert "Reading: [████████████░░░░░░░░░░░░] 2 / 4 prompts <read>" in shown
    assert shown.endswith("\n")
    assert "done in" in shown


def test_an_interrupt_stops_the_job_and_leaves_nothing_on_the_lane(own_lane: Lane) -> None:
    steps: list[int] = []

    def work(job: Job[None]) -> None:
        for n in range(MANY):
            steps.append(n)
            job.report(n, MANY, "steps")
            if n == 3:
                _thread.interrupt_main()
            threading.Event().wait(0.001)

    with pytest.raises(KeyboardInterrupt) as caught:
        own_lane.run(work, title="Long")
    assert isinstance(caught.value, Interrupted)
    assert caught.value.job.state == "stopped"
    assert own_lane.jobs() == []
    assert 4 <= len(steps) < MANY
    (line,) = caught.value._render_traceback_()
    assert line == f"Interrupted: Long: stopped at {steps[-1]} / {MANY} steps."
    assert own_lane.run(lambda job: "free", title="Next") == "free"


def test_a_loop_over_events_is_interrupted_in_the_same_way(own_lane: Lane) -> None:
    class Queue:
        """Interrupts whoever waits for the second event."""

        def __init__(self, inner: Any) -> None:
            self.inner, self.asked = inner, 0

        def put(self, item: Any) -> None:
            self.inner.put(item)

        def get(self, timeout: float) -> Any:
            self.asked += 1
            if self.asked == 2:
                raise KeyboardInterrupt
            return self.inner.get(timeout=60)

    def work(job: Job[None]) -> None:
        job._events = Queue(job._events)
        job.emit("first")
        ready.set()
        for n in range(MANY):
            job.report(n, None, "steps")
            threading.Event().wait(0.001)

    ready = threading.Event()
    job = own_lane.submit(work, title="Long")
    assert ready.wait(60)
    events = job.events()
    assert next(events) == "first"
    with pytest.raises(Interrupted, match="Long: stopped"):
        next(events)
    assert job.state == "stopped"
    assert own_lane.jobs() == []


@dataclass(frozen=True, eq=False)
class _Interrupting(Add):
    """Interrupts the main thread the third time that it is applied, between two tokens of a reply."""

    def __call__(self, states: Tensor) -> Tensor:
        calls.append(len(calls))
        if len(calls) == 3:
            _thread.interrupt_main()
        return super().__call__(states)


calls: list[int] = []


def test_an_interrupted_generation_leaves_the_model_as_it_was(demo: Host) -> None:
    prompt, settings = render(demo, "Write a note to my boss about the meeting."), DecodeSettings(max_new_tokens=12)
    before = generate(demo, [Row(prompt)], settings)
    direction = torch.zeros(demo.info.width)
    direction[0] = 1.0
    plan = (Write(_Interrupting(direction, 50.0), 2, "block_output"),)
    calls.clear()
    with pytest.raises(Interrupted, match="Generating: stopped at"):
        generate(demo, [Row(prompt, plan)], DecodeSettings(max_new_tokens=2000))
    assert 3 <= len(calls) < 2000
    assert demo.lane.jobs() == []
    assert generate(demo, [Row(prompt)], settings) == before
    job = stream(demo, [Row(prompt)], settings)
    assert job.result() == before
