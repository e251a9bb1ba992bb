"""What a forward pass writes: order, sites, precision, and that ablation everywhere really empties the direction."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.model.sites import SITES
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Coverage, Schedule, _visits
from steering.passes.tracing import Start, read_prompts, read_replies, read_token
from steering.writes.interventions import Write, scope_mask
from steering.writes.operations import Ablate, Add
from steering.writes.scopes import SCOPES
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
    host = Host.wrap(deepcopy(tiny_model("llama")).bfloat16(), tokenizer, name="half", lane=lane)
    u = direction(4)
    plain = states_under(host, [()])[1, "block_output"]
    ablated = states_under(host, [(Write(Ablate(u), 1, "block_output"),)])[1, "block_output"]
    assert ablated.dtype == torch.bfloat16
    exact = plain.double() - (plain.double() @ u.double())[..., None] * u.double()
    assert torch.equal(ablated, exact.to(torch.bfloat16))


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
@pytest.mark.parametrize("scope", [*SCOPES, (0, 2)])
def test_given_replies_are_read_as_they_would_be_written(architecture, scope, tiny_host, monkeypatch) -> None:
    """One pass over prompt and reply gives the logits of every decoding step, under every scope."""
    host = tiny_host(architecture)
    monkeypatch.setattr(host, "end_ids", frozenset())
    plan = (Write(Add(direction(), 4.0), 1, "block_output", scope),)
    prompts = [render(host, text) for text in ("Hello there.", TEXT)]
    replies = [(5, 9, 300, 41), (7, 700, 12)]
    batch = Batch.of(host, prompts, replies=replies)
    together = host.run(lambda job: read_replies(host, batch, Schedule(host, [plan] * 2), n=5), title="read")
    for row, (prompt, reply) in enumerate(zip(prompts, replies, strict=True)):
        steps = host.run(lambda job, p=prompt, r=reply: step_by_step(host, p, r, plan), title="steps")
        found = together[row, -len(reply) - 1 :]
        torch.testing.assert_close(found, steps, rtol=1e-3, atol=2e-3)  # float32 logits of size 20, other order of sums
        plain = host.run(lambda job, p=prompt, r=reply: step_by_step(host, p, r, ()), title="steps")
        assert (steps - plain).abs().max() > 0.1


def step_by_step(host, prompt, reply, plan) -> torch.Tensor:
    schedule, batch = Schedule(host, [plan]), Batch.of(host, [prompt])
    forward, seen = read_prompts(host, batch, schedule), batch.real
    found = [forward.logits[0]]
    for token in reply:
        seen = torch.cat([seen, torch.ones(1, 1, dtype=torch.bool)], dim=1)
        forward = read_token(host, torch.tensor([token]), seen, forward.cache, schedule)
        found.append(forward.logits[0])
    return torch.stack(found)


def test_a_token_behind_the_prompt_cannot_be_chosen(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, "Hello.")
    with pytest.raises(SteeringError, match=f"a token from 0 to {len(prompt) - 1}"):
        next_token_logits(host, [Row(prompt, (Write(Add(direction(), 1.0), 1, "block_output", (len(prompt),)),))])


def test_a_direction_of_another_width_is_refused(tiny_host) -> None:
    with pytest.raises(SteeringError, match="width 8 was given"):
        Schedule(tiny_host("llama"), [(Write(Add(torch.eye(8)[0], 1.0), 1, "block_output"),)])


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gpt2", "gpt_neox"])
def test_ablation_everywhere_is_weight_orthogonalisation(architecture, tokenizer, tiny_host, lane) -> None:
    """Every matrix that writes to the residual stream loses its part along u; then the logits are those of ablation."""
    u = direction(3)
    model = deepcopy(tiny_model(architecture))
    # It may be the same tensor as the input embedding, which changes.
    model.set_output_embeddings(deepcopy(model.get_output_embeddings()))
    writers = ("o_proj", "down_proj", "c_proj", "attention.dense", "dense_4h_to_h")
    changed = 0
    with torch.no_grad():
        for name, module in model.named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(module, torch.nn.Embedding) or (name.endswith(writers) and type(module).__name__ == "Conv1D"):
                weight -= torch.outer(weight @ u, u)  # rows are outputs' coordinates last: (.., width)
            elif name.endswith(writers):
                weight -= torch.outer(u, u @ weight)  # (width, ..)
            else:
                continue
            if getattr(module, "bias", None) is not None:
                module.bias -= u * (module.bias @ u)
            changed += 1
    assert changed >= 9
    host = tiny_host(architecture)
    edited = Host.wrap(model, tokenizer, name="orthogonal", lane=lane)
    prompts = [render(host, text) for text in ("Hello.", TEXT)]
    places = [(b, s) for b in range(4) for s in SITES if s != "block_output"]
    plan = tuple(Write(Ablate(u), block, site) for block, site in places)
    plain, ablated, orthogonal = (
        next_token_logits(where, [Row(prompt, p) for prompt in prompts])
        for where, p in ((host, ()), (host, plan), (edited, ()))
    )
    assert (plain - ablated).abs().max() > 0.1
    torch.testing.assert_close(ablated, orthogonal, rtol=1e-3, atol=2e-3)  # float32 logits of size 20


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pass_from_known_states_gives_what_the_whole_pass_gives(architecture, tiny_host) -> None:
    """And the blocks below really do not run: other states at the start change the logits."""
    host = tiny_host(architecture)
    batch = Batch.of(host, [render(host, text) for text in (TEXT, "Hello.")])
    plans = [(Write(Add(direction(row), 2.0), 2, "block_input"),) for row in range(2)]
    below = states_under(host, [(), ()], [TEXT, "Hello."])[2, "block_input"]

    def logits(start=None):
        return host.run(lambda job: read_prompts(host, batch, Schedule(host, plans), start=start).logits, title="read")

    assert not torch.allclose(logits(), logits(Start(2, torch.zeros_like(below))), atol=1e-2)
    torch.testing.assert_close(logits(Start(2, below)), logits(), rtol=1e-5, atol=1e-5)


def test_rows_with_operations_of_their_own_at_a_place_get_what_each_alone_would() -> None:
    """Added and ablated in several rows, some twice, one not at all: stacked in one product, and written out here."""
    states = torch.randn(6, 3, 32, generator=torch.Generator().manual_seed(1))
    u, v = direction(1), direction(2)
    ops = [[Add(u, 2.0)], [Add(v, -1.0)], [Ablate(u), Add(v, 3.0)], [Ablate(v, 0.5), Ablate(u)], [], [Ablate(u, 0.25)]]
    expected = states.clone()
    expected[0] += 2 * u
    expected[1] -= v
    expected[2] = expected[2] - (expected[2] @ u)[:, None] * u + 3 * v
    expected[3] = expected[3] - 0.5 * (expected[3] @ v)[:, None] * v
    expected[3] = expected[3] - (expected[3] @ u)[:, None] * u
    expected[5] = expected[5] - 0.25 * (expected[5] @ u)[:, None] * u
    visit = _visits([tuple(Write(op, 0, "block_input") for op in row) for row in ops])[0, "block_input"]
    assert len(visit.turns) == 4, "two kinds, two turns each"
    real, last = torch.ones(6, 3, dtype=torch.bool), torch.full((6,), 2)
    found = visit.write(states, Coverage({"all": scope_mask("all", real, last)}, {}))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
