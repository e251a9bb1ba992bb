"""Jobs through the door: what crosses, what comes back, and what is refused; both sides in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch

from steering.confines import Confines, confined, current
from steering.errors import SteeringError
from steering.lane import Job, Progress, note
from steering.model import pace
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.store import Store
from tests.conftest import tiny_model
from workbench.page.jobs import Call
from workbench.space.child import work_of
from workbench.space.crossing import Crossing
from workbench.space.lane import DoorLane


@pytest.fixture(scope="module")
def there(tokenizer: Any) -> Host:
    """The model as the process has it that has the GPU."""
    return Host.wrap(deepcopy(tiny_model("llama")), tokenizer, name="tiny-llama")


@pytest.fixture
def here(there: Host) -> Iterator[Host]:
    """The same model on the page's side, without its weights: nothing there may ask for them."""
    host = copy(there)
    host.base, host._views, host.model = host, {}, None
    lane = DoorLane(lambda data, seconds: work_of(there, data), lambda host: 10)
    host.lane, lane.host = lane, host
    yield host
    lane.close()


def test_a_job_is_done_on_the_model_of_the_other_side(here: Host, there: Host) -> None:
    rows = [Row(render(here, "Good morning."))]
    job = here.submit(lambda job: (threading.get_ident(), next_token_logits(here, rows)), title="there")
    thread, logits = job.result(timeout=30)
    assert thread != threading.get_ident()
    assert torch.equal(logits, next_token_logits(there, rows))
    assert torch.equal(next_token_logits(here, rows), logits)  # a library function that asks for the lane itself


def test_progress_items_notes_and_the_result_come_back_in_order(here: Host) -> None:
    def work(job: Job[str]) -> str:
        job.report(1, 2, "halves")
        job.emit("first")
        note("A note.")
        job.emit("second")
        return "result"

    job = here.submit(work, title="told")
    events = [event for event in job.events() if event is not None]
    assert job.result() == "result"
    assert [event for event in events if isinstance(event, str)] == ["first", "second"]
    assert Progress(1, 2, "halves") in events
    assert job.notes == ["A note."]


def test_what_fills_is_seen_as_it_was_and_at_last_whole(here: Host) -> None:
    """Many copies of one list, of which the first and the last must be there, and none changes afterwards."""

    def work(job: Job[None]) -> None:
        filling: list[int] = []
        for n in range(50):
            filling.append(n)
            job.emit(filling)

    job = here.submit(work, title="fills")
    seen = [event for event in job.events() if isinstance(event, list)]
    assert seen[0] == [0]
    assert seen[-1] == list(range(50))
    assert len(seen) < 50


def test_an_error_keeps_its_kind_and_its_words(here: Host) -> None:
    def wrong(job: Job[None]) -> None:
        raise SteeringError("Given.", "expected.", "Remedy.")

    def fault(job: Job[None]) -> None:
        raise ValueError("a fault")

    def odd(job: Job[None]) -> None:
        raise UnicodeDecodeError("utf-8", b"x", 0, 1, "odd")

    with pytest.raises(SteeringError) as raised:
        here.run(wrong, title="wrong")
    assert str(raised.value) == "Given. Expected: expected. Remedy."
    with pytest.raises(ValueError, match="a fault"):
        here.run(fault, title="fault")
    with pytest.raises(UnicodeDecodeError, match="odd"):
        here.run(odd, title="odd")


def test_the_model_is_named_with_its_chat_settings_and_found_on_the_other_side(here: Host, there: Host) -> None:
    crossing = Crossing(here)
    view = here.under(ChatSettings(prefill="Sure."))
    data = crossing.pack({"view": view, "lane": here.lane})
    found = Crossing(there).unpack(data)
    assert found["view"] is there.under(ChatSettings(prefill="Sure."))
    assert found["lane"] is there.lane
    assert len(data) < 500


def test_a_store_goes_along_and_what_is_added_comes_back(here: Host, tmp_path: Path) -> None:
    store = Store(tmp_path / "cells.sqlite")
    store["known"] = {"value": 1}

    def work(job: Job[Any]) -> Any:
        found = dict(store)
        store["new"] = {"value": 2}
        return found, store["new"], store

    found, new, back = here.run(work, title="kept")
    assert found == {"known": {"value": 1}}
    assert new == {"value": 2}
    assert back is store
    assert store["new"] == {"value": 2}


