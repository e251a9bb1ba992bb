"""Batches that a device has no room for, as a block says that raises where more than some rows come in: they are halved
and gone on with, and what comes out is the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.passes.decoding import generate
from steering.passes.gradients import stream_gradients
from steering.passes.many_plans import Given, read_many
from steering.passes.replies import DecodeSettings, Reply
from steering.passes.rows import Row
from steering.passes.stops import blocks_of
from steering.writes.interventions import Gate, Plan, Write
from steering.writes.operations import Add


TEXTS = ("Tell me a story.", "Hello.", "What is two plus three?", "Goodbye.", "Is it late?", "Who are you, and why?")
NEAR = 1e-5
"""A row's float32 sums differ in their order with the number of rows beside it; states here are of order 10."""


@contextmanager
def room_for(host: Host, rows: int, *, steps_only: bool = False) -> Iterator[list[int]]:
    """Have the third block take so many rows at most; gives how many came in, refused ones included."""
    came: list[int] = []

    def refuse(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        n, tokens = given[0].shape[:2]
        came.append(n)
        if n > rows and (tokens == 1 or not steps_only):
            raise torch.OutOfMemoryError("no room")

    handle = blocks_of(host)[2]._module.register_forward_pre_hook(refuse)
    try:
        yield came
    finally:
        handle.remove()


@pytest.fixture
def host(tiny_host: Callable[[str], Host], monkeypatch: pytest.MonkeyPatch) -> Host:
    """Here nothing is short of memory: to look through all that tests have made takes a second, at every half."""
    monkeypatch.setattr("steering.model.device_memory.gc", SimpleNamespace(collect=lambda: None))
    host = tiny_host("llama")
    monkeypatch.setattr(host, "end_ids", frozenset())
    return host


def unit(host: Host, seed: int) -> torch.Tensor:
    direction = torch.randn(host.info.width, generator=torch.Generator().manual_seed(seed))
    return direction / direction.norm()


def plans(host: Host) -> list[Plan]:
    gate = Gate(unit(host, 3), 0.0, 1, "block_output", per="token")
    added = [(Write(Add(unit(host, n), 8.0), 1, "block_output"),) for n in range(4)]
    return [(), *added, (Write(Add(unit(host, 5), 8.0), 2, "block_output", gate=gate),)]


def test_states_are_read_in_halves_and_told_once(host: Host) -> None:
    prompts = [render(host, text) for text in TEXTS]
    whole = read_states(host, prompts, token_budget=1000)
    with room_for(host, 2) as came:
        halved = read_states(host, prompts, token_budget=1000)
    # 6 do not fit, nor do 3; of these halves 2 and 1 do. What blocks before the full one gave is told of 6 rows.
    assert came == [6, 3, 2, 1, 3, 2, 1]
    torch.testing.assert_close(halved, whole, atol=NEAR, rtol=NEAR)


def replies(host: Host) -> list[Reply]:
    rows = [Row(render(host, text), plan, against=0) for text, plan in zip(TEXTS, plans(host), strict=True)]
    decode = [DecodeSettings(max_new_tokens=6 + n, temperature=float(n % 2), seed=n) for n in range(len(rows))]
    return list(generate(host, rows, decode))


@pytest.mark.parametrize(("rows", "steps_only"), [(3, False), (3, True), (1, True)])
def test_replies_are_decoded_in_halves(host: Host, rows: int, steps_only: bool) -> None:
    whole = replies(host)
    assert len({reply.ids for reply in whole}) == len(whole)
    with room_for(host, rows, steps_only=steps_only) as came:
        halved = replies(host)
    assert 6 in came
    assert came[-1] <= rows
    for before, after in zip(whole, halved, strict=True):
        assert (after.ids, after.written, after.finish) == (before.ids, before.written, before.finish)


@pytest.mark.parametrize("answers", [(), ((5, 6, 7), (9,))])
def test_plans_are_read_in_halves(host: Host, answers: Sequence[tuple[int, ...]]) -> None:
    given = [Given(render(host, text), answers) for text in TEXTS[:3]]

    def read() -> dict[tuple[int, int], torch.Tensor]:
        def work(job) -> dict[tuple[int, int], torch.Tensor]:
            return {
                (plan, item): part.logits[row, column]
                for part in read_many(job, host, given, plans(host)[:5])
                for row, plan in enumerate(part.plans)
                for column, item in enumerate(part.items)
            }

        return host.run(work, title="read")

    whole = read()
    with room_for(host, 2) as came:
        halved = read()
    assert max(came) > 2
    assert whole.keys() == halved.keys()
    for key, logits in whole.items():
        torch.testing.assert_close(halved[key], logits, atol=NEAR, rtol=NEAR)


def test_gradients_are_found_in_halves(host: Host) -> None:
    prompts = [render(host, text) for text in TEXTS]

    def slopes() -> dict[int, torch.Tensor]:
        def work(job) -> dict[int, torch.Tensor]:
            found = {}
            for batch in stream_gradients(host, prompts, (1, "block_output"), lambda x: x[:, 3], token_budget=1000):
                found |= {index: batch.slopes[row][batch.real[row]] for row, index in enumerate(batch.indices)}
            return found

        return host.run(work, title="gradients")

    whole = slopes()
    with room_for(host, 2) as came:
        halved = slopes()
    assert came == [6, 3, 1, 2, 3, 1, 2]
    assert whole.keys() == halved.keys()
    for index, each in whole.items():
        torch.testing.assert_close(halved[index], each, atol=NEAR, rtol=NEAR)


def test_one_text_that_does_not_fit_is_refused_with_what_does(host: Host) -> None:
    short, long = render(host, "Hello."), render(host, "Tell me a story. " * 9)
    generate(host, [Row(short)], DecodeSettings(max_new_tokens=1))
    handle = blocks_of(host)[2]._module.register_forward_pre_hook(_refuse_longer_than(len(long) - 1))
    try:
        for read in (lambda: read_states(host, [short, long]), lambda: generate(host, [Row(long), Row(long)])):
            with pytest.raises(SteeringError, match=f"a text of {len(long)} tokens does not fit") as told:
                read()
            fits = re.fullmatch(r"a shorter text of (\d+) tokens, as one that was read before\.", told.value.expected)
            assert fits is None or len(short) <= int(fits[1]) < len(long)
    finally:
        handle.remove()
    assert read_states(host, [short, long]).isfinite().all()  # nothing of it is left behind


def _refuse_longer_than(tokens: int) -> Callable[..., None]:
    def refuse(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        if given[0].shape[1] > tokens:
            raise torch.OutOfMemoryError("no room")

    return refuse
