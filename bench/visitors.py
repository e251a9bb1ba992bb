"""Eight visitors who press Run at the same moment, beside one alone: tokens a second of all together.

Each has a vector of their own on a public page; events go the way that the page sends them, without a browser.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gradio.state_holder import SessionState

from bench.harness.pairs import clocked, paired
from bench.harness.row import Aim, BenchRow
from bench.models import endless, host
from steering.model.host import Host
from tests.workbench.asking import asked_by
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.doors.at_hand import on_behalf_of
from workbench.doors.limits import Limits
from workbench.doors.visits import Visit
from workbench.frame.shell import build


SECTION = "Visitors"
VISITORS, TOKENS = 8, 32
TEXT = "Write a note to my boss about {n} meetings."
"""Each asks something of their own, so that no text is another's."""
WAIT = 600
"""Seconds after which an event that hangs ends the measurement."""
WHY = (
    "Steps, and prompts and second readings that fall together, are shared passes; what a page shows of each token and "
    "keeps of a run is each visitor's own, which on a small model is much of the work."
)


def rows(quick: bool) -> Iterator[BenchRow]:
    """On the demo, and on a real vocabulary."""
    for name, rounds in (("demo", 3 if quick else 9), ("random 100 M", 1 if quick else 5)):
        with endless(host(name)), TemporaryDirectory() as folder:
            yield _together(name, host(name), Path(folder), rounds)


def _together(name: str, of: Host, folder: Path, rounds: int) -> BenchRow:
    bench = Workbench(workspace=folder, lane=of.lane)
    bench.model.host = of
    bench.receive(Limits(tokens=TOKENS))
    page = build(bench)
    event = _event(page)
    visits = [Visit(f"{n:032x}", room=f"{n:032x}", limits=Limits(tokens=TOKENS)) for n in range(1, VISITORS + 1)]
    for n, each in enumerate(visits):
        with on_behalf_of(each):
            bench.workspace.put(vector("own", n, blocks=of.info.blocks, width=of.info.width))

    # A page makes its own when it is opened, long before somebody presses Run.
    states = {visit.number: SessionState(page) for visit in visits}

    def press(who: Sequence[Visit]) -> Callable[[], None]:
        return lambda: _at_once(
            [lambda v=visit: asyncio.run(_asked(page, event, v, states[v.number])) for visit in who]
        )  # type: ignore[misc]

    try:
        found = paired(clocked(press(visits)), clocked(press(visits[:1])), rounds)
        note = f"{VISITORS * 2 * TOKENS / found.ours:,.0f} tokens/s together, {2 * TOKENS / found.theirs:,.0f} alone"
        return found.row(
            SECTION, f"{name}: tokens per second of {VISITORS}", f"{VISITORS} together", "one alone",
            times=VISITORS, aim=Aim(4.0), note=note, why=WHY,
        )  # fmt: skip
    finally:
        bench.close()


def _event(page: Any) -> Any:
    """What a click on Steer's Run asks for."""
    (button,) = (part for part in page.blocks.values() if part.elem_id == "run")
    (event,) = (each for each in page.fns.values() if each.fn and (button._id, "click") in each.targets)
    return event


def _at_once(works: Sequence[Callable[[], Any]]) -> None:
    failed: list[BaseException] = []

    def guarded(work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as error:  # told where it is waited for
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    if failed or any(thread.is_alive() for thread in threads):
        raise failed[0] if failed else TimeoutError("a visitor's run does not end")


async def _asked(page: Any, event: Any, visit: Visit, state: SessionState) -> None:
    """Press Run and follow it to its end."""
    recipe = {
        "interventions": [{"vector": "own", "strength": 1e-3, "unit": "raw"}],
        "decode": {"max_new_tokens": TOKENS},
    }
    given = {"user": TEXT.format(n=int(visit.number, 16)), "recipe-a": recipe}
    values = [given.get(str(part.elem_id), None if callable(part.value) else part.value) for part in event.inputs]
    steps, shown = None, ""
    while True:
        options = {"iterator": steps, "state": state, "request": asked_by(visit), "session_hash": visit.number}
        answer = await page.process_api(event, values, **options)
        steps, shown = answer["iterator"], str(answer["data"])
        if "sw-error" in shown:
            raise RuntimeError("the page shows an error in place of replies")
        if not answer["is_generating"]:
            return
