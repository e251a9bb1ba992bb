"""Replies of several jobs, decoded together: whoever has the model thread reads one token of everybody's rows.

A job begins by reading its own prompts. From then on it keeps company: each token is one pass over the rows of all jobs
that are between two tokens, so that eight visitors cost little more than one. Rows leave when they end. What a row gets
does not depend on who else is there, up to float error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from steering.lane import Job, Stopped
from steering.model.device_memory import if_it_fits
from steering.model.host import Host
from steering.passes.replies import DecodeSettings
from steering.passes.row_states import RowState
from steering.passes.rows import Row
from steering.passes.running import Running


MOST_ROWS = 64
"""Rows that are decoded together; those of later jobs make another batch."""


@dataclass(eq=False)
class Member:
    """A job whose rows are decoded in company."""

    job: Job[Any]
    states: Sequence[RowState]
    tell: Callable[[Member], None]
    """Called at every token of its own, on whichever thread read it; must not wait."""
    running: Running
    steps: int = 0
    """Tokens so far, less one."""
    error: BaseException | None = None
    """What failed while another job read its token."""

    @property
    def done(self) -> bool:
        """Whether all its rows have ended."""
        return all(state.finish for state in self.states)


class Company:
    """The jobs that decode on one model."""

    def __init__(self) -> None:
        self._members: list[Member] = []

    @contextmanager
    def joined(
        self,
        host: Host,
        job: Job[Any],
        rows: Sequence[Row],
        settings: Sequence[DecodeSettings],
        tell: Callable[[Member], None],
    ) -> Iterator[Member]:
        """Read a job's prompts and have it keep company until the end of the block.

        Raises:
            SteeringError: As `steering.passes.decoding.next_token_logits`.
        """
        begun = Running.begin(host, rows, settings)
        member = Member(job, begun.states, tell, begun)
        tell(member)
        if begun.is_plain and not member.done:
            begun.keep([place for place, state in enumerate(begun.states) if not state.finish])
            self._join(member)
        self._members.append(member)
        try:
            yield member
        finally:
            self._members.remove(member)
            if member.running.is_plain:
                self._drop(member.running, member.states)

    def step(self, member: Member) -> None:
        """One more token for a job, and for all that keep it company.

        Raises:
            Stopped: Somebody asked the job to end.
            BaseException: What failed, for all of them.
        """
        if member.error is not None:
            raise member.error
        running = member.running
        together = [each for each in self._members if each.running is running and not each.done]
        try:
            taken = running.step()
        except Stopped:
            raise
        except BaseException as error:
            for each in together:
                each.error = error
            raise
        if running.is_plain:
            self._drop(running, [state for state in running.states if state.finish])
        for each in together:
            each.steps += 1
            each.tell(each)
            if each is not member:
                each.job.carry(taken, ends=each.done)

    def _join(self, member: Member) -> None:
        for each in self._members:
            running = each.running
            full = len(running.states) + len(member.running.states) > MOST_ROWS
            if not each.done and each.error is None and running.is_plain and not full:
                if if_it_fits(lambda: running.take_in(member.running)):  # noqa: B023 - called here
                    member.running = running
                return

    def _drop(self, running: Running, states: Sequence[RowState]) -> None:
        gone = {id(state) for state in states}
        left = [place for place, state in enumerate(running.states) if id(state) not in gone]
        if left:  # an empty batch has no next token, and nobody asks for one
            running.keep(left)


def company_of(host: Host) -> Company:
    """Those who decode on a model now, whatever their chat settings."""
    return _COMPANIES.setdefault(host.base, Company())


_COMPANIES: WeakKeyDictionary[Host, Company] = WeakKeyDictionary()
