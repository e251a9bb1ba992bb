"""Every family of decoders that transformers knows: states, writes and replies are those of plain PyTorch hooks, or a
sentence says why not.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Batch, Row
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.writes.interventions import Write
from steering.writes.operations import Ablate, Add
from tests.conftest import ROOT
from tests.families import FAMILIES, NOT_BUILT, TEXT_PARTS, WRAPPERS, tiny_family


STREAMS, AGAIN = "several residual streams side by side", "some run again and again"
BEHIND = "lets a token see those behind it"
POSITIONS = "than by itself"
REFUSED = {
    **dict.fromkeys(("deepseek_v4", "gemma3n_text", "hy_v4", "qwen4_exp_text"), STREAMS),
    **dict.fromkeys(
        ("cpmant", "prophetnet", "xlnet"), "or another layout"
    ),  # more positions than tokens, or tokens first
    **dict.fromkeys(("reformer", "xlm"), "is given what the one before it gave"),  # two streams; no blocks at all
    **dict.fromkeys(("camembert", "data2vec-text", "roberta", "roberta-prelayernorm"), POSITIONS),
    **dict.fromkeys(("xlm-roberta", "xlm-roberta-xl", "xmod"), POSITIONS),
    "mllama": "runs 3 of the 4 blocks",  # without an image
    "blt": "several stacks of blocks",
    "hrm_text": AGAIN,
    "paligemma": BEHIND,
}
"""Families that are not hosted, and what the refusal says."""
HOSTED = [name for name in (*FAMILIES, *WRAPPERS) if name not in REFUSED]
NO_SUM = {
    "minimax": "block 0",  # the norm's output is the residual
    "openai-gpt": "block 0",  # a norm behind every sum
    **dict.fromkeys(("bert", "bert-generation", "big_bird", "electra", "ernie"), "block 0"),
    **dict.fromkeys(("rembert", "roc_bert", "roformer"), "block 0"),
    **dict.fromkeys(("bart", "blenderbot-small", "git", "marian", "mvp", "plbart", "trocr"), "block 0"),
    "inkling2_text": "block 0",  # the first block begins the stream anew
    "rwkv": "block 0",  # the first block norms the stream before it adds to it
    "longcat_flash": "take turns",
}
"""Families in which no pass could show what enters the stream in every block, and what "everywhere" says there."""
SHORT, LONG = "Hello there.", "Write a review of the hotel by the river, please."
TOKENS = 3


class Family:
    """A hosted tiny model, and what the bare model does under plain hooks."""

    def __init__(self, host: Host, model: Any) -> None:
        self.host, self.model = host, model
        host.end_ids = frozenset()  # every reply has all its tokens
        self.blocks = model.get_submodule(host.sites.blocks_path)
        self.block = len(self.blocks) // 2
        self.prompts = [render(host, text) for text in (SHORT, LONG)]
        direction = torch.randn(32, generator=torch.Generator().manual_seed(0))
        self.direction = direction / direction.norm()
        self.entered, self.left, self.logits = self.hooked(self.prompts[1].ids)
        self.strength = 0.5 * float(self.left[self.block].norm(dim=-1).mean())  # nothing that rounding could hide
        self.plan = (Write(Add(self.direction, self.strength), self.block, "block_output"),)

    def hooked(self, ids: Any) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        """Inputs and outputs of all blocks, by hooks, and the last logits."""
        entered, left = [], []

        def hook(module: Any, args: Any, kwargs: Any, output: Any) -> None:
            entered.append((args[0] if args else next(iter(kwargs.values()))).clone())
            left.append((output[0] if isinstance(output, tuple | list) else output).clone())

        handles = [block.register_forward_hook(hook, with_kwargs=True) for block in self.blocks]
        logits = self.bare(ids)
        for handle in handles:
            handle.remove()
        return entered, left, logits

    def bare(self, ids: Any) -> torch.Tensor:
        """The bare model's last logits."""
        with torch.no_grad():
            return self.model(torch.tensor([ids]), use_cache=False).logits[0, -1]

    def steered(self, work: Any) -> Any:
        """Do something while a plain hook adds at the middle block's output."""

        def hook(module: Any, args: Any, output: Any) -> Any:
            if isinstance(output, tuple | list):
                return type(output)([output[0] + self.strength * self.direction, *output[1:]])
            return output + self.strength * self.direction

        handle = self.blocks[self.block].register_forward_hook(hook)
        try:
            return work()
        finally:
            handle.remove()

    def own_reply(self, prompt: Any) -> tuple[int, ...]:
        """The model's own greedy tokens under the hook."""
        ids = torch.tensor([prompt.ids])
        # The state that transformers 5.23 makes for xLSTM has another shape than its blocks go on from.
        settings = {
            "max_new_tokens": TOKENS,
            "do_sample": False,
            "pad_token_id": 0,
            "use_cache": self.host.name != "xlstm",
        }
        mask = torch.ones_like(ids)
        return tuple(self.model.generate(ids, attention_mask=mask, **settings)[0, len(prompt.ids) :].tolist())

    def states(self, plan: Any = ()) -> dict[Any, torch.Tensor]:
        """States at every place of the long prompt, after the writes."""
        found: dict[Any, torch.Tensor] = {}
        batch = Batch.of(self.host, [self.prompts[1]])
        read = {"read": lambda place, x: found.update({place: x.clone()}), "places": self.host.sites.places}
        schedule = Schedule(self.host, [plan])
        self.host.run(lambda job: read_prompts(self.host, batch, schedule, **read), title="read")
        return found


