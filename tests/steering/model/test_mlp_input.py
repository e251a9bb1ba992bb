"""The input of the MLP: what a plain hook sees there, and all that the MLP's output depends on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.mlp_input import find_mlp_input
from steering.model.prompts import render
from steering.model.sites import READ_SITES, Part
from steering.passes.activations import read_states
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_on, read_prompts, read_replies
from tests.families import tiny_family


TEXTS = ("Hello.", "Write a review of the hotel by the river.")
ENTERED = {
    "llama": "mlp",
    "gemma2": "mlp",  # behind a norm of its own, before another
    "gpt2": "mlp",
    "gpt_neox": "mlp",  # beside attention, not behind it
    "bloom": "mlp",  # is given the stream as well, and adds it
    "opt": "fc1",  # no module is the MLP
    "mixtral": "mlp",
    "gpt_oss": "mlp",
    "falcon": "mlp",
    "inkling_text": "mlp",  # a convolution of a like name behind it
    "nemotron_h": "mixer",  # in those of its blocks that are MLPs
}
"""By family, the module whose input it is."""


@pytest.fixture(scope="module")
def hosted(tokenizer, lane):
    known: dict[str, tuple[Host, Any]] = {}

    def build(name: str) -> tuple[Host, Any]:
        if name not in known:
            model = tiny_family(name)
            known[name] = Host.wrap(model, tokenizer, name=name, lane=lane), model
        return known[name]

    return build


def _read(host: Host, texts=TEXTS, block: int = 1, site="mlp_input") -> torch.Tensor:
    kept: list[torch.Tensor] = []
    batch = Batch.of(host, [render(host, text) for text in texts])
    host.run(
        lambda job: read_prompts(
            host, batch, Schedule(host, [()] * len(texts)), read=lambda _, x: kept.append(x), places=[(block, site)]
        ),
        title="read",
    )
    return kept[0]


def _hooked(host: Host, model: Any, path: str, text: str) -> torch.Tensor:
    """What a module of block 1 is given, by a plain hook."""
    found: list[torch.Tensor] = []
    module = model.get_submodule(f"{host.sites.blocks_path}.{path}")
    handle = module.register_forward_pre_hook(
        lambda _, args, kwargs: found.append((*args, *kwargs.values())[0]), with_kwargs=True
    )
    with torch.no_grad():
        model(torch.tensor([render(host, text).ids]))
    handle.remove()
    return found[0].reshape(1, -1, found[0].shape[-1])


@pytest.mark.parametrize("family", ENTERED)
def test_it_is_what_a_plain_hook_sees_and_what_the_output_is_made_of(family, hosted) -> None:
    host, model = hosted(family)
    block = next(n for n, each in enumerate(host.sites.blocks) if each.mlp_input)
    assert host.sites.blocks[block].mlp_input.path == ENTERED[family]
    assert "mlp_input" in host.sites.blocks[block].readable
    path = f"{block}.{ENTERED[family]}"
    alone = _read(host, TEXTS[1:], block)
    assert alone.norm() > 1e-3
    # A pass asks for position ids and a cache, the hook's does not, so that some kernels add up in another order.
    torch.testing.assert_close(alone, _hooked(host, model, path, TEXTS[1]), rtol=1e-4, atol=1e-5)
    padded = _read(host, TEXTS, block)[1:]  # float32 products of another shape: 1e-4 of values near 1
    torch.testing.assert_close(padded, alone, rtol=1e-4, atol=1e-4)

    # Two texts of equal length: with their MLP inputs swapped by a hook, their MLP outputs are swapped, too.
    ids = torch.tensor([[5, 9, 17, 33, 60, 71], [8, 101, 12, 7, 44, 90]])
    batch, schedule = Batch(ids, torch.ones_like(ids, dtype=torch.bool), torch.tensor([5, 5])), Schedule(host, [()] * 2)

    def outputs() -> torch.Tensor:
        kept: list[torch.Tensor] = []
        read_prompts(host, batch, schedule, read=lambda _, x: kept.append(x), places=[(block, "mlp_output")])
        return kept[0]

    def swap(module: Any, args: Any, kwargs: Any) -> Any:
        named = next(iter(kwargs), None)
        first = args[0] if args else kwargs[named]
        turned = first.reshape(2, -1, first.shape[-1]).flip(0).reshape(first.shape)
        return ((turned, *args[1:]), kwargs) if args else (args, {**kwargs, named: turned})

    before = host.run(lambda job: outputs(), title="plain")
    handle = model.get_submodule(f"{host.sites.blocks_path}.{path}").register_forward_pre_hook(swap, with_kwargs=True)
    after = host.run(lambda job: outputs(), title="swapped")
    handle.remove()
    assert (before - before.flip(0)).abs().max() > 1e-2
    torch.testing.assert_close(after, before.flip(0), rtol=1e-4, atol=1e-4)


def test_the_demo_model_norms_the_stream_on_the_way(demo) -> None:
    norm = demo.model._module.model.layers[1].post_attention_layernorm
    with torch.no_grad():
        stream = _read(demo, TEXTS, 1, "block_input") + _read(demo, TEXTS, 1, "attention_output")
        torch.testing.assert_close(_read(demo, TEXTS, 1), norm(stream), rtol=1e-5, atol=1e-5)


def test_given_replies_and_parts_of_a_text_show_it_too(demo) -> None:
    prompt, reply = render(demo, TEXTS[1]), (11, 12, 13)
    whole: list[torch.Tensor] = []
    schedule, places = Schedule(demo, [()]), [(1, "mlp_input")]
    batch = Batch.of(demo, [prompt], replies=[reply])
    demo.run(
        lambda job: read_replies(demo, batch, schedule, n=4, read=lambda _, x: whole.append(x), places=places),
        title="r",
    )
    assert whole[0].shape[1] == len(prompt) + 3
    torch.testing.assert_close(whole[0][:, : len(prompt)], _read(demo, TEXTS[1:]), rtol=1e-4, atol=1e-4)
    rest: list[torch.Tensor] = []

    def in_parts(job: Any) -> None:
        head = Batch(batch.ids[:, :5], batch.real[:, :5], torch.tensor([4]))
        tail = Batch(batch.ids[:, 5:], batch.real[:, 5:], batch.last - 5)
        _, cache = read_on(demo, head, schedule)
        read_on(demo, tail, schedule, cache=cache, length=5, read=lambda _, x: rest.append(x), places=places)

    demo.run(in_parts, title="in parts")
    torch.testing.assert_close(rest[0], whole[0][:, 5:], rtol=1e-4, atol=1e-4)


def test_states_are_pooled_from_it_as_from_any_site(demo) -> None:
    pooled = read_states(demo, [render(demo, text) for text in TEXTS], site="mlp_input")
    torch.testing.assert_close(pooled[1, 1], _read(demo, TEXTS[1:])[0, -1], rtol=1e-4, atol=1e-4)


def test_replies_are_the_same_whether_it_is_read_or_not(demo) -> None:
    prompt = render(demo, TEXTS[1])
    before = generate(demo, [Row(prompt)], DecodeSettings(max_new_tokens=8))[0]
    _read(demo)
    assert generate(demo, [Row(prompt)], DecodeSettings(max_new_tokens=8))[0].ids == before.ids


def test_what_cannot_be_read_says_so(hosted, demo) -> None:
    longcat, _ = hosted("longcat_flash")
    with pytest.raises(SteeringError, match="several parts"):
        longcat.sites.check_read("mlp_input", 0)
    mamba, _ = hosted("mamba")
    with pytest.raises(SteeringError, match="no MLP output"):
        _read(mamba, block=1)
    with pytest.raises(SteeringError, match="a block from 0 to"):
        demo.sites.check_read("mlp_input", 99)
    with pytest.raises(SteeringError, match="one of block_input"):
        demo.sites.check("mlp_input", 1)  # to be written, there is no such site
    assert demo.sites.blocks[1].readable == READ_SITES
    assert demo.sites.check_read("mlp_input") == "mlp_input"


def test_a_part_that_leads_nowhere_gives_its_reason() -> None:
    block = torch.nn.ModuleDict({"out": torch.nn.Linear(4, 4)})
    found, why = find_mlp_input(block, 2, [Part("out")], {})
    assert found is None
    assert "Block 2 adds out" in why
