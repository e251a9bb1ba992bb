"""Runs go on without a reader, and every reader sees the same, whenever they come."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import gradio as gr
import pytest

from steering.errors import SteeringError
from workbench.runs.live import MOST, MOST_OF_ONE, MOST_WAITING, LiveRun, LiveRuns


WAIT = 30
"""Seconds before a test that hangs gives up."""


class Script:
    """Steps that are taken one by one as the test lets them."""

    def __init__(self, *changes: dict[Any, Any]) -> None:
        self._changes = changes
        self._let = threading.Semaphore(0)
        self.taken = 0

    def steps(self) -> Iterator[dict[Any, Any]]:
        for each in self._changes:
            assert self._let.acquire(timeout=WAIT)
            self.taken += 1
            yield each

    def let(self, n: int = 1) -> None:
        for _ in range(n):
            self._let.release()


def _until(said: Any) -> None:
    for _ in range(WAIT * 100):
        if said():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def _joined(updates: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    """The values that a page has in the end."""
    known: dict[Any, Any] = {}
    for each in updates:
        known |= {part: made["value"] if isinstance(made, dict) else made for part, made in each.items()}
    return known


def test_a_run_goes_on_without_its_reader_and_another_finds_all_of_it() -> None:
    runs, script = LiveRuns(), Script({"text": "one"}, {"text": "one two", "more": 1}, {"text": "one two three"})
    run = runs.begin(script.steps(), visitor="anna", panel="steer")
    reader = run.follow()
    script.let()
    assert next(reader) == {"text": "one"}
    reader.close()  # the page is gone
    script.let()
    _until(lambda: script.taken == 2)
    assert runs.of("anna", "steer") is run
    assert runs.of("ben", "steer") is runs.of("anna", "grid") is runs.of("", "steer") is None
    late = runs.of("anna", "steer").follow()
    _until(lambda: run._shown.get("more"))
    first = next(late)
    assert _joined([first]) == {"text": "one two", "more": 1}
    script.let()
    assert _joined([first, *late]) == {"text": "one two three", "more": 1}
    _until(lambda: run.ended)
    assert runs.of("anna", "steer") is None
    assert _joined(list(run.follow())) == {"text": "one two three", "more": 1}  # whoever still has it, sees the end


def test_two_readers_see_the_same_end_whatever_their_pace() -> None:
    n = 20 * MOST_WAITING
    run = LiveRun(({"text": "x" * k, f"part {k % 7}": k} for k in range(n)), visitor="anna", panel="steer")
    slow, quick = run.follow(), run.follow()
    seen: list[list[dict[Any, Any]]] = [[], []]
    # Both stand before the run begins; the slow one looks only when all is over.
    second = threading.Thread(target=lambda: seen[1].extend(quick))
    second.start()
    _until(lambda: len(run._readers) == 1)
    first = threading.Thread(target=lambda: seen[0].append(next(slow)))
    first.start()
    _until(lambda: len(run._readers) == 2)
    run.begin(lambda run: None)
    for each in (first, second):
        each.join(WAIT)
    _until(lambda: run.ended)
    seen[0] += list(slow)
    assert _joined(seen[0]) == _joined(seen[1])
    assert _joined(seen[0])["text"] == "x" * (n - 1)
    assert len(seen[0]) <= MOST_WAITING + 1  # nothing piles up behind a slow page


def test_updates_of_parts_are_joined() -> None:
    script = Script({"button": gr.update(interactive=False), "text": "a"}, {"button": gr.update(visible=True)})
    run = LiveRun(script.steps(), visitor="anna", panel="steer")
    run.begin(lambda run: None)
    script.let(2)
    _until(lambda: run.ended)
    (whole,) = run.follow()
    assert whole["button"] == {"interactive": False, "visible": True, "__type__": "update"}
    assert _joined([{"text": whole["text"]}]) == {"text": "a"}


def test_a_fault_ends_the_run_and_is_logged(caplog: Any) -> None:
    def steps() -> Iterator[dict[Any, Any]]:
        yield {"text": "made"}
        raise ZeroDivisionError("oh")

    runs = LiveRuns()
    run = runs.begin(steps(), visitor="anna", panel="steer")
    _until(lambda: run.ended)
    assert _joined(list(run.follow())) == {"text": "made"}
    assert "ZeroDivisionError" in caplog.text
    assert runs.of("anna", "steer") is None


def test_one_visitor_cannot_have_all_threads() -> None:
    runs, script = LiveRuns(), Script(*[{"text": ""}] * (MOST + 1))
    for _ in range(MOST_OF_ONE):
        runs.begin(script.steps(), visitor="anna", panel="steer")
    with pytest.raises(SteeringError, match="stop one"):
        runs.begin(script.steps(), visitor="anna", panel="steer")
    for n in range(MOST - MOST_OF_ONE):
        runs.begin(script.steps(), visitor=f"visitor {n}", panel="steer")
    with pytest.raises(SteeringError, match=f"{MOST} of all"):
        runs.begin(script.steps(), visitor="ben", panel="steer")
    script.let(MOST * (MOST + 1))
    _until(lambda: runs.of("anna", "steer") is None)
    runs.begin(iter([{"text": ""}]), visitor="ben", panel="steer")