@pytest.fixture(scope="module", params=HOSTED)
def family(request: pytest.FixtureRequest, tokenizer: Any, lane: Any) -> Family:
    model = tiny_family(request.param)
    return Family(Host.wrap(model, tokenizer, name=request.param, lane=lane), model)


def test_all_blocks_are_read_and_their_sites_add_up_to_what_hooks_see(family: Family) -> None:
    states, sites = family.states(), family.host.sites
    for index, block in enumerate(sites.blocks):
        # float32 sums in another order, of values up to 1e3
        close = {"rtol": 1e-4, "atol": 1e-4 * float(family.left[index].abs().max())}
        torch.testing.assert_close(states[index, "block_input"], family.entered[index], **close)
        torch.testing.assert_close(states[index, "block_output"], family.left[index], **close)
        for site in block.inner:
            assert states[index, site].norm() > 1e-3
        if block.inner and not block.rest:
            total = block.carry * family.entered[index] + sum(states[index, site] for site in block.inner)
            torch.testing.assert_close(total, family.left[index], **close)


def test_an_addition_in_the_middle_is_that_of_a_plain_hook(family: Family) -> None:
    batch, schedule = Batch.of(family.host, [family.prompts[1]]), Schedule(family.host, [family.plan])
    found = family.host.run(lambda job: read_prompts(family.host, batch, schedule).logits[0], title="read")
    expected = family.steered(lambda: family.bare(family.prompts[1].ids))
    assert (expected - family.logits).abs().max() > 0.01 * expected.std()
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3 * float(expected.std()))


def test_replies_are_the_models_own_alone_and_in_a_padded_batch(family: Family) -> None:
    own = family.steered(lambda: [family.own_reply(prompt) for prompt in family.prompts])
    settings = DecodeSettings(max_new_tokens=TOKENS)
    (alone,) = generate(family.host, [Row(family.prompts[0], family.plan)], settings)
    assert alone.ids == own[0]
    together = generate(family.host, [Row(prompt, family.plan) for prompt in family.prompts], settings)
    assert [reply.ids for reply in together] == own


def test_what_is_ablated_everywhere_is_gone_from_every_block_or_everywhere_says_why_not(family: Family) -> None:
    sites, u = family.host.sites, family.direction
    if sites.uncovered:
        with pytest.raises(SteeringError, match=NO_SUM[family.host.name]):
            sites.everywhere()
        return
    assert family.host.name not in NO_SUM
    states = family.states(tuple(Write(Ablate(u), block, site) for block, site in sites.everywhere()))
    for index, left in enumerate(family.left):
        size = float(left.norm(dim=-1).mean())
        assert (left @ u).abs().max() > 0.01 * size
        # The output is a sum of parts without u, in float32.
        assert (states[index, "block_output"] @ u).abs().max() < 1e-4 * size


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_hosted_is_refused_by_what_it_is(name: str, tokenizer: Any, lane: Any) -> None:
    with pytest.raises(SteeringError, match=REFUSED[name]):
        Host.wrap(tiny_family(name), tokenizer, name=name, lane=lane)


def test_every_decoder_that_transformers_lists_is_here_or_cannot_be_built() -> None:
    listed = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert listed - {*FAMILIES, *WRAPPERS} == {*TEXT_PARTS, *NOT_BUILT}
    for name, text in TEXT_PARTS.items():
        assert AutoConfig.for_model(name).get_text_config().model_type == text
        assert text in FAMILIES
    for name, reason in NOT_BUILT.items():
        with pytest.raises(Exception, match=reason), torch.device("meta"):
            AutoModelForCausalLM.from_config(AutoConfig.for_model(name))


def _parted(model: Any, length: int) -> float:
    """How far logits of the bare model's cached steps lie from those of its whole pass, in standard deviations."""
    ids = torch.randint(3, 3000, (1, length), generator=torch.Generator().manual_seed(1))
    half = length // 2
    with torch.no_grad():
        whole, output = model(ids, use_cache=False).logits[0, half:], model(ids[:, :half], use_cache=True)
        steps = []
        for token in ids[0, half:]:
            output = model(token[None, None], past_key_values=output.past_key_values, use_cache=True)
            steps.append(output.logits[0, -1])
    return float((torch.stack(steps) - whole).abs().max() / whole.std())


def test_what_the_page_says_of_transformers_own_cached_steps_is_so() -> None:
    moshi = tiny_family("moshi")
    window = moshi.config.sliding_window
    assert _parted(moshi, window) < 1e-4
    assert _parted(moshi, 2 * window) > 0.1
    published = AutoConfig.for_model("moshi")
    assert published.sliding_window == published.max_position_embeddings == 3000
    nemotron = tiny_family("nemotron_h")
    assert _parted(nemotron, 30) > 2e-4
    for block in nemotron.model.layers:
        if hasattr(block.mixer, "time_step_limit"):
            block.mixer.time_step_limit = (0.0, float("inf"))
    assert _parted(nemotron, 30) < 2e-5


def test_the_table_of_families_is_of_these_families() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([^`]+)`", page, flags=re.MULTILINE)
    assert sorted(listed) == sorted([*FAMILIES, *WRAPPERS])
    assert len(listed) >= 111
    for name in REFUSED:
        assert re.search(rf"^\| `{name}` \| not hosted: .*{REFUSED[name]}", page, flags=re.MULTILINE), name
