"""Writes that need the states of another place of the same pass: held against plain hooks that do the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import render
from steering.model.sites import ReadPlace
from steering.passes.decoding import generate, next_token_logits
from steering.passes.forced import read_forced
from steering.passes.given import Given
from steering.passes.many_plans import read_many
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Add, Operation


TEXTS = ("Hello.", "Write a review of the hotel by the river.", "What is two plus three?")
BLOCK, TOKENS = 2, 8


@dataclass(frozen=True, eq=False)
class FromInput(Operation):
    """y + k M x, with x at another place."""

    matrix: Tensor
    k: float
    place: ReadPlace = (BLOCK, "mlp_input")

    @property
    def reads(self) -> ReadPlace:
        return self.place

    def __call__(self, states: Tensor) -> Tensor:
        raise AssertionError("it was not given what it reads")

    def beside(self, states: Tensor, seen: Tensor | None) -> Tensor:
        assert seen is not None
        assert seen.shape == states.shape
        assert seen.dtype == torch.float32
        return states + self.k * seen @ self.matrix.to(seen.dtype)


def _matrix(seed: int) -> Tensor:
    return torch.randn(32, 32, generator=torch.Generator().manual_seed(seed)) / 4


def _write(k: float = 1.0, seed: int = 3, **where: Any) -> Write:
    return Write(FromInput(_matrix(seed), k), BLOCK, "mlp_output", **where)


@contextmanager
def _hooks(model: Any, k: float, matrix: Tensor, covers: Any) -> Iterator[None]:
    """The same on the bare model; `covers` says of (first position, how many) which positions are written."""
    mlp, seen, done = model.model.layers[BLOCK].mlp, [], [0]

    def change(module: Any, args: Any, output: Tensor) -> Tensor:
        start, n = done[0], output.shape[1]
        done[0] += n
        written = torch.tensor([covers(place) for place in range(start, start + n)])
        seen.append(n)
        return torch.where(written[None, :, None], output + k * args[0] @ matrix, output)

    handle = mlp.register_forward_hook(change)
    try:
        yield
    finally:
        handle.remove()
        assert seen


def _greedy(model: Any, ids: tuple[int, ...]) -> tuple[int, ...]:
    with torch.no_grad():
        text = model.generate(torch.tensor([ids]), max_new_tokens=TOKENS, do_sample=False, pad_token_id=0)
    return tuple(text[0, len(ids) :].tolist())


def test_every_row_of_a_mixed_batch_and_every_step_is_written_as_by_a_hook(tiny_host) -> None:
    host: Host = tiny_host("llama")
    model, prompts = host.model._module, [render(host, text) for text in TEXTS]
    direction = torch.nn.functional.normalize(_matrix(9)[0], dim=0)
    end = len(prompts[1]) - 1
    scopes: dict[Any, Any] = {
        "all": lambda place: True,
        "generated": lambda place: place > end,
        "reply": lambda place: place >= end,
        "prompt": lambda place: place <= end,
        (2, 4): lambda place: place in (2, 4),
    }
    rows = [Row(prompts[0]), Row(prompts[1])]
    rows += [Row(prompts[1], (_write(scope=scope),)) for scope in scopes]
    rows += [Row(prompts[2], (_write(0.5, seed=4),)), Row(prompts[1], (Write(Add(direction, 3.0), 1, "block_output"),))]
    said = [reply.ids for reply in generate(host, rows, DecodeSettings(max_new_tokens=TOKENS))]
    plain = [_greedy(model, prompt.ids) for prompt in prompts]
    assert said[:2] == plain[:2]
    for (_, covers), found in zip(scopes.items(), said[2:7], strict=True):
        with _hooks(model, 1.0, _matrix(3), covers):
            assert found == _greedy(model, prompts[1].ids)
    assert len({said[1], *said[2:7]}) >= 5  # scopes do differ
    with _hooks(model, 0.5, _matrix(4), lambda place: True):
        assert said[7] == _greedy(model, prompts[2].ids)
    assert said[7] != plain[2]
    assert said[8] not in said[1:7]


def test_it_sees_what_earlier_writes_have_made_of_the_place(tiny_host) -> None:
    host: Host = tiny_host("llama")
    prompt = render(host, TEXTS[1])
    direction = torch.nn.functional.normalize(_matrix(9)[0], dim=0)
    before = Write(Add(direction, 5.0), BLOCK, "block_input")
    plan = (before, _write())
    found = next_token_logits(host, [Row(prompt, plan), Row(prompt, plan[1:]), Row(prompt)])
    model = host.model._module
    pre = model.model.layers[BLOCK].register_forward_pre_hook(lambda _, args: (args[0] + 5.0 * direction, *args[1:]))
    with torch.no_grad(), _hooks(model, 1.0, _matrix(3), lambda place: True):
        bare = model(torch.tensor([prompt.ids])).logits[0, -1]
    pre.remove()
    torch.testing.assert_close(found[0], bare, rtol=1e-4, atol=1e-3)
    assert (found[0] - found[1]).abs().max() > 0.1
    assert (found[1] - found[2]).abs().max() > 0.1


def test_a_gate_decides_on_it(tiny_host) -> None:
    host: Host = tiny_host("llama")
    prompts = [render(host, text) for text in TEXTS]
    direction = torch.nn.functional.normalize(_matrix(9)[0], dim=0)
    for side, opens in (("above", False), ("below", True)):
        gate = Gate(direction, 1e6, 1, "block_output", side)
        gated = next_token_logits(host, [Row(prompt, (_write(gate=gate),)) for prompt in prompts])
        same = next_token_logits(host, [Row(prompt, (_write(),) if opens else ()) for prompt in prompts])
        torch.testing.assert_close(gated, same, rtol=1e-4, atol=1e-4)


def test_given_replies_and_sweeps_read_it_where_it_stands(tiny_host) -> None:
    host: Host = tiny_host("llama")
    prompts = [render(host, text) for text in TEXTS[:2]]
    plans = [(_write(k),) for k in (0.5, 1.0)] + [
        (Write(FromInput(_matrix(3), 1.0, (1, "block_output")), 3, "mlp_output"),)
    ]
    replied = [(prompt, (11, 12, 13)) for prompt in prompts]

    def both(job: Job[Any]) -> Any:
        forced = read_forced(host, plans, replied)
        swept = list(read_many(job, host, [Given(prompt, (ids,)) for prompt, ids in replied], plans))
        return forced, swept

    forced, swept = host.run(both, title="read")
    whole = forced.logits[:, :, -4:]
    assert (whole[0] - whole[1]).abs().max() > 0.1
    seen = set()
    for read in swept:
        for n, plan in enumerate(read.plans):
            for m, item in enumerate(read.items):
                torch.testing.assert_close(read.logits[n, m, 0], whole[plan, item], rtol=1e-3, atol=1e-3)
                seen.add((plan, item))
    assert len(seen) == 6


def test_half_precision_is_worked_out_in_float32(tiny_host, tokenizer, lane) -> None:
    from copy import deepcopy

    model = deepcopy(tiny_host("llama").model._module).to(torch.bfloat16)
    host = Host.wrap(model, tokenizer, name="half", lane=lane)
    prompt = render(host, TEXTS[1])
    found = next_token_logits(host, [Row(prompt, (_write(),)), Row(prompt)])  # asserts the precision in `beside`
    assert (found[0] - found[1]).abs().max() > 0.1


def test_a_place_that_lies_behind_or_is_not_there_is_refused(tiny_host) -> None:
    with pytest.raises(SteeringError, match="behind the place whose states it needs"):
        Write(FromInput(_matrix(3), 1.0), BLOCK, "attention_output")
    with pytest.raises(SteeringError, match="behind the place"):
        Write(FromInput(_matrix(3), 1.0, (BLOCK, "mlp_output")), BLOCK, "mlp_output")
    host: Host = tiny_host("llama")
    with pytest.raises(SteeringError, match="a block from 0 to"):
        next_token_logits(
            host,
            [Row(render(host, "Hello."), (Write(FromInput(_matrix(3), 1.0, (-1, "mlp_input")), 1, "mlp_output"),))],
        )
