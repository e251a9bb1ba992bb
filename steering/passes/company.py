"""Replies of several jobs, decoded together: whoever has the model thread reads one token of everybody's rows.

A job begins by reading its own prompts, and those of the jobs that are about to begin behind it. From then on it keeps
company: each token is one pass over the rows of all jobs
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
_PLACES = 2048
"""Of several jobs' prompts that are read in one pass, padding included: a pass over more is no faster by the token."""
_PADDED = 1.5
"""How many times the tokens of these prompts the pass may have as places."""


@dataclass(eq=False)
class Coming:
    """What is known of a job's rows before it begins, so that its prompts can be read with another's."""

    host: Host
    rows: Sequence[Row]
    settings: DecodeSettings
    """Of all rows."""
    begun: Running | None = None
    """Its rows behind their prompts, where another job has read these."""


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
        self._plain = False
        """Whether caches of the model were seen to be plain, so that what was read together can be parted."""

    @contextmanager
    def joined(self, job: Job[Any], coming: Coming, tell: Callable[[Member], None]) -> Iterator[Member]:
        """Read a job's prompts, where no other job has, and have it keep company until the end of the block.

        Args:
            job: It.
            coming: Its rows.
            tell: As `Member.tell`.

        Raises:
            SteeringError: As `steering.passes.decoding.next_token_logits`.
        """
        begun = self._begun(coming)
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

    def _begun(self, coming: Coming) -> Running:
        """A job's rows behind their prompts."""
        if coming.begun is None:
            self._begin([coming, *self._behind(coming)])
        begun, coming.begun = coming.begun, None
        assert begun is not None
        self._plain |= begun.is_plain
        return begun

    def _behind(self, first: Coming) -> list[Coming]:
        """The jobs whose prompts are read with those of one that begins."""
        if not self._plain:
            return []
        lengths = [len(row.prompt) for row in first.rows]
        chosen: list[Coming] = []
        for each in first.host.lane.joining():
            if not isinstance(each, Coming) or each.begun is not None or each.host.base is not first.host.base:
                continue
            longer = [*lengths, *(len(row.prompt) for row in each.rows)]
            places = len(longer) * max(longer)
            if len(longer) <= MOST_ROWS and places <= min(_PLACES, _PADDED * sum(longer)):
                chosen, lengths = [*chosen, each], longer
        return chosen

    def _begin(self, together: Sequence[Coming]) -> None:
        """Read prompts in one pass; of the first alone where that fails, since it may be for another's."""
        asked = [(each.rows, [each.settings] * len(each.rows)) for each in together]
        try:
            found = Running.begin_each(together[0].host, asked)
        except Stopped:
            raise
        except Exception:
            if len(together) == 1:
                raise
            found = Running.begin_each(together[0].host, asked[:1])
        for each, running in zip(together, found, strict=False):
            each.begun = running

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
