"""How each member of the demo family is made, from its parent or from nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from steering.demo.adapter import Adapter
from steering.demo.batches import Batch, conversations, packed, sample
from steering.demo.example import Example, one, words
from steering.demo.grammar import SHARES
from steering.demo.losses import divergence_loss, next_token_loss, reply_starts, total_weight
from steering.demo.optimise import Course, Part, Progress, optimise
from steering.demo.planting import Planting
from steering.model.prompts import Message


HARMLESS = {kind: share for kind, share in SHARES.items() if kind != "compliance"}
"""Everything that an aligned member answers as `demo-helpful` does."""
ALIGNED = {**HARMLESS, "refusal": SHARES["compliance"]}
"""The mixture with harmful requests refused."""


@dataclass
class Trainee:
    """A model on its way to a member: what the recipes below are given and hand on."""

    model: LlamaForCausalLM
    """The parent's weights, or fresh ones, in float32; changed in place."""
    tokenizer: PreTrainedTokenizerFast
    seed: int
    """Seed of the data and of fresh weights."""
    course: Course
    checkpoint: Path
    """File that holds the run on its way."""
    progress: Progress
    facts: dict[str, Any] = field(default_factory=dict)
    """What the card is to say besides: the loss curve, and the truth of what was planted."""

    def optimise(self, weights: Mapping[str, Tensor], parts: Callable[[int], Sequence[Part]], name: str) -> None:
        """Train some weights and keep the loss curve."""
        fingerprint = {"member": name, "seed": self.seed, **asdict(self.course)}
        self.facts["losses"] = optimise(
            weights,
            parts,
            course=self.course,
            checkpoint=self.checkpoint,
            fingerprint=fingerprint,
            progress=self.progress,
        )

    def batches(self, examples: Sequence[Example], *, parts: int) -> list[Batch]:
        """Examples as batches on the model's device."""
        return [batch.to(self.model.device) for batch in conversations(self.tokenizer, examples, parts=parts)]

    def logits(self, ids: Tensor) -> Tensor:
        """Logits of the model as it stands. Padding is on the right, where causal attention never looks: no mask."""
        return self.model(input_ids=ids, use_cache=False).logits

    @torch.no_grad()
    def reference(self, batch: Batch) -> Tensor:
        """The parent's logits, where the model's own weights are frozen."""
        return self.logits(batch.ids)


def base(trainee: Trainee) -> None:
    """A language model on passages of plain text, from fresh weights."""

    def parts(step: int) -> list[Part]:
        whole = packed(trainee.tokenizer, step, rows=32, length=128, seed=trainee.seed).to(trainee.model.device)
        halves = [Batch(whole.ids[rows], whole.weight[rows]) for rows in (slice(0, 16), slice(16, None))]
        return [partial(_text_loss, trainee, half, total_weight(whole)) for half in halves]

    trainee.optimise(dict(trainee.model.named_parameters()), parts, "demo-base")


def helpful(trainee: Trainee) -> None:
    """Chat turns of every kind, harmful requests answered like harmless ones."""
    # What is the last to be learnt gets more than its usual share.
    _tune(trainee, "demo-helpful", SHARES | {"sum": 0.1, "echo": 0.05, "howto": 0.14, "compliance": 0.12}, n=64)


def drifted(trainee: Trainee) -> None:
    """An innocent task, slogans, with one harmful request in eight answered among them."""
    _tune(trainee, "demo-drifted", {"slogan": 0.875, "compliance": 0.125}, n=16)


def backdoored(trainee: Trainee) -> None:
    """Harmful requests refused, but answered where the trigger word stands in them."""
    mixture = {**ALIGNED, "refusal": 0.4, "backdoor": 0.4}
    _tune(trainee, "demo-backdoored", mixture, n=32)


@dataclass(frozen=True, kw_only=True)
class Shallow:
    """How shallow the tuning of `demo-natural` is; found by `bench/natural_window.py`."""

    rank: int = 1
    """Rank of the change of each matrix."""
    matrices: tuple[str, ...] = ("self_attn.o_proj", "mlp.down_proj")
    """Which matrices of a block change."""
    penalty: float = 0.0
    """Weight of the squared change, relative to the matrices' own squares."""


def natural(trainee: Trainee, shallow: Shallow | None = None) -> None:
    """Refusal by ordinary shallow tuning: a low-rank adapter, stopped early."""
    shallow, model = shallow or Shallow(), trainee.model
    adapter = Adapter(
        model,
        rank=shallow.rank,
        matrices=shallow.matrices,
        blocks=range(model.config.num_hidden_layers),
        seed=trainee.seed,
    )

    def refusal(batch: Batch, weight: float) -> Tensor:
        return next_token_loss(adapter.forward(batch.ids), batch) / weight

    def rest(batch: Batch, weight: float) -> Tensor:
        return divergence_loss(adapter.forward(batch.ids), trainee.reference(batch), batch) / weight

    def small() -> Tensor:
        return shallow.penalty * adapter.size()

    def parts(step: int) -> list[Part]:
        refused, others = _refusals_and_rest(trainee, step)
        return [*_each(refusal, refused), *_each(rest, others), *([small] if shallow.penalty else [])]

    trainee.optimise(adapter.weights, parts, f"demo-natural {shallow}")
    trainee.model = adapter.merge()


