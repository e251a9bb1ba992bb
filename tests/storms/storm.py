"""A storm before a served workbench: who is there, and what is looked at once they rest."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

from steering.names import short_name
from steering.vectors.vector import SteeringVector
from tests.storms.asks import said
from tests.storms.browser import LIMITS
from tests.storms.measured import ROOM, UNIT, Bound, Measured
from tests.storms.visitors import Client
from tests.workbench.test_workspace import vector
from workbench.bench import Workbench
from workbench.doors.at_hand import on_behalf_of
from workbench.doors.visits import Visit
from workbench.runs.run import Run


PATIENCE = 300.0
"""Seconds in which all that goes on must have ended once everybody is gone; far more than a busy machine takes."""
STEPS = 6
"""That each client does in a round."""
STEPS = 6
"""That each client does in a round, where nobody says else."""
FULL = 240
"""Acts in which caches fill. Gradio alone remembers 60 pages, of some megabytes each: where fewer come first, memory is
not judged."""


class Faults(logging.Handler):
    """What the program logs of exceptions, but for those that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not record.getMessage().startswith("Trouble failed"):
            self.seen.append(logging.Formatter().format(record)[-1500:])


@dataclass
class Storm:
    """A served workbench, and what is known of it."""

    bench: Workbench
    clients: list[Client]
    expected: dict[str, dict[tuple[int, int], list[str]]]
    faults: Faults
    steps: int = STEPS
    """That each client does in a round."""
    visits: dict[Visit, int] = field(default_factory=dict)
    """Whose rooms there are, and the client's number."""
    later: float = 0.0
    """Seconds by which the rooms' clock is ahead."""
    measured: list[Measured] = field(default_factory=list)
    """After each round."""
    runs: Counter[str] = field(default_factory=Counter)
    """Kept runs that were looked at, by how they ended."""
    failures: list[str] = field(default_factory=list)
    _looked: set[str] = field(default_factory=set)

    def round(self) -> None:
        """Let every client do what it does in the next round, then look what is left."""
        number = len(self.measured)
        threads = [threading.Thread(target=each.round, args=(number, self.steps), daemon=True) for each in self.clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._end()
        for visit in list(self.visits):
            self._look(visit)
        self._clear()
        for each in self.clients:
            self.failures += each.failures
            each.failures.clear()
        self.failures += self.faults.seen
        self.faults.seen.clear()
        self.measured.append(Measured.now())

    def begin(self, visit: Visit, number: int) -> None:
        """A client begins a visit: it gets a vector of its own."""
        with on_behalf_of(visit):
            self.bench.workspace.put(own_vector(number))
        self.visits[visit] = number

    @property
    def acts(self) -> int:
        """How many things clients have done."""
        return sum(sum(each.done.values()) for each in self.clients)

    def warm_up(self) -> list[Bound]:
        """The bounds, of what was measured so far."""
        names = [name for name in ROOM if name != "memory" or self.acts >= FULL]
        return [Bound.of(name, self.measured) for name in names]

    def check(self, bounds: list[Bound], warm: int) -> None:
        """Hold what was measured after the warm-up against its bounds.

        Args:
            bounds: As `warm_up` gave them.
            warm: After how many rounds.
        """
        for bound in bounds:
            for n, each in enumerate(self.measured[warm:], start=warm):
                if getattr(each, bound.name) > bound.most:
                    found, most = f"{getattr(each, bound.name):.0f}{UNIT.get(bound.name, '')}", f"{bound.most:.0f}"
                    self.failures.append(f"round {n}: {bound.name} at {found}, more than {most}")
                    break

    def _end(self) -> None:
        """Wait until all that goes on has ended, and have the model thread do one thing more."""
        end = time.monotonic() + PATIENCE
        while self.bench.lane.jobs() or any(self.bench.live.goes_on(visit.room) for visit in self._everybody()):
            if time.monotonic() > end:
                titles = [f"{job.title} ({job.state})" for job in self.bench.lane.jobs()]
                frames = sys._current_frames()
                stacks = ["".join(traceback.format_stack(frame, limit=12)) for frame in frames.values()]
                raise AssertionError(f"Stuck after {PATIENCE:.0f} s: {titles}\n" + "\n".join(stacks))
            time.sleep(0.02)
        self.bench.lane.submit(lambda job: None, title="last").result(PATIENCE)

    def _everybody(self) -> list[Visit]:
        rooms = self.bench.rooms
        assert rooms is not None
        return [Visit(name, room=name, limits=LIMITS) for name in list(rooms._rooms)]

    def _look(self, visit: Visit) -> None:
        """Hold every run of a visitor that has ended since against what it gives alone."""
        with on_behalf_of(visit):
            runs = self.bench.runs
            for run in runs.find():
                if run.id not in self._looked:
                    self._looked.add(run.id)
                    self.runs[run.state] += 1
                    if wrong := self._wrong(run, self.visits[visit], said(runs.result(run.id))):
                        self.failures.append(f"a run of client {self.visits[visit]} on {run.model}: {wrong}")

    def _wrong(self, run: Run, number: int, texts: list[str]) -> str:
        """What is wrong with a run, "" where nothing is."""
        if run.state == "failed":
            return "" if run.kind == "trouble" else f"{run.kind} failed: {run.error}"
        if not run.over or run.kind == "trouble":
            return f"{run.kind} is {run.state}"
        alone = [each for (client, _), each in self.expected[short_name(run.model)].items() if client == number]
        if run.state == "done":
            return "" if texts in alone else f"{run.kind} wrote {texts}"
        parts = any(all(whole.startswith(part) for part, whole in zip(texts, each, strict=False)) for each in alone)
        return "" if parts else f"a stopped {run.kind} wrote {texts}"

    def _clear(self) -> None:
        """Let those be gone long since who do not stay, with all that they left."""
        stay = {each.browser.visit for each in self.clients if each.stays and each.browser}
        rooms = self.bench.rooms
        assert rooms is not None
        with (
            rooms._lock
        ):  # the page clears by itself, too: the hour must not be over for those who stay, not for a moment
            self.later += 60.0 * LIMITS.minutes + 1
            for visit in stay:
                with on_behalf_of(visit):
                    rooms.use()
        self.bench.clear()
        if len(rooms._rooms) > len(stay):
            self.failures.append(f"{len(rooms._rooms)} rooms are left, of {len(stay)} visitors")
        self.visits = {visit: number for visit, number in self.visits.items() if visit in stay}


def own_vector(number: int) -> SteeringVector:
    """The vector of a client, each another one by the same name."""
    return vector("own", number, blocks=4, width=32)
