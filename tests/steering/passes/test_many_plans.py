"""Many plans over the same texts: every number is that of one plain pass over the whole text, on every architecture."""

from __future__ import annotations

from itertools import product

import pytest
import torch

import steering.passes.exact
import steering.passes.given
import steering.passes.many_plans
from steering.errors import SteeringError
from steering.lane import Stopped
from steering.model.prompts import conversation, render
from steering.passes.forced import read_forced
from steering.passes.many_plans import Given, read_many
from steering.writes.interventions import Gate, Write
from steering.writes.operations import Ablate, Add
from tests.conftest import ARCHITECTURES


SYSTEM = "You are a helpful assistant. Answer the question."
TEXTS = ("What is the capital of France?", "Hello.", "How do I bake a cake at home?", "What is the colour of grass?")
REPLIES = (((5, 6, 7), (9,)), ((8, 9, 10, 11), (12, 13)), ((14,), (15, 16)), ((17, 18), (19, 20, 21)))


def direction(width, seed=0):
    vector = torch.randn(width, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def plans_for(host):
    u, v = direction(host.info.width), direction(host.info.width, 1)
    gate = Gate(v, -1e3, 1, "block_input")  # open: what it decides is tested elsewhere
    return [
        (),
        (Write(Add(u, 4.0), 2, "block_output"),),
        (Write(Add(u, -2.0), 2, "block_output", "reply"), Write(Add(v, 1.0), 3, "block_input", "generated")),
        (Write(Ablate(v), 0, "block_input"), Write(Ablate(u), 1, "attention_output", "prompt")),
        (Write(Add(v, 3.0), 3, "block_output", "last"),),
        (Write(Add(u, 4.0), 2, "block_output", gate=gate),),
        (Write(Add(u, 4.0), 1, "mlp_output", (0, 2)),),
    ]


def given_for(host, *, system="", replies=True):
    prompts = [render(host, conversation(text, system)) for text in TEXTS]
    return [Given(prompt, ids if replies else ()) for prompt, ids in zip(prompts, REPLIES, strict=True)]


def log_chances(host, given, plans):
    """By (plan, item, reply): log-probabilities at every place, and a check that each pair was read once."""
    found = {}

    def work(job):
        for read in read_many(job, host, given, plans):
            chances = torch.log_softmax(read.logits.double(), dim=-1)
            for row, plan in enumerate(read.plans):
                for column, item in enumerate(read.items):
                    for reply in range(chances.shape[2]):
                        assert (plan, item, reply) not in found
                        places = int(read.lengths[column, reply]) + 1
                        assert read.taken[column, reply, : places - 1].tolist() == list(
                            given[item].replies[reply] if given[item].replies else ()
                        )
                        found[plan, item, reply] = chances[row, column, reply, :places]

    host.run(work, title="read")
    return found


@pytest.mark.parametrize("system", ["", SYSTEM], ids=["", "shared beginning"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_plan_reads_as_it_would_alone(architecture, system, tiny_host) -> None:
    """Against a whole pass of prompt and reply under each plan (`read_forced`), which skips and shares nothing: rows of
    one text, so that none is padded.
    """
    host = tiny_host(architecture)
    given, plans = given_for(host, system=system), plans_for(host)
    found = log_chances(host, given, plans)
    assert len(found) == len(plans) * len(given) * 2
    for plan in range(1, len(plans)):
        moved = [
            (found[plan, item, reply] - found[0, item, reply]).abs().max() for item in range(4) for reply in (0, 1)
        ]
        assert max(moved) > 1e-2, f"plan {plan} does something"
    for item, reply in product(range(len(given)), (0, 1)):
        replied = [(given[item].prompt, given[item].replies[reply])]
        whole = host.run(lambda job, r=replied: read_forced(host, plans, r), title="whole")  # type: ignore[misc]
        # Logits of these models are of size 20 in float32.
        expected = torch.log_softmax(whole.logits[:, 0].double(), dim=-1)
        for plan in range(len(plans)):
            torch.testing.assert_close(found[plan, item, reply], expected[plan], rtol=1e-4, atol=1e-4)


def test_prompts_without_replies_give_what_their_last_token_says(tiny_host) -> None:
    host = tiny_host("llama")
    plans = plans_for(host)
    found = log_chances(host, given_for(host, replies=False), plans)
    with_replies = log_chances(host, given_for(host), plans)
    for (plan, item, _), chances in found.items():
        torch.testing.assert_close(chances[0], with_replies[plan, item, 0][0], rtol=1e-4, atol=1e-4)


def test_what_comes_out_does_not_depend_on_how_much_is_read_at_once(tiny_host, monkeypatch) -> None:
    host = tiny_host("gemma2")
    together = log_chances(host, given_for(host, system=SYSTEM), plans_for(host))
    monkeypatch.setattr(steering.passes.many_plans, "TOKENS", 1)
    monkeypatch.setattr(steering.passes.given, "TOKENS", 1)
    monkeypatch.setattr(steering.passes.many_plans, "_PLANS", 2)
    apart = log_chances(host, given_for(host, system=SYSTEM), plans_for(host))
    monkeypatch.setattr(steering.passes.given, "LOGITS", 1)
    monkeypatch.setattr(steering.passes.exact, "LOGITS", 1)
    sliced = log_chances(host, given_for(host, system=SYSTEM), plans_for(host))
    assert together.keys() == apart.keys() == sliced.keys()
    for key, chances in together.items():
        torch.testing.assert_close(chances, apart[key], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(chances, sliced[key], rtol=1e-4, atol=1e-4)


def test_blocks_below_and_shared_beginnings_are_read_once(tiny_host, monkeypatch) -> None:
    """Counted in tokens that block 0 and the last block see: 20 plans at block 2, one prompt more than once."""
    host = tiny_host("llama")
    u = direction(host.info.width)
    plans = [
        (Write(Add(u, strength), 2, "block_output"),) for strength in torch.linspace(-2, 2, 20).tolist() if strength
    ]
    blocks = host.model._module.model.layers
    seen = {0: 0, 3: 0}
    handles = [
        blocks[index].self_attn.register_forward_pre_hook(
            lambda _, args, kwargs, i=index: seen.update(
                {i: seen[i] + (args[0] if args else kwargs["hidden_states"]).shape[:2].numel()}
            ),
            with_kwargs=True,
        )
        for index in seen
    ]
    given = given_for(host, system=SYSTEM)
    try:
        log_chances(host, given, plans)
    finally:
        for handle in handles:
            handle.remove()
    whole = sum(len(item.prompt) + len(reply) for item in given for reply in item.replies)
    assert 0 < seen[0] < whole, "only the unsteered pass runs block 0"
    assert seen[0] < seen[3] < 0.6 * whole * (len(plans) + 1), "a prompt once for both replies, its beginning for all"


def test_different_numbers_of_replies_are_refused(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, "Hello.")
    for replies in (((1,), ()), ((1,),)):
        with pytest.raises(SteeringError, match="as many each"):
            log_chances(host, [Given(prompt, ((1,), (2,))), Given(prompt, replies)], [()])


def test_a_prompt_longer_than_the_context_is_refused(tiny_host) -> None:
    host = tiny_host("llama")
    with pytest.raises(SteeringError, match="context"):
        log_chances(host, [Given(render(host, "Hello " * 200))], [()])


def test_a_stop_ends_it_between_two_passes(tiny_host, monkeypatch) -> None:
    host = tiny_host("llama")
    monkeypatch.setattr(steering.passes.many_plans, "TOKENS", 1)
    monkeypatch.setattr(steering.passes.given, "TOKENS", 1)
    read = []

    def work(job):
        for part in read_many(job, host, given_for(host), plans_for(host)):
            read.append(part)
            job.stop()

    job = host.submit(work, title="read")
    with pytest.raises(Stopped):
        job.result()
    assert len(read) == 1
