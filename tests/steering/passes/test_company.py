"""Replies of several jobs that are decoded together: each gets what it would get alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.lane import Job, Lane, Stopped
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes import running
from steering.passes.company import company_of
from steering.passes.decoding import generate, stream
from steering.passes.replies import DecodeSettings, Replies, Step
from steering.passes.rows import Row
from steering.writes.interventions import Gate, Plan, Write
from steering.writes.operations import Ablate, Add
from tests.conftest import tiny_model
from tests.steering.passes.test_passes import model_of


TEXTS = ("Hello.", "What is two plus three, and what is five plus six?", "Tell me a story about the sea.", "Goodbye.")


def unit(seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(32, generator=torch.Generator().manual_seed(seed)), dim=0)


def plan(visitor: int) -> Plan:
    """Of one kind or another: an add, an ablation, or a write that a gate opens for some prompts."""
    gate = Gate(unit(9), threshold=0.0, block=0, site="block_output")
    return (
        (Write(Add(unit(visitor), 4.0), 1, "block_output"),),
        (Write(Ablate(unit(visitor)), 2, "block_output"), Write(Add(unit(visitor), 2.0), 0, "attention_output")),
        (Write(Add(unit(visitor), 6.0), 2, "block_input", gate=gate),),
        (),
    )[visitor % 4]


def asked(host: Host, visitor: int) -> tuple[list[Row], DecodeSettings]:
    prompt = render(host, TEXTS[visitor % 4])
    settings = DecodeSettings(max_new_tokens=4 + visitor, temperature=visitor % 2 * 0.8, seed=visitor)
    return [Row(prompt), Row(prompt, plan(visitor), against=0)], settings


@pytest.fixture
def own_lane() -> Iterator[Lane]:
    """Turns of no length: every job lets the next one in at every step, as a slow model's jobs do after a while."""
    lane = Lane(first=0.0, turn=0.0)
    yield lane
    lane.close()


@pytest.fixture
def host(tokenizer: Any, own_lane: Lane) -> Host:
    return Host.wrap(tiny_model("llama"), tokenizer, name="company", lane=own_lane)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each pass over one more token."""
    rows: list[int] = []
    read = running.read_token

    def counted(host: Host, tokens: torch.Tensor, *given: Any) -> Any:
        rows.append(len(tokens))
        return read(host, tokens, *given)

    monkeypatch.setattr(running, "read_token", counted)
    return rows


def held(host: Host) -> threading.Event:
    """Occupies the model thread until the event is set, so that all that is asked meanwhile begins together."""
    begun, go = threading.Event(), threading.Event()

    def wait(job: Job[None]) -> None:
        begun.set()
        go.wait(60)

    host.submit(wait, title="before")
    assert begun.wait(60)  # else what joins others would begin first
    return go


def test_eight_visitors_get_what_each_gets_alone_in_fewer_passes(host: Host, passes: list[int]) -> None:
    alone = [generate(host, *asked(host, visitor)) for visitor in range(8)]
    assert len({reply[1].ids for reply in alone}) == 8  # they are different texts
    each_alone = len(passes)
    passes.clear()
    go = held(host)
    jobs = [stream(host, *asked(host, visitor)) for visitor in range(8)]
    go.set()
    together = [job.result(timeout=60) for job in jobs]
    for own, expected in zip(together, alone, strict=True):
        assert [(reply.ids, reply.finish, reply.written) for reply in own] == [
            (reply.ids, reply.finish, reply.written) for reply in expected
        ]
        assert own[1].divergence == pytest.approx(expected[1].divergence) or _near(own, expected)
    assert len(passes) < each_alone / 2
    assert max(passes) > 8
    assert passes[-1] < max(passes)  # rows leave when they end
    assert company_of(host)._members == []


def _near(own: Replies, expected: Replies) -> bool:
    """The same place and tokens, and probabilities up to what padding costs in float32."""
    first, second = own[1].divergence, expected[1].divergence
    if first is None or second is None:
        return first is second
    return first.context == second.context and all(
        a[0] == b[0] and abs(a[1] - b[1]) < 1e-4 and abs(a[2] - b[2]) < 1e-4
        for a, b in zip(first.candidates, second.candidates, strict=True)
    )


def test_whoever_comes_later_joins_at_the_next_step(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where several are at it already, of whom the one that has the thread has its turn for an hour."""
    host.lane._first = host.lane._turn = 3600.0
    read, rows, jobs = running.read_token, [], []
    one, settings = [Row(render(host, TEXTS[0]))], DecodeSettings(max_new_tokens=30)

    def joined(host: Host, tokens: torch.Tensor, *given: Any) -> Any:
        rows.append(len(tokens))
        if len(rows) in (2, 5):
            jobs.append(stream(host, one, settings))
        return read(host, tokens, *given)

    monkeypatch.setattr(running, "read_token", joined)
    first = stream(host, one, settings).result(timeout=60)
    assert [job.result(timeout=60)[0].ids for job in jobs] == [first[0].ids] * 2
    assert rows[:2] == [1, 1]
    assert rows[2:5] == [2, 2, 2]
    assert rows[5] == 3


def test_every_visitor_sees_every_token_of_their_own_in_order(host: Host) -> None:
    go = held(host)
    jobs = [stream(host, *asked(host, visitor)) for visitor in range(4)]
    go.set()
    for visitor, job in enumerate(jobs):
        steps = [event for event in job.events() if isinstance(event, Step)]
        assert [step.index for step in steps] == list(range(len(steps)))
        assert len(steps) == 4 + visitor
        lengths = [len(step.replies[0].ids) for step in steps]
        assert lengths == list(range(1, len(steps) + 1))
        assert steps[-1].replies == job.result()
        assert job.progress.done == len(steps)


