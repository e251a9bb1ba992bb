"""What a forward pass writes: order, sites, precision, and that ablation everywhere really empties the direction."""

from __future__ import annotations

import pytest
import torch

from steering.interventions import Ablate, Add, Write
from steering.prompts import render
from steering.sites import SITES
from steering.tracing import Batch, Schedule, read_prompts
from tests.conftest import ARCHITECTURES, tiny_model


TEXT = "Write a review of the hotel."


def direction(seed: int = 0) -> torch.Tensor:
    vector = torch.randn(32, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def states_under(host, plans, texts=None):
    """States at every place of every row, after the writes."""
    batch = Batch.of(host, [render(host, text) for text in texts or [TEXT] * len(plans)])
    places = [(block, site) for block in range(host.info.blocks) for site in SITES]
    found = {}
    host.run(
        lambda job: read_prompts(
            host, batch, Schedule(host, plans), read=lambda p, x: found.update({p: x.clone()}), places=places
        ),
        title="read",
    )
    return found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_site_can_be_written_in_every_architecture(architecture, tiny_host) -> None:
    """A write at a site shifts that site by exactly what was added, and the residual stream after it."""
    host = tiny_host(architecture)
    plain = states_under(host, [()])
    for site in SITES:
        steered = states_under(host, [(Write(Add(direction(), 5.0), 1, site),)])
        # 1e-4: float32 sums of values up to 100
        torch.testing.assert_close(steered[1, site], plain[1, site] + 5 * direction(), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(steered[1, "block_output"], plain[1, "block_output"], atol=1e-2)
        assert torch.equal(steered[0, "block_output"], plain[0, "block_output"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_ablation_everywhere_leaves_no_projection_at_any_block(architecture, tiny_host) -> None:
    host = tiny_host(architecture)
    u = direction(3)
    places = [(b, s) for b in range(4) for s in SITES if s != "block_output"]
    plan = tuple(Write(Ablate(u), block, site) for block, site in places)
    plain, ablated = states_under(host, [()]), states_under(host, [plan])
    for block in range(4):
        assert (plain[block, "block_output"] @ u).abs().max() > 0.1
        # The block output is a sum of parts without u: float32 error of values up to 100.
        assert (ablated[block, "block_output"] @ u).abs().max() < 1e-3


def test_writes_at_one_place_apply_in_the_order_of_the_plan(tiny_host) -> None:
    host = tiny_host("llama")
    u = direction()
    add, ablate = Write(Add(u, 5.0), 1, "block_output"), Write(Ablate(u), 1, "block_output")
    states = states_under(host, [(add, ablate), (ablate, add)])[1, "block_output"]
    assert (states[0] @ u).abs().max() < 1e-4  # added, then removed
    torch.testing.assert_close(states[1] @ u, torch.full((states.shape[1],), 5.0), atol=1e-4, rtol=0)


def test_rows_with_other_plans_do_not_touch_each_other_and_padding_is_never_written(tiny_host) -> None:
    host = tiny_host("llama")
    texts = ["Hello.", TEXT + " " + TEXT]
    plans = [(Write(Add(direction(1), 5.0), 0, "block_input"),), (Write(Add(direction(2), 5.0), 0, "block_input"),)]
    plain, steered = states_under(host, [(), ()], texts), states_under(host, plans, texts)
    moved = steered[0, "block_input"] - plain[0, "block_input"]
    pads = len(render(host, texts[1])) - len(render(host, texts[0]))
    assert pads > 0
    assert moved[0, :pads].abs().max() == 0
    for row, seed in ((0, 1), (1, 2)):
        real = moved[row, pads:] if row == 0 else moved[row]
        torch.testing.assert_close(real, (5 * direction(seed)).expand_as(real), atol=1e-5, rtol=0)


def test_bfloat16_states_are_written_in_float32_and_rounded_once(tokenizer, lane) -> None:
    from copy import deepcopy

    from steering.host import Host

    host = Host.wrap(deepcopy(tiny_model("llama")).bfloat16(), tokenizer, name="half", lane=lane)
    u = direction(4)
    plain = states_under(host, [()])[1, "block_output"]
    ablated = states_under(host, [(Write(Ablate(u), 1, "block_output"),)])[1, "block_output"]
    assert ablated.dtype == torch.bfloat16
    exact = plain.double() - (plain.double() @ u.double())[..., None] * u.double()
    assert torch.equal(ablated, exact.to(torch.bfloat16))
