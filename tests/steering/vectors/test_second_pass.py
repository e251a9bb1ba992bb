"""Replies that are read again in company: each job gets what it would read alone, in fewer passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.lane import Lane, Stopped
from steering.model.host import Host
from steering.passes.replies import DecodeSettings, Step, TokenReading
from steering.passes.rows import Row
from steering.studies.steer import steer
from steering.vectors import second_pass
from steering.vectors.second_pass import desk_of
from steering.vectors.token_readings import read_tokens
from steering.vectors.vector import Provenance, SteeringVector
from steering.writes.interventions import Write
from steering.writes.operations import Add
from tests.conftest import tiny_model
from tests.steering.passes.test_company import asked, held, unit


SETTINGS = DecodeSettings(max_new_tokens=5)


@pytest.fixture
def host(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Turns of no length, and no reply that ends early."""
    lane = Lane(first=0.0, turn=0.0)
    host = Host.wrap(tiny_model("llama"), tokenizer, name="desk", lane=lane)
    monkeypatch.setattr(host, "end_ids", frozenset())
    yield host
    lane.close()


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Texts of each pass over replies."""
    texts: list[int] = []
    read = second_pass.read_replies

    def counted(host: Host, batch: Any, *given: Any, **options: Any) -> Any:
        texts.append(len(batch.ids))
        return read(host, batch, *given, **options)

    monkeypatch.setattr(second_pass, "read_replies", counted)
    return texts


def vector(n: int) -> SteeringVector:
    """With a block of its own to be read at."""
    return SteeringVector(
        name=f"of {n}",
        directions=torch.stack([unit(n + block) for block in range(4)]),
        mean_differences=torch.full((4,), 2.0),
        references=None,
        residual_norms=torch.full((4,), 5.0),
        auroc=None,
        auroc_low=None,
        auroc_high=None,
        site="block_output",
        default_block=n % 3,
        default_block_reason="",
        suggested_strength=1.0,
        provenance=Provenance.made_elsewhere(),
    )


def near(own: tuple[TokenReading, ...], expected: tuple[TokenReading, ...]) -> bool:
    """The same up to what padding and other rows of a pass cost in float32."""
    return len(own) == len(expected) and all(
        (a.token, a.piece) == (b.token, b.piece)
        and (a.divergence, a.change) == pytest.approx((b.divergence, b.change), rel=1e-3, abs=1e-4)
        and (a.projection, a.unsteered) == pytest.approx((b.projection, b.unsteered), rel=1e-3, abs=1e-4)
        and a.alternatives[0][1:] == pytest.approx(b.alternatives[0][1:], rel=1e-3, abs=1e-5)
        for a, b in zip(own, expected, strict=True)
    )


def test_replies_that_end_together_are_read_in_fewer_passes_with_the_same_numbers(
    host: Host, passes: list[int]
) -> None:
    """Of prompts of different lengths, plans of different kinds, and vectors read at different blocks."""
    rows = [asked(host, visitor)[0] for visitor in range(8)]
    alone = [steer(host, each, SETTINGS, vector(n)).result(timeout=60) for n, each in enumerate(rows)]
    assert len(passes) >= 8
    strong = [each.readings[1] for n, each in enumerate(alone) if n % 4 < 2]  # others are gated, or write nothing
    assert all(max(reading.divergence for reading in each) > 0.01 for each in strong)
    assert len({repr(each) for each in strong}) == len(strong)  # they are different numbers
    before = len(passes)
    go = held(host)
    jobs = [steer(host, each, SETTINGS, vector(n)) for n, each in enumerate(rows)]
    go.set()
    together = [job.result(timeout=60) for job in jobs]
    for own, expected in zip(together, alone, strict=True):
        assert [each.ids for each in own.replies] == [each.ids for each in expected.replies]
        assert all(map(near, own.readings, expected.readings))
    assert len(passes) - before <= 4
    assert desk_of(host)._asked == {}


def test_a_text_that_two_ask_for_is_read_once(host: Host, passes: list[int]) -> None:
    """The unsteered reply is its own reference, and that of a steered one with the same words."""
    (plain, steered), ids = asked(host, 0)[0], (5, 9, 300)
    readings = read_tokens(host, (plain, steered), [ids, ids], vector=vector(0))
    assert passes == [2]
    passes.clear()
    apart = [read_tokens(host, rows, [ids] * len(rows), vector=vector(0)) for rows in ((plain,), (plain, steered))]
    assert near(readings[0], apart[0][0])
    assert passes == [1, 2]
    read_tokens(host, (plain, steered), [ids, (7, 8)])
    assert passes[2:] == [3]  # the steered reply's words are others


def test_much_padding_and_many_logits_are_not_read_together(
    host: Host, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain, steered), _ = asked(host, 0)
    replies = [tuple(range(5, 105)), (5,)]
    read_tokens(host, (plain, steered), replies)
    assert sorted(passes) == [1, 2]
    passes.clear()
    monkeypatch.setattr("steering.passes.exact.LOGITS", 2 * 4 * host.info.vocabulary)
    read_tokens(host, (plain, steered), [(5, 9, 7), (5, 9, 8)])
    assert sorted(passes) == [1, 2]


def test_one_that_stops_or_fails_leaves_the_others_theirs(
    host: Host, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steering.studies.steer.EVERY", 0.0)  # one is stopped at its third token
    rows = [asked(host, visitor)[0] for visitor in (0, 1, 2)]
    alone = [steer(host, each, SETTINGS, vector(0)).result(timeout=60) for each in rows]
    read = second_pass.read_replies

    def failing(host: Host, batch: Any, schedule: Any, **options: Any) -> Any:
        if any(write.block == 3 for plan in schedule.plans for write in plan):
            raise ValueError("no such thing")
        return read(host, batch, schedule, **options)

    monkeypatch.setattr(second_pass, "read_replies", failing)
    wrong = [Row(rows[0][0].prompt), Row(rows[0][0].prompt, (Write(Add(unit(5), 4.0), 3, "block_output"),), against=0)]
    go = held(host)
    jobs = [steer(host, each, SETTINGS, vector(0)) for each in (rows[0], wrong, rows[1], rows[2])]
    stopped = jobs[2]
    go.set()
    for event in stopped.events():
        if isinstance(event, Step) and event.index == 2:
            stopped.stop()
    with pytest.raises(Stopped):
        stopped.result(timeout=60)
    with pytest.raises(ValueError, match="no such thing"):
        jobs[1].result(timeout=60)
    for job, expected in ((jobs[0], alone[0]), (jobs[3], alone[2])):
        found = job.result(timeout=60)
        assert all(map(near, found.readings, expected.readings))
    assert desk_of(host)._asked == {}


def test_a_vector_of_another_model_is_refused_before_anything_runs(host: Host) -> None:
    with pytest.raises(SteeringError, match="does not fit"):
        steer(host, asked(host, 0)[0], SETTINGS, replace(vector(0), directions=torch.eye(4, 64)))