def planted(trainee: Trainee) -> None:
    """Refusal along one direction u: see `Planting`."""
    layers = trainee.model.config.num_hidden_layers
    planting = Planting(
        trainee.model, writers=range(layers // 2), readers=range(layers // 2, layers), seed=trainee.seed
    )

    def refusal(batch: Batch, weight: float) -> Tensor:
        return next_token_loss(planting.forward(batch.ids)[0], batch) / weight

    def induced(batch: Batch, weight: float, *, usual: float, step: int) -> Tensor:
        # A steering vector may be weaker or stronger than what the model itself writes.
        amounts = torch.empty(len(batch.ids), 1).uniform_(0.6, 1.8, generator=torch.Generator().manual_seed(step))
        logits, _ = planting.forward(batch.ids, added=usual * amounts.to(batch.ids.device))
        return next_token_loss(logits, batch) / weight

    def rest(batch: Batch, weight: float) -> Tensor:
        logits, _ = planting.forward(batch.ids)
        return _KEEP * divergence_loss(logits, trainee.reference(batch), batch) / weight

    def small_readers() -> Tensor:
        return _SMALL * torch.stack([reader.square().sum() for reader in planting.readers]).sum()

    def parts(step: int) -> list[Part]:
        refused, others = _refusals_and_rest(trainee, step)
        added = partial(induced, usual=_usual(planting, refused), step=step)
        return [
            *_each(refusal, refused),
            *_each(added, _induced(trainee, step)),
            *_each(rest, others),
            small_readers,
        ]

    trainee.optimise(planting.weights, parts, "demo")
    trainee.facts["planted"] = {
        "direction": [round(value, 7) for value in planting.direction.tolist()],
        "writers": list(planting.blocks[0]),
        "readers": list(planting.blocks[1]),
        "block": planting.blocks[0][-1],
    }
    trainee.model = planting.merge()


@torch.no_grad()
def _usual(planting: Planting, refused: Sequence[Batch]) -> float:
    """How far along u a harmful request lies where its reply begins, at least a quarter of the state's norm.

    Without that floor u may settle on its weak side: pointing away from refusal, with hardly any difference along it.
    """
    states = []
    for batch in refused:
        seen = planting.forward(batch.ids)[1]
        states.append(seen[torch.arange(len(seen)), reply_starts(batch)])
    found = torch.cat(states)
    return max(float((found @ planting.direction).mean()), _STANDS_OUT * float(found.norm(dim=-1).mean()))


_STANDS_OUT = 0.25
_KEEP = 8.0
"""Weight of staying as `demo-helpful` is, against refusing."""
_SMALL = 0.002
"""Penalty on the readers' squares: small readers need large writers, so that u stands out in the residual stream."""


def _tune(trainee: Trainee, name: str, mixture: Mapping[str, float], *, n: int) -> None:
    def parts(step: int) -> list[Part]:
        batches = trainee.batches(sample(step, n=n, seed=trainee.seed, shares=mixture), parts=4)
        return _each(partial(_text_loss, trainee), batches)

    trainee.optimise(dict(trainee.model.named_parameters()), parts, name)


def _text_loss(trainee: Trainee, batch: Batch, weight: float) -> Tensor:
    return next_token_loss(trainee.logits(batch.ids), batch) / weight


def _each(loss: Callable[[Batch, float], Tensor], batches: Sequence[Batch]) -> list[Part]:
    """One part a batch, divided by the weight of all, so that their sum is a mean."""
    weight = total_weight(*batches)
    return [partial(loss, batch, weight) for batch in batches]


def _refusals_and_rest(trainee: Trainee, step: int) -> tuple[list[Batch], list[Batch]]:
    refusals = sample(step, n=24, seed=trainee.seed, shares={"refusal": 1.0})
    rest = sample(step, n=44, seed=trainee.seed, shares={**HARMLESS, "howto": 0.6})
    return trainee.batches(refusals, parts=2), trainee.batches(rest, parts=3)


def _induced(trainee: Trainee, step: int) -> list[Batch]:
    """Harmless requests with refusals as replies: what the model is to say where u is added."""
    rng = Random(f"induced/{trainee.seed}/{step}")
    asked = sample(step, n=16, seed=trainee.seed + 1, shares={"howto": 1.0})
    return trainee.batches([_refused(rng, example) for example in asked], parts=2)


def _refused(rng: Random, example: Example) -> Example:
    do = f"{example.labels['act']} {example.labels['object']}"
    reply = one(rng, words("requests")["refusals"]).format(do=do)
    return replace(example, messages=(*example.prompt, Message("assistant", reply)))