def test_a_job_that_waited_finds_what_those_before_it_added(here: Host, tmp_path: Path) -> None:
    store, go_on = Store(tmp_path / "cells.sqlite"), tmp_path / "go on"

    def first(job: Job[None]) -> None:
        while not go_on.exists():
            job.check()
        store["new"] = {"value": 2}

    one = here.submit(first, title="first")
    other = here.submit(lambda job: dict(store), title="second")
    go_on.touch()
    one.result(timeout=10)
    assert other.result(timeout=10) == {"new": {"value": 2}}


def test_of_a_large_store_the_newest_go_along(tmp_path: Path) -> None:
    store = Store(tmp_path / "cells.sqlite")
    for n in range(20):
        store[f"key {n}"] = {"text": "x" * 100}
    found = store.newest(550)
    assert list(found) == ["key 16", "key 17", "key 18", "key 19"]  # of 113 characters each
    assert store.newest(10**6) == dict(store)


def test_states_in_a_file_go_as_its_name(here: Host, tmp_path: Path) -> None:
    whole = np.lib.format.open_memmap(tmp_path / "states.npy", "w+", np.float16, (1000, 100))
    whole[:] = 3
    whole.flush()
    crossing = Crossing(here)
    data = crossing.pack(whole)
    assert len(data) < 1000
    assert np.array_equal(crossing.unpack(data), whole)
    part = crossing.unpack(crossing.pack(whole[2:4]))
    assert np.array_equal(part, whole[2:4])
    assert part.shape == (2, 100)


@pytest.mark.parametrize("what", ["a layer", "another model", "a call", "a lock"])
def test_what_only_one_side_has_is_refused_before_the_job_is_queued(
    here: Host, there: Host, what: str, tmp_path: Path
) -> None:
    from workbench.bench import Workbench

    held: Any = {
        "a layer": lambda: torch.nn.Linear(2, 2),
        "another model": lambda: copy_of(there),
        "a call": lambda: Call(Workbench(workspace=tmp_path, lane=here.lane), "title"),
        "a lock": threading.Lock,
    }[what]()
    with pytest.raises(SteeringError, match="cannot be done on a Space"):
        here.submit(lambda job: held, title="refused")
    assert here.lane.jobs() == []


def copy_of(host: Host) -> Host:
    other = copy(host)
    other.base = other
    return other


def test_a_result_that_cannot_come_back_is_an_error(here: Host) -> None:
    with pytest.raises(SteeringError, match="the job holds"):
        here.run(lambda job: threading.Lock(), title="result")


def test_what_is_learnt_of_the_model_comes_back(here: Host, there: Host) -> None:
    assert pace.seconds_per_token(here) is None

    def work(job: Job[None]) -> None:
        pace.note_reading(here, 1000, 2.0)

    here.run(work, title="timed")
    assert pace.seconds_per_token(here) == pytest.approx(0.002)
    del pace._READ[there]
    here.run(lambda job: pace.note_step(here, 1, 0.5), title="timed again")
    assert pace.seconds_per_token(there) == pytest.approx(0.002)  # which a new process is told
    for host in (here, there):
        pace._READ.pop(host, None)
        pace._SEEN.pop(host, None)


def test_confines_hold_on_the_other_side(here: Host, tmp_path: Path) -> None:
    confines = Confines(tmp_path, hub=False, models=frozenset({"demo"}))
    with confined(confines):
        assert here.run(lambda job: current(), title="confined") == confines
    assert here.run(lambda job: current(), title="free") is None


def test_no_quota_is_a_message_and_an_end_without_a_word_too(here: Host) -> None:
    def no_quota(data: bytes, seconds: int) -> Iterator[bytes]:
        raise gr.Error("You have exceeded your quota.", title="ZeroGPU quota exceeded")
        yield b""

    lane: Any = here.lane
    lane._door = no_quota
    with pytest.raises(SteeringError, match="ZeroGPU quota exceeded: You have exceeded your quota"):
        here.run(lambda job: None, title="refused")
    lane._door = lambda data, seconds: iter(())
    with pytest.raises(SteeringError, match="ended before the work did"):
        here.run(lambda job: None, title="cut short")
