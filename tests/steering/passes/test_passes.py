"""Models that cannot take every batch as it is: without a key-value cache, or whose logits change with padding."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.activations import read_states
from steering.passes.decoding import generate, next_token_logits
from steering.passes.forced import read_forced
from steering.passes.many_plans import Given, read_many
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_on, starts
from steering.writes.interventions import Gate, Plan, Write
from steering.writes.operations import Add


_SMALL = {"vocab_size": 3072, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
_GATED = {**_SMALL, "max_position_embeddings": 128, "intermediate_size": 64, "num_key_value_heads": 2}
_HEAD = {**_GATED, "head_dim": 8}
_MAMBA = {"mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 8, "mamba_chunk_size": 8}
FAMILIES: dict[str, dict[str, Any]] = {
    "mamba": {**_SMALL, "state_size": 8},
    "mamba2": {**_SMALL, "num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1, "chunk_size": 8},
    "rwkv": {**_SMALL, "attention_hidden_size": 32, "context_length": 128},
    "recurrent_gemma": {**_HEAD, "lru_width": 32, "attention_window_size": 16},
    "xlstm": {**_SMALL, "num_heads": 4, "chunk_size": 8},
    "bamba": {**_GATED, **_MAMBA, "attn_layer_indices": [1, 3]},
    "lfm2": {**_GATED, "layer_types": ["conv", "full_attention"] * 2},
    "openai-gpt": {"vocab_size": 3072, "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 128},
    "gemma4_text": {
        **_HEAD,
        "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "hidden_size_per_layer_input": 8,
        "vocab_size_per_layer_input": 3072,
        "num_kv_shared_layers": 2,
        "global_head_dim": 8,
    },
    "bloom": {"vocab_size": 3072, "hidden_size": 32, "n_layer": 4, "n_head": 4},
}
TEXTS = (
    "Tell me a story about the sea.",
    "Hello.",
    "What is two plus three, and what is five plus six?",
    "Goodbye.",  # as long as the second
)
STEPS = 6


@cache
def model_of(family: str) -> PreTrainedModel:
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, bos_token_id=1, eos_token_id=None, **FAMILIES[family])
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "A_log" not in name:  # the rates at which a state fades keep their own start
                parameter.normal_(0, 0.25)
    return model


@pytest.fixture(scope="module")
def host_of(tokenizer: Any, lane: Any) -> Any:
    return cache(lambda family: Host.wrap(model_of(family), tokenizer, name=f"tiny {family}", lane=lane))


def prompts_of(host: Host) -> list[Any]:
    return [render(host, text) for text in TEXTS]


def single_plan(host: Host, gate: Gate | None = None) -> Plan:
    direction = torch.randn(host.info.width, generator=torch.Generator().manual_seed(3))
    return (Write(Add(direction / direction.norm(), 40.0), 2, "block_input", gate=gate),)


def plainly(host: Host, ids: tuple[int, ...], plan: Plan = ()) -> torch.Tensor:
    """Logits at every position by the bare model alone: one whole pass without a cache, and a plain hook."""
    model, handles = host.model._module, []
    for write in plan:
        block = model.get_submodule(f"{host.sites.blocks_path}.{write.block}")
        delta = write.operation.strength * write.operation.direction

        def hook(module: Any, args: Any, kwargs: Any, delta: torch.Tensor = delta) -> Any:
            if args:
                return (args[0] + delta, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": kwargs["hidden_states"] + delta}

        handles.append(block.register_forward_pre_hook(hook, with_kwargs=True))
    options = {"use_cache": False} if "use_cache" in host.abilities.accepts else {}
    try:
        with torch.no_grad():
            return model(input_ids=torch.tensor([ids]), **options).logits[0].float()
    finally:
        for handle in handles:
            handle.remove()


def greedily(host: Host, ids: tuple[int, ...], plan: Plan) -> tuple[int, ...]:
    found = list(ids)
    for _ in range(STEPS):
        found.append(int(plainly(host, tuple(found), plan)[-1].argmax()))
    return tuple(found[len(ids) :])


@pytest.mark.parametrize("family", FAMILIES)
def test_replies_in_a_batch_are_those_of_whole_passes_alone(family, host_of) -> None:
    host = host_of(family)
    plans = [(), single_plan(host), single_plan(host), ()]
    rows = [Row(prompt, plan) for prompt, plan in zip(prompts_of(host), plans, strict=True)]
    expected = [greedily(host, row.prompt.ids, row.plan) for row in rows]
    assert greedily(host, rows[1].prompt.ids, ()) != expected[1], "the plan changes the reply"
    replies = generate(host, rows, DecodeSettings(max_new_tokens=STEPS))
    assert [reply.ids for reply in replies] == expected
    assert [reply.written.generated for reply in replies] == [0, STEPS - 1, STEPS - 1, 0]
    assert [reply.written.prompt for reply in replies] == [0, len(rows[1].prompt), len(rows[2].prompt), 0]


@pytest.mark.parametrize("family", FAMILIES)
def test_states_logits_and_likelihoods_do_not_depend_on_the_batch(family, host_of) -> None:
    host, prompts = host_of(family), prompts_of(host_of(family))
    close = {"rtol": 1e-3, "atol": 2e-3}  # float32, another order of sums through four blocks
    logits = next_token_logits(host, [Row(prompt) for prompt in prompts])
    expected = torch.stack([plainly(host, prompt.ids)[-1] for prompt in prompts])
    torch.testing.assert_close(logits, expected, **close)
    for side in ("left", "right"):
        together = read_states(host, prompts, padding_side=side)
        alone = torch.cat([read_states(host, [prompt]) for prompt in prompts])
        assert together.shape == (len(prompts), host.info.blocks, host.info.width)
        torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max()))
    replied = list(zip(prompts, [(5, 9, 11), (7,), (12, 13), (14,)], strict=True))
    plan = single_plan(host)
    forced = host.run(lambda job: read_forced(host, [(), plan], replied), title="read")
    for index, each in enumerate(((), plan)):
        for row, (prompt, ids) in enumerate(replied):
            whole = torch.log_softmax(plainly(host, (*prompt.ids, *ids), each), dim=-1)
            losses = -whole[-len(ids) - 1 : -1].gather(1, torch.tensor(ids)[:, None])[:, 0]
            torch.testing.assert_close(forced.losses[index, row, -len(ids) :].float(), losses, **close)


@pytest.mark.parametrize("family", FAMILIES)
def test_many_plans_are_those_of_plain_passes(family, host_of) -> None:
    host = host_of(family)
    given = [Given(prompt, ((5, 9, 11), (7,))) for prompt in prompts_of(host)]
    plan, seen = single_plan(host), 0
    for read in host.run(lambda job: list(read_many(job, host, given, [(), plan])), title="read"):
        for p, which in enumerate(read.plans):
            for i, item in enumerate(read.items):
                for r, reply in enumerate(given[item].replies):
                    expected = plainly(host, (*given[item].prompt.ids, *reply), plan if which else ())
                    n = len(reply) + 1
                    torch.testing.assert_close(read.logits[p, i, r, :n], expected[-n:], rtol=1e-3, atol=2e-3)
                    seen += 1
    assert seen == 2 * len(given) * 2


@pytest.mark.parametrize("family", ["rwkv", "recurrent_gemma", "mamba"])
def test_a_gate_decides_for_each_row_and_holds_for_its_reply(family, host_of) -> None:
    """Rows are read apart here, or again at every token: each must keep what was decided on its own prompt."""
    host, prompts = host_of(family), prompts_of(host_of(family))
    states = read_states(host, prompts, site="block_input")[:, 1]
    direction = states[0] / states[0].norm()
    seen = (states @ direction).tolist()
    gate = Gate(direction, (max(seen) + sorted(seen)[-2]) / 2, 1, "block_input")
    gated = [Row(prompt, single_plan(host, gate)) for prompt in prompts]
    plain = [Row(prompt, single_plan(host) if x == max(seen) else ()) for prompt, x in zip(prompts, seen, strict=True)]
    settings = DecodeSettings(max_new_tokens=STEPS)
    assert [r.ids for r in generate(host, gated, settings)] == [r.ids for r in generate(host, plain, settings)]


def test_what_each_model_cannot_do_is_found_and_said(host_of, tiny_host) -> None:
    assert tiny_host("llama").abilities.limits == ()
    assert tiny_host("llama").abilities.shares
    assert host_of("rwkv").abilities.cache == "state"
    assert host_of("mamba2").abilities.cache == "cache_params"
    assert host_of("recurrent_gemma").abilities.cache is None
    assert any("pass over the whole text" in limit for limit in host_of("recurrent_gemma").abilities.limits)
    assert any("one by one" in limit for limit in host_of("rwkv").abilities.limits)
    assert not host_of("bamba").abilities.shares
    # Gemma 4 would cut its states short at the last positions' number, and xLSTM knows no such argument.
    assert tiny_host("llama").abilities.keeps == "number"
    assert host_of("gemma4_text").abilities.keeps == "columns"
    assert host_of("xlstm").abilities.keeps is None


def test_a_pass_begins_in_the_middle_only_where_that_is_the_same(host_of, tiny_host) -> None:
    """Skipped blocks of Gemma 4 would leave the last ones without keys and values."""
    for host in (tiny_host("llama"), tiny_host("gpt_neo"), host_of("bloom")):
        assert host.run(lambda job, host=host: starts(host), title="start")
    assert not host_of("gemma4_text").run(lambda job: starts(host_of("gemma4_text")), title="start")


def test_going_on_from_what_cannot_be_shared_is_refused(host_of) -> None:
    host = host_of("mamba2")
    ids = torch.tensor([[5, 6, 7]])
    batch = Batch(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([2]))

    def work(job: Any) -> None:
        _, known = read_on(host, batch, Schedule(host, [()]))
        assert known is not None
        read_on(host, batch, Schedule(host, [()]), cache=known, length=3)

    with pytest.raises(SteeringError, match="go on from a text"):
        host.run(work, title="read")


@pytest.mark.parametrize("plain", [False, True])
def test_own_code_without_mask_and_position_ids_is_read_unpadded(plain, host_of, tokenizer, lane) -> None:
    """It attends to padding and counts it; where it also gives bare logits, every token is a whole pass."""
    model = AutoModelForCausalLM.from_config(model_of("bloom").config)
    model.load_state_dict(model_of("bloom").state_dict())
    forward = type(model).forward

    def deaf(input_ids: Any, past_key_values: Any = None, use_cache: bool = False) -> Any:
        return forward(model, input_ids=input_ids, past_key_values=past_key_values, use_cache=use_cache)

    model.forward = (lambda input_ids: deaf(input_ids).logits) if plain else deaf
    host = Host.wrap(model, tokenizer, name="deaf", lane=lane)
    assert "left" not in host.abilities.pads
    assert host.abilities.cache == (None if plain else "past_key_values")
    rows = [Row(prompt) for prompt in prompts_of(host)]
    settings = DecodeSettings(max_new_tokens=STEPS)
    hearing = generate(host_of("bloom"), rows, settings)
    assert [r.ids for r in generate(host, rows, settings)] == [r.ids for r in hearing]
