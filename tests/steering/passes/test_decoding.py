"""Steered text against a plain PyTorch forward-hook reference, token for token."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.lane import Stopped
from steering.model.prompts import render
from steering.passes import running
from steering.passes.decoding import generate, generate_each, next_token_logits, stream, streamed
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.passes.running import Running
from steering.writes.interventions import Gate, Scope, Write
from steering.writes.operations import Ablate, Add, Affine, Clamp, Erase, Rotate
from tests.conftest import tiny_model


PROMPTS = (
    "Write a note to my boss about the meeting.",
    "What is two plus three?",
    "Hello there, how are you on this fine day?",
)
N = 12


def direction(seed: int, width: int = 32) -> torch.Tensor:
    vector = torch.randn(width, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


@contextmanager
def hooks(model, blocks: dict[int, torch.Tensor], scope: str, n_prompt: int):
    """The reference: forward hooks on the decoder blocks, added at the positions that a scope names; batch of one."""
    layers = model.model.layers if hasattr(model, "model") else model.transformer.h

    def hook(delta):
        def add(module, inputs, output):
            states = output[0] if isinstance(output, tuple) else output
            prefill = states.shape[1] > 1
            new = states.clone()
            if scope == "all" or (scope == "prompt" and prefill) or (scope == "generated" and not prefill):
                new += delta
            elif scope == "last" and prefill:
                new[:, n_prompt - 1] += delta
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return add

    with ExitStack() as stack:
        for block, delta in blocks.items():
            stack.callback(layers[block].register_forward_hook(hook(delta)).remove)
        yield


def reference(host, model, text: str, blocks: dict[int, torch.Tensor], scope: str) -> tuple[int, ...]:
    """Greedy tokens by Hugging Face generate, one prompt at a time, with the cache."""
    ids = torch.tensor([render(host, text).ids])
    with torch.no_grad(), hooks(model, blocks, scope, ids.shape[1]):
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=N,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
        )
    return tuple(out[0, ids.shape[1] :].tolist())


def tokens(host, rows: list[Row], **settings) -> list[tuple[int, ...]]:
    return [reply.ids for reply in generate(host, rows, DecodeSettings(max_new_tokens=N, **settings))]


@pytest.fixture(autouse=True)
def endless(tiny_host, monkeypatch):
    """Random-weight models know no end; the reference is told so too."""
    for architecture in ("llama", "gpt2"):
        monkeypatch.setattr(tiny_host(architecture), "end_ids", frozenset())


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("blocks", [(2,), (0, 1, 2, 3)], ids=["one block", "all blocks"])
@pytest.mark.parametrize("scope", ["all", "prompt", "generated", "last"])
def test_batch_of_one_equals_hooks(architecture, blocks, scope, tiny_host) -> None:
    host, model = tiny_host(architecture), tiny_model(architecture)
    strength = 40.0
    plan = tuple(Write(Add(direction(b), strength), b, "block_output", scope) for b in blocks)
    steered = tokens(host, [Row(render(host, PROMPTS[0]), plan)])[0]
    assert steered == reference(host, model, PROMPTS[0], {b: strength * direction(b) for b in blocks}, scope)
    assert steered != reference(host, model, PROMPTS[0], {}, "all")  # the steering did something


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_left_padded_batch_with_another_plan_in_each_row_equals_hooks_one_at_a_time(architecture, tiny_host) -> None:
    host, model = tiny_host(architecture), tiny_model(architecture)
    cases = [
        (PROMPTS[0], {}, "all"),
        (PROMPTS[0], {1: 40.0 * direction(1)}, "prompt"),
        (PROMPTS[1], {0: 20.0 * direction(2), 3: 30.0 * direction(3)}, "all"),
        (PROMPTS[2], {b: 20.0 * direction(b) for b in range(4)}, "generated"),
        (PROMPTS[2], {2: -60.0 * direction(5)}, "last"),
    ]
    rows = []
    for text, deltas, scope in cases:
        plan = tuple(Write(Add(d / d.norm(), float(d.norm())), b, "block_output", scope) for b, d in deltas.items())
        rows.append(Row(render(host, text), plan))
    assert len({len(row.prompt) for row in rows}) > 1  # there is padding
    found = tokens(host, rows)
    expected = [reference(host, model, *case) for case in cases]
    assert found == expected
    for case, steered in zip(cases[1:], expected[1:], strict=True):
        assert steered != reference(host, model, case[0], {}, "all")


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_row_does_not_depend_on_its_neighbours(architecture, tiny_host) -> None:
    host = tiny_host(architecture)
    plans = [(Write(Add(direction(i), 5.0), i, "block_output"),) for i in range(3)]
    rows = [Row(render(host, text), plan) for text, plan in zip(PROMPTS, plans, strict=True)]
    together = next_token_logits(host, rows)
    alone = torch.cat([next_token_logits(host, [row]) for row in rows])
    # Padding changes the order of float32 sums: 1e-4 of logits of size about 10.
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(together[0], next_token_logits(host, [Row(rows[0].prompt)])[0], atol=0.1)


def test_written_counts_say_how_many_positions_were_modified(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, PROMPTS[0])
    expected = {
        "all": (len(prompt), N - 1),
        "prompt": (len(prompt), 0),
        "last": (1, 0),
        "generated": (0, N - 1),
        "reply": (1, N - 1),
    }
    for scope, counts in expected.items():
        plan = (Write(Add(direction(0), 5.0), 1, "block_output", scope),)
        reply = generate(host, [Row(prompt, plan)], DecodeSettings(max_new_tokens=N))[0]
        assert (reply.written.prompt, reply.written.generated) == counts, scope  # the last token is never fed back


def test_first_divergence_is_where_the_two_texts_part_with_both_probabilities(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, PROMPTS[0])
    plan = (Write(Add(direction(0), 15.0), 2, "block_output", "generated"),)
    plain, steered = generate(host, [Row(prompt), Row(prompt, plan, against=0)], DecodeSettings(max_new_tokens=N))
    same = next(i for i, (a, b) in enumerate(zip(plain.ids, steered.ids, strict=True)) if a != b)
    assert same > 0  # generated-only steering cannot reach the first token
    divergence = steered.divergence
    assert divergence is not None
    assert (
        divergence.context
        == host.tokenizer.decode(plain.ids[:same], skip_special_tokens=True).rstrip("\ufffd").lstrip()
    )
    by_token = {token: (base, ours) for token, base, ours in divergence.candidates}
    base, ours = by_token[host.tokenizer.decode([plain.ids[same]])]
    assert base == max(b for b, _ in by_token.values())
    assert base > ours
    assert plain.divergence is None


def test_sampling_is_fixed_by_its_seed_and_rows_share_their_random_numbers(tiny_host) -> None:
    host = tiny_host("llama")
    prompt = render(host, PROMPTS[0])
    first = tokens(host, [Row(prompt), Row(prompt)], temperature=1.0, seed=1)
    assert first[0] == first[1]
    assert first == tokens(host, [Row(prompt), Row(prompt)], temperature=1.0, seed=1)
    assert first[0] != tokens(host, [Row(prompt)], temperature=1.0, seed=2)[0]
    # With almost all probability cut off, sampling is greedy.
    assert tokens(host, [Row(prompt)], temperature=1.0, top_p=1e-9) == tokens(host, [Row(prompt)])


def test_rows_that_answer_different_prompts_have_no_first_token_that_differs(tiny_host) -> None:
    host = tiny_host("llama")
    rows = [Row(render(host, PROMPTS[0])), Row(render(host, PROMPTS[1]), against=0)]
    plain, other = generate(host, rows, DecodeSettings(max_new_tokens=N))
    assert plain.ids != other.ids
    assert other.divergence is None


def test_every_row_may_have_its_own_settings(tiny_host) -> None:
    """In one batch as one at a time; and a row that ends early is given while the others go on."""
    host = tiny_host("llama")
    row = Row(render(host, PROMPTS[0]))
    each = [
        DecodeSettings(max_new_tokens=N),
        DecodeSettings(max_new_tokens=3),
        DecodeSettings(max_new_tokens=N, temperature=1.0, seed=4),
        DecodeSettings(max_new_tokens=N, temperature=1.0, seed=5),
    ]
    alone = [generate(host, [row], settings)[0] for settings in each]
    assert len({reply.ids for reply in alone}) == 4
    assert list(generate(host, [row] * 4, each)) == alone
    given = host.run(lambda job: list(generate_each(job, host, [row] * 4, each)), title="each")
    assert next(index for index, _ in given) == 1
    assert dict(given) == dict(enumerate(alone))


def test_streamed_steps_grow_one_token_at_a_time_and_end_in_the_same_replies(tiny_host) -> None:
    host = tiny_host("llama")
    rows = [Row(render(host, text)) for text in PROMPTS]
    job = stream(host, rows, DecodeSettings(max_new_tokens=N))
    steps = [event for event in job.events() if hasattr(event, "replies")]
    assert [len(step.replies[0].ids) for step in steps] == list(range(1, N + 1))
    assert job.result() == steps[-1].replies == generate(host, rows, DecodeSettings(max_new_tokens=N))


def test_a_stream_that_is_told_seldom_leaves_nothing_out(tiny_host) -> None:
    host = tiny_host("llama")
    rows, settings = [Row(render(host, PROMPTS[0]))], DecodeSettings(max_new_tokens=N)
    expected = generate(host, rows, settings)

    def emitted(work: Callable[[Any], Any]) -> list[Any]:
        job = host.submit(work, title="Generating")
        return [event.index for event in job.events() if hasattr(event, "replies")]

    assert emitted(lambda job: streamed(job, host, rows, settings)) == list(range(N))
    assert emitted(lambda job: streamed(job, host, rows, settings, every=60.0)) == [0, N - 1]
    assert len(expected[0].ids) == N

    def stops(job: Any) -> None:
        with pytest.MonkeyPatch.context() as patch:
            step = Running.step
            patch.setattr(Running, "step", lambda own: (step(own), own.steps == 2 and job.stop())[0])
            streamed(job, host, rows, settings, every=60.0)

    assert emitted(stops) == [0, 2]  # the last that was read before the stop


def test_stop_in_mid_stream_takes_effect_within_a_step_and_the_next_generation_is_right(tiny_host, monkeypatch) -> None:
    host, model = tiny_host("llama"), tiny_model("llama")
    read, steps, stopped = running.read_token, itertools.count(1), threading.Event()

    def held(*given):
        if next(steps) == 3:  # until somebody has stopped it: steps are faster than whoever follows them
            assert stopped.wait(60)
        return read(*given)

    monkeypatch.setattr(running, "read_token", held)
    prompt = render(host, PROMPTS[0])
    plan = (Write(Add(direction(0), 6.0), 1, "block_output"),)
    job = stream(host, [Row(prompt, plan)], DecodeSettings(max_new_tokens=100))
    seen = 0
    for event in job.events():
        if hasattr(event, "replies"):
            seen += 1
            if seen == 3:
                job.stop()
                stopped.set()
    assert job.state == "stopped"
    assert seen <= 4  # the step that was running
    with pytest.raises(Stopped):
        job.result()
    assert tokens(host, [Row(prompt)])[0] == reference(host, model, PROMPTS[0], {}, "all")


def test_an_exception_in_the_model_leaves_nothing_behind(tiny_host) -> None:
    host, model = tiny_host("llama"), tiny_model("llama")
    prompt = render(host, PROMPTS[0])

    class Broken(Add):
        def __call__(self, states):
            raise RuntimeError("broken operation")

    with pytest.raises(Exception, match="broken operation"):
        tokens(host, [Row(prompt, (Write(Broken(torch.eye(32)[0], 1.0), 1, "block_output"),))])
    assert tokens(host, [Row(prompt)])[0] == reference(host, model, PROMPTS[0], {}, "all")


def test_a_prompt_longer_than_the_context_is_refused_and_a_full_context_ends_the_reply(tiny_host) -> None:
    host = tiny_host("llama")
    long = render(host, "hotel " * 300)
    with pytest.raises(SteeringError, match=r"The prompt is \d+ tokens long.*at most 127"):
        generate(host, [Row(long)])
    with pytest.raises(SteeringError, match="Shorten the prompt"):
        stream(host, [Row(long)])
    nearly = render(host, "hotel " * 40)
    reply = generate(host, [Row(nearly)], DecodeSettings(max_new_tokens=500))[0]
    assert reply.finish == "context"
    assert len(nearly) + len(reply.ids) == 128


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt_neox"])
def test_a_batch_of_32_rows_with_every_operation_equals_each_row_alone(architecture, tiny_host) -> None:
    """Prompts of several lengths, every operation, scope and kind of gate, two writes at one place, with the cache."""
    host = tiny_host(architecture)
    u, v = direction(1), direction(2)
    operations = [
        Add(u, 6.0),
        Ablate(u),
        Ablate(torch.stack([u, v]), 0.5),
        Affine(u, 0.5, 3.0),
        Clamp(u, 4.0, "floor"),
        Rotate(u, 60.0),
        Erase(2 * u[:, None], v[None], 0.1 * direction(3)),
    ]
    scopes: list[Scope] = ["all", "prompt", "reply", "last", "generated", (0, 2)]
    gates = [None, Gate(v, 0.0, 0, "block_output"), Gate(v, 0.0, 0, "block_output", per="token")]
    rows = []
    for n in range(32):
        operation = operations[n % len(operations)]
        first = Write(operation, 1, "block_output", scopes[n % len(scopes)], gates[n % len(gates)])
        second = (Write(Add(v, 3.0), 1, "block_output", "reply"),) if n % 4 == 0 else ()
        rows.append(Row(render(host, PROMPTS[n % len(PROMPTS)]), (first, *second) if n else ()))
    settings = DecodeSettings(max_new_tokens=6)
    together = generate(host, rows, settings)
    alone = [generate(host, [row], settings)[0] for row in rows]
    assert [reply.written for reply in together] == [reply.written for reply in alone]
    assert [reply.ids for reply in together] == [reply.ids for reply in alone]
    assert len({reply.ids for reply in alone}) > 6  # three prompts would give three: the writes do something
