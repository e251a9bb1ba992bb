"""Gradients of what is made of logits, held against plain differences."""

from __future__ import annotations

import pytest
import torch

from steering.errors import SteeringError
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.gradients import stream_gradients
from steering.passes.rows import Row
from steering.writes.interventions import Write
from steering.writes.operations import Add


STEP = 1e-2
"""How far a state is moved for a difference; central, so that the error is of the order of its square."""


def apart(logits: torch.Tensor) -> torch.Tensor:
    return logits[..., [3, 5]].mean(dim=-1) - logits[..., 7]


def gradients(host, prompts, place, **more):
    """By prompt: slopes of its own tokens, (token, width), and the value."""
    found = {}
    for batch in host.run(lambda job: list(stream_gradients(host, prompts, place, apart, **more)), title="gradients"):
        for row, index in enumerate(batch.indices):
            found[index] = batch.slopes[row][batch.real[row]], float(batch.values[row]), batch
    return [found[index] for index in range(len(prompts))]


@pytest.mark.parametrize("name", ["llama", "gpt2"])
@pytest.mark.parametrize("place", [(0, "mlp_output"), (1, "block_output")])
def test_a_small_change_moves_the_value_by_its_product_with_the_slope(tiny_host, name, place) -> None:
    host = tiny_host(name)
    prompts = [render(host, text) for text in ("Hello there.", "Write a longer note to my boss, please.")]
    direction = torch.nn.functional.normalize(
        torch.randn(host.info.width, generator=torch.Generator().manual_seed(0)), dim=0
    )
    for prompt, (slopes, value, _) in zip(prompts, gradients(host, prompts, place), strict=True):
        assert value == pytest.approx(float(apart(next_token_logits(host, [Row(prompt)]))[0]), abs=1e-4)
        for token in (1, len(prompt) - 1):
            rows = [Row(prompt, (Write(Add(direction, way * STEP), *place, scope=(token,)),)) for way in (1.0, -1.0)]
            up, down = apart(next_token_logits(host, rows)).tolist()
            foretold = float(slopes[token] @ direction)
            # float32 logits of size 1 are known to about 1e-6, which a difference over 2e-2 makes 1e-4.
            assert foretold == pytest.approx((up - down) / (2 * STEP), abs=3e-4)
        assert slopes.abs().max() > 1e-3, "there is something to compare"


def test_padding_has_no_slope_and_other_passes_no_graph(tiny_host) -> None:
    host = tiny_host("llama")
    prompts = [render(host, text) for text in ("Hi.", "Write a longer note to my boss, please.")]
    (_, _, batch), _ = gradients(host, prompts, (0, "block_output"), also=[(1, "block_input")])
    assert not batch.real.all(), "the shorter one is padded"
    assert (batch.slopes[~batch.real] == 0).all()
    assert torch.equal(batch.also[1, "block_input"][batch.real], batch.states[batch.real])
    assert not next_token_logits(host, [Row(prompts[0])]).requires_grad
    assert all(weight.grad is None for weight in host.model._module.parameters())


def test_a_block_that_is_not_there_is_refused(tiny_host) -> None:
    host = tiny_host("llama")
    with pytest.raises(SteeringError, match="block"):
        gradients(host, [render(host, "Hi.")], (99, "block_output"))
