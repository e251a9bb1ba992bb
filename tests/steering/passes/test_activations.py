"""Reading states: batched equals one at a time, on both padding sides, and the right token is read."""

from __future__ import annotations

import pytest
import torch

from steering.errors import SteeringError
from steering.extraction.moments import Moments
from steering.model.prompts import Message, render
from steering.passes import tracing
from steering.passes.activations import batches_by_length, read_states, shared_beginning
from steering.passes.pooling import parse_pooling, pooling_name, read_positions
from tests.conftest import ARCHITECTURES, tiny_model


TEXTS = ["Hello.", "Write a review of the hotel.", "What is two plus three, and what is five plus six?", "Is it fine?"]


@pytest.mark.parametrize("padding_side", ["left", "right"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt", "gemma2"])
@pytest.mark.parametrize("pooling", ["last_token", "mean_content"])
def test_batched_states_equal_one_at_a_time(architecture, padding_side, pooling, tiny_host) -> None:
    """GPT-2 and OPT have absolute positions, which padding shifts unless position ids are passed."""
    host = tiny_host(architecture)
    prompts = [render(host, text) for text in TEXTS]
    assert len({len(prompt) for prompt in prompts}) == len(prompts)  # every row but one is padded
    together = read_states(host, prompts, padding_side=padding_side, pooling=pooling)
    alone = torch.cat([read_states(host, [prompt], pooling=pooling) for prompt in prompts])
    assert together.shape == (4, 4, 32)
    cosine = torch.nn.functional.cosine_similarity(together, alone, dim=-1)
    assert cosine.min() > 0.9999
    assert (
        torch.nn.functional.cosine_similarity(alone[0], alone[1], dim=-1).max() < 0.999
    )  # other prompts, other states


def test_the_last_token_is_read_at_the_block_output_before_the_final_norm(tiny_host) -> None:
    host, model = tiny_host("llama"), tiny_model("llama")
    prompt = render(host, TEXTS[1])
    seen = {}
    handles = [
        layer.register_forward_hook(lambda m, i, o, b=b: seen.update({b: o[0] if isinstance(o, tuple) else o}))
        for b, layer in enumerate(model.model.layers)
    ]
    with torch.no_grad():
        model(torch.tensor([prompt.ids]))
    for handle in handles:
        handle.remove()
    expected = torch.stack([seen[b][0, -1] for b in range(4)])
    torch.testing.assert_close(read_states(host, [prompt])[0], expected, rtol=1e-5, atol=1e-5)


def test_each_pooling_reads_the_tokens_it_names(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, [Message("system", "Be kind."), Message("user", "Write a review.")])
    assert read_positions(prompt, "last_token") == (len(prompt) - 1,)
    assert prompt.roles[-1] == "template"
    (end,) = read_positions(prompt, "last_content")
    assert prompt.tokens[end].strip() == "."
    assert prompt.roles[end] == "user"
    content = read_positions(prompt, "mean_content")
    assert "".join(prompt.tokens[i] for i in content).strip() == "Write a review."
    with pytest.raises(SteeringError, match="one of last_token"):
        read_positions(prompt, "first")


def test_picked_tokens_count_from_either_end(tiny_host) -> None:
    prompt = render(tiny_host("llama"), "Write a review.")
    n = len(prompt)
    assert read_positions(prompt, (0, -1)) == (0, n - 1)
    assert read_positions(prompt, (-2, n - 2)) == (n - 2,)  # the same token twice counts once
    for wrong in ((n,), (-n - 1,), ()):
        with pytest.raises(SteeringError, match=f"positions from {-n} to {n - 1}"):
            read_positions(prompt, wrong)


def test_a_reply_is_read_over_all_its_tokens_and_must_be_there(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, [Message("user", "Hello."), Message("assistant", "Good day to you.")])
    read = read_positions(prompt, "mean_reply")
    assert "".join(prompt.tokens[i] for i in read).strip() == "Good day to you."
    with pytest.raises(SteeringError, match="a prompt has none"):
        read_positions(render(host, "Hello."), "mean_reply")


@pytest.mark.parametrize(
    ("typed", "pooling"),
    [("mean_reply", "mean_reply"), ("-1", (-1,)), ("-3,-2", (-3, -2)), ("4-7", (4, 5, 6, 7)), (" 0, -1 ", (0, -1))],
)
def test_poolings_as_people_type_them(typed, pooling) -> None:
    assert parse_pooling(typed) == pooling
    assert parse_pooling(pooling_name(pooling)) == pooling


@pytest.mark.parametrize("typed", ["-", "1,", "3-x", "7-4"])
def test_positions_that_cannot_be_read_are_refused(typed) -> None:
    with pytest.raises(SteeringError, match="whole numbers such as"):
        parse_pooling(typed)


def test_batches_keep_to_the_token_budget_and_miss_nobody() -> None:
    lengths = [5, 100, 7, 7, 30, 6, 2, 31]
    batches = batches_by_length(lengths, 64)
    assert sorted(index for batch in batches for index in batch) == list(range(8))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 64
    assert [1] in batches  # longer than the budget: alone, not refused
    assert len(batches) < 8


def test_streamed_moments_equal_those_of_all_states_at_once_in_float64() -> None:
    states = torch.randn(50, 3, 8, generator=torch.Generator().manual_seed(0)) * 100 + 1e4
    moments = Moments()
    for part in states.split([7, 20, 23]):
        moments.update(part)
    exact = states.double()
    assert moments.n == 50
    torch.testing.assert_close(moments.mean, exact.mean(dim=0), rtol=1e-13, atol=0)
    torch.testing.assert_close(moments.norm, exact.norm(dim=-1).mean(dim=0), rtol=1e-13, atol=0)


SYSTEM = "You are a careful assistant who answers every question in a few plain words and never guesses at anything."


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_shared_beginning_is_read_once_and_changes_no_state(architecture, tiny_host, monkeypatch) -> None:
    host = tiny_host(architecture)
    prompts = [render(host, [Message("system", SYSTEM), Message("user", text)]) for text in TEXTS]
    alone = torch.cat([read_states(host, [prompt]) for prompt in prompts])
    lengths = []
    forward = tracing._forward

    def watched(host, inputs, *args, **options):
        lengths.append(inputs["input_ids"].shape[1])
        return forward(host, inputs, *args, **options)

    monkeypatch.setattr(tracing, "_forward", watched)
    together = read_states(host, prompts)
    shared = next(i for i, column in enumerate(zip(*(p.ids for p in prompts), strict=False)) if len(set(column)) > 1)
    assert shared > 16
    if host.abilities.shares:
        # At most one of the tokens in common is read again: the first that is pooled lies behind them.
        assert lengths[0] == shared
        assert max(lengths[1:]) == max(map(len, prompts)) - shared
    # float32, another order of sums
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max()))


def test_what_is_read_inside_the_beginning_is_not_shared(tiny_host) -> None:
    host = tiny_host("llama")
    prompts = [render(host, [Message("system", SYSTEM), Message("user", text)]) for text in TEXTS]
    assert len(shared_beginning(host, prompts, (20, -1)).ids) == 20
    assert shared_beginning(host, prompts, (3,)).ids == ()  # too short to be worth it
    assert shared_beginning(host, prompts[:1]).ids == ()
    alone = torch.cat([read_states(host, [prompt], pooling=(20, -1)) for prompt in prompts])
    torch.testing.assert_close(read_states(host, prompts, pooling=(20, -1)), alone, rtol=1e-3, atol=1e-3)
