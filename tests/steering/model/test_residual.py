"""What adds up to a block's output: found whatever stands before the stream, and not where nothing does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.model.residual import find_sites
from steering.model.residual_sum import find_sum
from steering.model.sites import BlockSites, Part, Sites
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.studies.refusal.phases import prepare
from steering.studies.refusal.settings import RefusalSettings
from steering.writes.interventions import Write
from steering.writes.operations import Add
from tests.families import tiny_family


def _parts(sites: Sites, block: int) -> dict[str, list[tuple[str, float]]]:
    parts = sites.blocks[block].inner.items()
    return {site: [(part.path, round(part.scale, 4)) for part in of_site] for site, of_site in parts}


def _both(attention: str, mlp: str, scale: float = 1.0) -> dict[str, list[tuple[str, float]]]:
    return {"attention_output": [(attention, scale)], "mlp_output": [(mlp, scale)]}


KNOWN: dict[str, dict[int, tuple[str, dict[str, list[tuple[str, float]]]]]] = {
    # the attention module's own output holds the residual
    "bloom": {2: ("attention", _both("self_attention.dense", "mlp.dense_4h_to_h"))},
    "mpt": {2: ("attention", _both("attn", "ffn.down_proj"))},
    "dbrx": {0: ("attention", _both("norm_attn_norm.attn", "ffn"))},
    # behind post-norms
    "gemma2": {1: ("attention", _both("post_attention_layernorm", "post_feedforward_layernorm"))},
    "glm4": {1: ("attention", _both("post_self_attn_layernorm", "post_mlp_layernorm"))},
    "olmo_hybrid": {
        0: ("linear attention", _both("linear_attn", "mlp")),
        3: ("attention", _both("post_attention_layernorm", "post_feedforward_layernorm")),
    },
    # times a number
    "granite": {3: ("attention", _both("self_attn", "mlp", 0.22))},
    # hybrids
    "nemotron_h": {
        0: ("state space", {"attention_output": [("mixer", 1.0)]}),
        1: ("", {"mlp_output": [("mixer", 1.0)]}),
        2: ("attention", {"attention_output": [("mixer", 1.0)]}),
    },
    "lfm2": {0: ("convolution", _both("conv", "feed_forward")), 1: ("attention", _both("self_attn", "feed_forward"))},
    "recurrent_gemma": {0: ("recurrence", _both("temporal_block", "mlp_block"))},
    "kimi_linear": {0: ("linear attention", _both("self_attn", "mlp")), 1: ("attention", _both("self_attn", "mlp"))},
    "rwkv": {1: ("linear attention", _both("attention", "feed_forward"))},
    "zamba2": {1: ("state space + attention", {"attention_output": [("mamba_decoder.mamba", 1.0)]})},
    "falcon_h1": {
        0: (
            "state space + attention",
            {"attention_output": [("mamba", 0.5), ("self_attn", 0.7)], "mlp_output": [("feed_forward", 1.0)]},
        )
    },
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_block_has_the_sites_that_its_code_says(name: str) -> None:
    model = tiny_family(name)
    sites = find_sites(model, model.config.num_hidden_layers)
    for block, (mixer, parts) in KNOWN[name].items():
        assert (sites.blocks[block].mixer, _parts(sites, block)) == (mixer, parts)


@pytest.mark.parametrize("name", ["granite", "glm4", "bloom", "granitemoehybrid", "gemma4_unified_text", "nemotron_h"])
def test_half_precision_finds_what_full_precision_finds(name: str) -> None:
    model = tiny_family(name)
    full = find_sites(model, 4)
    half = find_sites(model.bfloat16(), 4)
    for exact, rounded in zip(full.blocks, half.blocks, strict=True):
        assert [part.path for parts in rounded.inner.values() for part in parts] == [
            part.path for parts in exact.inner.values() for part in parts
        ]
        scales = [
            (a.scale, b.scale)
            for site in exact.inner
            for a, b in zip(exact.inner[site], rounded.inner[site], strict=False)
        ]
        assert all(abs(a - b) < 0.01 * a for a, b in scales)  # bfloat16 has three digits
        assert rounded.carry == pytest.approx(exact.carry, rel=0.01)


def test_layer_scalars_and_per_layer_inputs_are_found_and_everywhere_writes_behind_them() -> None:
    model = tiny_family("gemma4_text")
    sites = find_sites(model, 4)
    assert [round(block.carry, 4) for block in sites.blocks] == [1.0, 0.5, 1.0, 1.0]
    assert [[part.path for part in block.rest] for block in sites.blocks] == [["post_per_layer_input_norm"]] * 4
    assert (2, "block_output") in sites.everywhere()
    assert "the output of all 4 blocks, behind post_per_layer_input_norm" in sites.everywhere_words


class _Block(nn.Module):
    """out = norm(in) + mixed, as in decoders that norm the stream itself."""

    def __init__(self, in_stream: bool, detour: bool) -> None:
        super().__init__()
        self.mix, self.norm, self.aside = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 8)
        self.in_stream, self.detour = in_stream, detour

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        mixed = self.mix(states)
        if self.detour:  # the module's output is looked at, and what enters the stream is made anew
            mixed = nn.functional.linear(states, self.mix.weight, self.mix.bias) + 0 * self.mix(states)
        return (self.norm(states) if self.in_stream else states) + mixed


class _Model(nn.Module):
    def __init__(self, in_stream: bool = False, detour: bool = False) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.blocks = nn.ModuleList(_Block(in_stream, detour) for _ in range(3))

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        states = self.words(input_ids)
        for block in self.blocks:
            states = block(states)
        return states


def test_where_nothing_adds_up_no_inner_site_is_offered_and_the_sentence_says_so() -> None:
    assert find_sites(_Model(), 3).at(0) == ("block_input", "attention_output", "block_output")
    sites = find_sites(_Model(in_stream=True), 3)
    assert sites.at(0) == ("block_input", "block_output")
    with pytest.raises(SteeringError, match=r"Everywhere was asked for\. In block 0 no modules were found"):
        sites.everywhere()


def test_an_output_that_adds_up_but_is_not_what_enters_is_not_offered() -> None:
    sites = find_sites(_Model(detour=True), 3)
    assert sites.at(0) == ("block_input", "block_output")
    assert sites.uncovered


def test_a_sum_needs_every_term_and_no_more() -> None:
    generator = torch.Generator().manual_seed(0)
    entered, a, b, c = (torch.randn(2, 7, 16, generator=generator) for _ in range(4))
    values = {"a": a, "b": b, "twin of a": a.clone(), "c": c}
    assert find_sum(entered, entered + a + b, values).terms == {"a": 1.0, "b": 1.0}
    total = find_sum(entered, 0.5 * entered + 0.22 * a + 3.0 * c, values)
    assert total.carry == pytest.approx(0.5, rel=1e-5)
    assert total.terms == pytest.approx({"a": 0.22, "c": 3.0}, rel=1e-5)
    assert find_sum(entered, entered + a * torch.randn(2, 7, 1, generator=generator), values) is None
    assert find_sum(entered, torch.nn.functional.layer_norm(entered + a, (16,)), values) is None


def _host(name: str, tokenizer: Any, lane: Any) -> Host:
    return Host.wrap(tiny_family(name), tokenizer, name=name, lane=lane)


@pytest.mark.parametrize("name", ["granite", "falcon_h1", "granitemoehybrid", "beam"])
def test_what_is_added_at_a_scaled_or_double_site_is_what_enters_the_stream(name, tokenizer, lane) -> None:
    """An addition at a site moves the site by it, and the block's output by what the sum says; a row beside stays as it
    is to the bit.
    """
    host, u = _host(name, tokenizer, lane), torch.eye(32)[3]
    prompt = render(host, "Write a review of the hotel.")

    def states(*plans: Any) -> dict[Any, torch.Tensor]:
        found: dict[Any, torch.Tensor] = {}
        batch, schedule = Batch.of(host, [prompt] * len(plans)), Schedule(host, plans)
        read = {"read": lambda place, x: found.update({place: x.clone()}), "places": host.sites.places}
        host.run(lambda job: read_prompts(host, batch, schedule, **read), title="read")
        return found

    plain = states((), ())
    moved = states((), (Write(Add(u, 5.0), 1, "mlp_output"),))
    # float32 sums of values up to 1e3
    close = {"rtol": 1e-4, "atol": 1e-3}
    torch.testing.assert_close(moved[1, "mlp_output"][1], plain[1, "mlp_output"][1] + 5 * u, **close)
    torch.testing.assert_close(moved[1, "block_output"][1], plain[1, "block_output"][1] + 5 * u, **close)
    for place in plain:
        if (
            name == "granitemoehybrid"
        ):  # an expert multiplies all rows' tokens at once: how many come moves the last bits
            torch.testing.assert_close(moved[place][0], plain[place][0], **close)
        else:
            assert torch.equal(moved[place][0], plain[place][0])
    attention = states((Write(Add(u, 5.0), 1, "attention_output"),))
    torch.testing.assert_close(attention[1, "attention_output"][0], plain[1, "attention_output"][0] + 5 * u, **close)


def test_a_site_that_some_blocks_lack_is_asked_for_by_block(tokenizer, lane) -> None:
    host = _host("nemotron_h", tokenizer, lane)
    assert host.sites.available == ("block_input", "block_output")
    assert host.sites.having("mlp_output") == (1, 3)
    with pytest.raises(SteeringError, match=r"in every block\. Only blocks 1, 3 of 4 have it"):
        host.sites.check("mlp_output")
    with pytest.raises(SteeringError, match=r"in block 2\. Only blocks 1, 3 of 4 have it"):
        Schedule(host, [(Write(Add(torch.eye(32)[0], 1.0), 2, "mlp_output"),)])
    Schedule(host, [(Write(Add(torch.eye(32)[0], 1.0), 3, "mlp_output"),)])
    every = host.sites.everywhere()
    assert [place for place in every if place[0] in (0, 1)] == [
        (0, "block_input"),
        (0, "attention_output"),
        (1, "block_input"),
        (1, "mlp_output"),
    ]
    assert host.sites.mixers == "state space in block 0, attention in block 2"
    assert "what the MLP adds in blocks 1, 3" in host.sites.everywhere_words


def test_what_enters_before_the_last_site_cannot_be_written_everywhere() -> None:
    parts = {"attention_output": (Part("a", order=0),), "mlp_output": (Part("m", order=2),)}
    sites = Sites("blocks", (BlockSites(parts, "attention", rest=(Part("aside", order=1),)),))
    with pytest.raises(SteeringError, match="In block 0, aside adds to the residual stream where no site reaches"):
        sites.everywhere()
    behind = Sites("blocks", (BlockSites(parts, "attention", rest=(Part("aside", order=3),)),))
    assert behind.everywhere()[-1] == (0, "block_output")


def test_what_a_reader_keeps_stays_as_it_was_read(tokenizer, lane) -> None:
    """Falcon adds its attention's output to its MLP's in place."""
    host, kept = _host("falcon", tokenizer, lane), {}
    batch = Batch.of(host, [render(host, "Write a review of the hotel.")])
    read = {"read": lambda place, states: kept.update({place: states}), "places": host.sites.places}
    host.run(lambda job: read_prompts(host, batch, Schedule(host, [()]), **read), title="read")
    total = sum(kept[1, site] for site in ("block_input", "attention_output", "mlp_output"))
    # float32 sums in another order
    torch.testing.assert_close(total, kept[1, "block_output"], rtol=1e-4, atol=1e-4)


def test_studies_say_before_they_run_that_nothing_can_be_ablated_everywhere(tokenizer, lane) -> None:
    host = _host("minimax", tokenizer, lane)
    with pytest.raises(SteeringError, match="Everywhere was asked for"):
        host.run(lambda job: prepare(host, RefusalSettings(), job), title="prepare")
