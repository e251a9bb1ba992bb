"""Two dozen visitors at once, again and again: each gets their own texts in their turn; no memory is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gradio.state_holder import SessionState

from steering.job import Job
from steering.studies import STUDIES
from tests.workbench.asking import asked_by, tiny_bench
from tests.workbench.test_workspace import vector
from workbench.doors.at_hand import on_behalf_of
from workbench.doors.limits import Limits
from workbench.doors.visits import Visit
from workbench.frame.shell import build
from workbench.page.markup import escape
from workbench.runs.live import LiveRun


VISITORS, ROUNDS = 24, int(os.environ.get("STEERING_ROUNDS", "1"))
"""`make visitors` has 13 rounds, so that 312 runs are made and memory is measured over 288 of them."""
WAIT = 300
"""Seconds before a test that hangs gives up."""
LIMITS = Limits(tokens=16)
TEXT = "Write a note to my boss."
MEGABYTES = 25
"""By which the process may have grown from the first round to the last: over 288 further runs a leak of pages or of
tensors would be a tenth of a megabyte for each, and what allocators keep for themselves is some megabytes."""


@dataclass
class Visitor:
    visit: Visit
    expected: str = ""
    shown: list[str] = field(default_factory=list)
    """All that the page showed, by run."""
    kept: list[str] = field(default_factory=list)
    """The steered reply of each run in their own list."""


@dataclass
class Seen:
    visitors: list[Visitor]
    sizes: list[int]
    """Bytes that the process had after each round."""
    left: tuple[int, int]
    """Runs and jobs that are still there when all is over."""


def _recipe(name: str) -> dict[str, Any]:
    return {"interventions": [{"vector": name, "strength": 20.0, "unit": "raw"}], "decode": {"max_new_tokens": 4}}


def _size() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def _asked(page: Any, event: Any, visit: Visit) -> str:
    """Press Run; gives all that the visitor's page then showed."""
    given = {"user": TEXT, "recipe-a": _recipe("own")}
    values = [given.get(str(part.elem_id), None if callable(part.value) else part.value) for part in event.inputs]
    steps, shown, state = None, [], SessionState(page)
    while True:
        options = {"iterator": steps, "state": state, "request": asked_by(visit), "session_hash": visit.number}
        answer = await page.process_api(event, values, **options)
        shown.append(json.dumps(answer["data"], default=str))
        steps = answer["iterator"]
        if not answer["is_generating"]:
            return "\n".join(shown)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Iterator[Seen]:
    if not Path("/proc/self/statm").exists():
        pytest.skip("how much memory the process has is read from /proc")
    bench = tiny_bench(tmp_path_factory.mktemp("owner"), tokenizer)
    bench.receive(LIMITS)
    assert bench.rooms is not None
    page = build(bench)
    (button,) = (part for part in page.blocks.values() if part.elem_id == "run")
    (event,) = (each for each in page.fns.values() if each.fn and (button._id, "click") in each.targets)
    visitors = [Visitor(Visit(f"{n:032x}", room=f"{n:032x}", limits=LIMITS)) for n in range(1, VISITORS + 1)]
    study = STUDIES["steer"]
    for n, each in enumerate(visitors):
        with on_behalf_of(each.visit):
            bench.workspace.put(vector("own", n, blocks=4, width=32))  # of one name, and each another one
            given = {"user": TEXT, "recipes": [_recipe("own")], "vectors": str(bench.workspace.shelf)}
        alone = study.start(bench.model.require(), study.parse(given)).result(WAIT)
        each.expected = alone.tables["replies"]["text"].tolist()[1]
    sizes: list[int] = []

    def over() -> None:
        gc.collect()
        sizes.append(_size())

    together = threading.Barrier(VISITORS, action=over)

    def visit(who: Visitor) -> None:
        for _ in range(ROUNDS):
            together.wait(WAIT)  # all press Run at the same moment
            who.shown.append(asyncio.run(_asked(page, event, who.visit)))
        together.wait(WAIT)

    threads = [threading.Thread(target=visit, args=(each,), daemon=True) for each in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    bench.lane.run(lambda job: None, title="last")
    for each in visitors:
        with on_behalf_of(each.visit):
            results = [bench.runs.result(run.id) for run in bench.runs.find()]
        each.kept = [result.tables["replies"]["text"].tolist()[1] for result in results if result]
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, LiveRun | Job)]
    counts = (sum(isinstance(each, LiveRun) for each in left), sum(isinstance(each, Job) for each in left))
    yield Seen(visitors, sizes, counts)
    bench.lane.close()
    bench.close()


def test_two_dozen_visitors_at_once_get_their_own_texts_and_places(seen: Seen) -> None:
    texts = {each.expected for each in seen.visitors}
    assert len(texts) > VISITORS // 2  # the vectors tell: most texts are nobody else's
    for each in seen.visitors:
        assert len(each.shown) == len(each.kept) == ROUNDS
        assert not any("sw-error" in shown for shown in each.shown)
        assert each.kept == [each.expected] * ROUNDS
        others = [_on_the_page(text) for text in texts - {each.expected}]
        assert not any(other in shown for shown in each.shown for other in others)
    told = [(each.expected, shown) for each in seen.visitors for shown in each.shown]
    assert sum(_on_the_page(text) in shown for text, shown in told) > len(told) // 2  # a slow page skips some steps
    ahead = [int(n) for each in seen.visitors for shown in each.shown for n in re.findall(r"(\d+) jobs? ahead", shown)]
    assert max(ahead, default=0) < VISITORS  # whoever waited did so for no more than one of each other's


def test_visitors_runs_leave_no_memory_behind(seen: Seen) -> None:
    assert len(seen.sizes) == ROUNDS + 1
    grown = (seen.sizes[-1] - seen.sizes[1]) / 2**20
    assert grown < MEGABYTES, [round(size / 2**20) for size in seen.sizes]
    assert seen.left[0] == 0
    assert seen.left[1] < VISITORS


def _on_the_page(text: str) -> str:
    """A reply while it is written, as the browser is sent it."""
    return json.dumps(escape(text))[1:-1]
