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

from bench.harness.pairs import clocked, paired
from bench.harness.row import Aim, BenchRow
from bench.models import endless, host
from steering.model.host import Host
from tests.workbench.asking import Asker, asked_by, event_of, values_of
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
    for name, rounds in (("demo", 1 if quick else 9), ("random 100 M", 1 if quick else 5)):
        with endless(host(name)), TemporaryDirectory() as folder:
            yield _together(name, host(name), Path(folder), rounds)


def _together(name: str, of: Host, folder: Path, rounds: int) -> BenchRow:
    bench = Workbench(workspace=folder, lane=of.lane)
    bench.model.host = of
    bench.receive(Limits(tokens=TOKENS))
    page = build(bench)
    event = event_of(page, "run")
    visits = [Visit(f"{n:032x}", room=f"{n:032x}", limits=Limits(tokens=TOKENS)) for n in range(1, VISITORS + 1)]
    for n, each in enumerate(visits):
        with on_behalf_of(each):
            bench.workspace.put(vector("own", n, blocks=of.info.blocks, width=of.info.width))

    # A page makes its own when it is opened, long before somebody presses Run.
    askers = [Asker(page, asked_by(visit)) for visit in visits]

    def press(who: Sequence[Asker]) -> Callable[[], None]:
        return lambda: _at_once(
            [lambda n=n, a=asker: asyncio.run(_asked(a, event, n)) for n, asker in enumerate(who, start=1)]  # type: ignore[misc]
        )

    try:
        found = paired(clocked(press(askers)), clocked(press(askers[:1])), rounds)
        note = f"{VISITORS * 2 * TOKENS / found.ours:,.0f} tokens/s together, {2 * TOKENS / found.theirs:,.0f} alone"
        return found.row(
            SECTION, f"{name}: tokens per second of {VISITORS}", f"{VISITORS} together", "one alone",
            times=VISITORS, aim=Aim(4.0), note=note, why=WHY,
        )  # fmt: skip
    finally:
        bench.close()


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


async def _asked(asker: Asker, event: Any, n: int) -> None:
    """Press Run and follow it to its end."""
    recipe = {
        "interventions": [{"vector": "own", "strength": 1e-3, "unit": "raw"}],
        "decode": {"max_new_tokens": TOKENS},
    }
    async for data in asker.answers(event, values_of(event, {"user": TEXT.format(n=n), "recipe-a": recipe})):
        if "sw-error" in str(data):
            raise RuntimeError("the page shows an error in place of replies")