def test_a_stop_ends_its_own_replies_alone(host: Host) -> None:
    alone = generate(host, *asked(host, 6))
    rows, _ = asked(host, 1)
    go = held(host)
    endless = stream(host, rows, DecodeSettings(max_new_tokens=90))
    other = stream(host, *asked(host, 6))
    go.set()
    for event in endless.events():
        if isinstance(event, Step) and event.index > 3:
            endless.stop()
    with pytest.raises(Stopped):
        endless.result(timeout=60)
    assert [reply.ids for reply in other.result(timeout=60)] == [reply.ids for reply in alone]
    assert company_of(host)._members == []


def test_a_failing_pass_fails_those_who_were_in_it_and_nobody_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, seen = running.read_token, []

    def failing(host: Host, tokens: torch.Tensor, *given: Any) -> Any:
        seen.append(len(tokens))
        if len(tokens) > 2:
            raise ValueError("no such thing")
        return read(host, tokens, *given)

    monkeypatch.setattr(running, "read_token", failing)
    go = held(host)
    jobs = [stream(host, *asked(host, visitor)) for visitor in (5, 6)]
    go.set()
    for job in jobs:
        with pytest.raises(Exception, match="no such thing"):
            job.result(timeout=60)
    assert max(seen) > 2
    monkeypatch.setattr(running, "read_token", read)
    assert len(stream(host, *asked(host, 5)).result(timeout=60)) == 2


@pytest.mark.parametrize("family", ["bamba", "gemma4_text"])
def test_models_whose_rows_cannot_come_and_go_answer_one_after_the_other(
    tokenizer: Any, own_lane: Lane, passes: list[int], family: str
) -> None:
    host = Host.wrap(model_of(family), tokenizer, name=family, lane=own_lane)
    alone = [generate(host, *asked(host, visitor)) for visitor in (3, 7)]
    passes.clear()
    go = held(host)
    jobs = [stream(host, *asked(host, visitor)) for visitor in (3, 7)]
    go.set()
    assert [job.result(timeout=60) for job in jobs] == alone
    assert max(passes) <= 2


def test_a_reply_begins_behind_one_step_of_a_long_study(host: Host) -> None:
    """Though the study has not had its turn, which would take an hour."""
    host.lane._first = host.lane._turn = 3600.0
    begun, goes_on = threading.Event(), threading.Event()

    def study(job: Job[int]) -> int:
        steps = 0
        while not goes_on.is_set():
            begun.set()
            job.report(steps, None, "steps")
            steps += 1
        return steps

    long = host.submit(study, title="study")
    assert begun.wait(60)
    rows, settings = asked(host, 3)
    assert len(stream(host, rows, settings).result(timeout=60)) == 2
    assert not long.finished
    another = host.submit(lambda job: None, title="no reply")
    assert not another.ended_within(0.3)  # other jobs wait for their turn
    goes_on.set()
    assert long.result(timeout=60) > 0


@pytest.fixture
def prompts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rows of each pass over prompts."""
    rows: list[int] = []
    read = running.read_prompts

    def counted(host: Host, batch: Any, *given: Any) -> Any:
        rows.append(len(batch.ids))
        return read(host, batch, *given)

    monkeypatch.setattr(running, "read_prompts", counted)
    return rows


def test_prompts_that_wait_are_read_in_one_pass_and_give_what_each_gives_alone(host: Host, prompts: list[int]) -> None:
    """Of plans with and without a gate, which is decided on the prompt."""
    alone = [stream(host, *asked(host, visitor)).result(timeout=60) for visitor in (0, 2, 4, 6)]
    assert prompts == [2, 2, 2, 2]
    prompts.clear()
    go = held(host)
    jobs = [stream(host, *asked(host, visitor)) for visitor in (0, 2, 4, 6)]
    go.set()
    for job, expected in zip(jobs, alone, strict=True):
        own = job.result(timeout=60)
        assert [(each.ids, each.finish, each.written) for each in own] == [
            (each.ids, each.finish, each.written) for each in expected
        ]
    assert max(prompts) > 2
    assert sum(prompts) == 8


def test_a_prompt_that_cannot_be_read_fails_its_own_job_alone(host: Host, prompts: list[int]) -> None:
    expected = stream(host, *asked(host, 3)).result(timeout=60)
    prompts.clear()
    rows, settings = asked(host, 3)
    wrong = [Row(rows[0].prompt, (Write(Add(unit(1), 4.0), 1, "block_output", scope=(500,)),))]
    go = held(host)
    jobs = [stream(host, rows, settings), stream(host, wrong, settings), stream(host, rows, settings)]
    go.set()
    assert [[each.ids for each in job.result(timeout=60)] for job in jobs[::2]] == [[each.ids for each in expected]] * 2
    with pytest.raises(SteeringError, match="Token 500 of the prompt"):
        jobs[1].result(timeout=60)
    assert prompts[0] == 5  # all three were tried in one pass


def test_nothing_is_read_for_a_job_that_was_stopped_before_it_began(host: Host, prompts: list[int]) -> None:
    stream(host, *asked(host, 3)).result(timeout=60)
    prompts.clear()
    go = held(host)
    stopped, other = stream(host, *asked(host, 0)), stream(host, *asked(host, 3))
    stopped.stop()
    go.set()
    assert len(other.result(timeout=60)) == 2
    assert prompts == [2]
