"""One batch of a training: its loss, its gradient and its margin, in as many passes as memory asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.passes.checkpointed import Back, as_many_as_fit
from steering.training.losses.loss import Loss, Settings, Side, View, Views
from steering.training.operations import AddGated
from steering.training.scores import TOKENS, KnownTexts
from steering.training.texts import Example
from steering.training.trainee import Parameters
from steering.writes.interventions import Plan


_STAYS = 0.9
"""Of a running mean, from step to step."""
_PLANS: dict[View, dict[str, Any]] = {"plus": {}, "minus": {"sign": -1.0}, "nulled": {"nulled": True}}


@dataclass(frozen=True, eq=False)
class Measured:
    """What a batch gave."""

    loss: float
    """Mean over its examples."""
    margin: float
    """Nats by which the plan makes chosen replies likelier, log π/π₀, less those of rejected ones; of labelled data
    the means of wanted and unwanted ones; of wanted replies alone the first part; of sampled ones their mean reward.
    """
    gradient: tuple[Tensor, ...] = ()
    """d loss / d live tensors; none where nobody asked."""


@dataclass(frozen=True, eq=False)
class _Part:
    gradient: Sequence[Tensor]
    loss: float
    chosen: Tensor
    """log π/π₀ of the chosen replies, (row,)."""
    rejected: Tensor | None
    rewards: Tensor | None


class Objective:
    """A loss on known texts, as a function of the live tensors."""

    def __init__(
        self,
        known: KnownTexts,
        examples: Sequence[Example],
        parameters: Parameters,
        loss: Loss,
        settings: Settings,
        *,
        weights: Tensor | None = None,
        advantages: Tensor | None = None,
        tokens: int = TOKENS,
    ) -> None:
        """Nothing is computed yet.

        Args:
            known: The texts, read.
            examples: Which of them belong together.
            parameters: What is trained.
            loss: By which loss.
            settings: The loss's numbers.
            weights: What each example counts, (example,); 1 where None.
            advantages: Of sampled replies: how much better each is than others to its prompt, (example,).
            tokens: The most of a pass with a graph, padding included.
        """
        self.known, self.examples, self.parameters = known, examples, parameters
        self.loss, self.settings = loss, settings
        self._weights, self._advantages, self._tokens = weights, advantages, tokens
        self.running: list[float] = [math.nan, math.nan]
        """Mean rewards of wanted and of unwanted replies so far, of a loss that has them."""

    def measured(
        self, chosen: Sequence[int], *, progress: float = 0.0, step: int = 0, gradient: bool = False
    ) -> Measured:
        """Loss and margin of some examples. Call on the model thread.

        Args:
            chosen: Which, by their index.
            progress: Which share of the steps is done.
            step: Which step it is, of an objective that draws.
            gradient: Whether the gradient is worked out, too; then a running mean goes on.

        Raises:
            NoRoom: One example alone does not fit into memory, with checkpoints.
        """
        shift = self._shift(chosen)

        def one(part: Sequence[int], back: Back) -> _Part:
            return self._part(part, shift, progress, len(chosen), back if gradient else False)

        def tokens(part: Sequence[int]) -> int:
            return self.known.width(self._texts(part))

        done = list(as_many_as_fit(self.known.host, self._parts(chosen), one, tokens))
        if gradient and self.loss.reward is not None:
            self._run_on(done)
        gradients = tuple(map(sum, zip(*(each.gradient for _, each in done), strict=True))) if gradient else ()
        return Measured(sum(each.loss for _, each in done), self._margin(done), gradients)  # type: ignore[arg-type]

    @torch.no_grad()
    def gate(self, chosen: Sequence[int]) -> Tensor:
        """How much of its direction a gated plan adds in the mean over the chosen replies of some examples, raw units,
        (block,). Call on the model thread.
        """
        texts, found = [self.examples[index].chosen for index in chosen], list[Tensor]()
        for part in self.known.parts(texts, self._tokens):
            plans: list[Plan] = []
            self.known.scored(part, partial(self._plan, "plus", plans))
            found.append(torch.stack([gate.amounts() for gate in _gates(plans[0])], dim=1))
        return torch.cat(found).mean(dim=0)

    def _plan(self, view: View, made: list[Plan], real: Tensor) -> Plan:
        """The plan of a view, which is put among those that were made."""
        made.append(self.parameters.plan(real, **_PLANS[view]))
        return made[-1]

    def _part(self, part: Sequence[int], shift: float, progress: float, of: int, back: Back) -> _Part:
        with torch.set_grad_enabled(bool(back)):
            views = self._views(part, shift, progress, back)
            loss = self.loss.function(views, self.settings).sum() / of
            if back and not loss.requires_grad:
                raise SteeringError(
                    "What is trained does not reach the replies: it is written at no token before them, or the model's "
                    "code lets no gradient through.",
                    "tokens before those of a reply (scope all or prompt), in a model that can be trained through.",
                    "Choose another scope, or longer replies.",
                )
            grown = torch.autograd.grad(loss, self.parameters.live, allow_unused=True) if back else ()
        gradients = [
            torch.zeros_like(live) if each is None else each
            for live, each in zip(self.parameters.live if back else (), grown, strict=True)
        ]
        side, reward = views.plus, self.loss.reward
        return _Part(
            gradients,
            float(loss.detach()),
            side.chosen.ratios.detach().cpu(),
            None if side.rejected is None else side.rejected.ratios.detach().cpu(),
            None if reward is None else reward(views, self.settings).detach().cpu(),
        )

    def _views(self, part: Sequence[int], shift: float, progress: float, back: Back) -> Views:
        sides: dict[View, Side] = {}
        gates: list[AddGated] = []
        for view in self.loss.views:
            plans: list[Plan] = []
            scores = self.known.scored(self._texts(part), partial(self._plan, view, plans), gradients=back)
            pairs, n = self.examples[part[0]].rejected is not None, len(part)
            sides[view] = Side(scores.rows(slice(n)), scores.rows(slice(n, None)) if pairs else None)
            if view == "plus":
                gates = _gates(plans[0])
        device = sides["plus"].chosen.policy.device
        wanted = torch.tensor([self.examples[index].wanted for index in part], device=device)
        return Views(
            plus=sides["plus"],
            minus=sides.get("minus"),
            nulled=sides.get("nulled"),
            wanted=wanted if self.loss.kind == "labelled" else None,
            weights=None if self._weights is None else self._weights[list(part)].to(device),
            advantages=None if self._advantages is None else self._advantages[list(part)].to(device),
            shift=shift,
            progress=progress,
            penalty=_penalty(gates) if gates else None,
        )

    def _texts(self, part: Sequence[int]) -> list[int]:
        """The chosen replies, then the rejected ones."""
        chosen = [self.examples[index].chosen for index in part]
        rejected = [self.examples[index].rejected for index in part]
        return chosen + [each for each in rejected if each is not None]

    def _parts(self, chosen: Sequence[int]) -> list[Sequence[int]]:
        """Examples that one pass takes; whole where all fit, else of similar length together."""
        if self.known.fits(self._texts(chosen), self._tokens):
            return [list(chosen)]
        parts: list[list[int]] = []
        for index in sorted(chosen, key=lambda each: self.known.width(self._texts([each]))):
            if parts and self.known.fits(self._texts([*parts[-1], index]), self._tokens):
                parts[-1].append(index)
            else:
                parts.append([index])
        return list(parts)

    def _shift(self, chosen: Sequence[int]) -> float:
        if self.loss.shift == "running":
            known = [each for each in self.running if not math.isnan(each)]
            return sum(known) / len(known) if known else 0.0
        if self.loss.shift != "mismatched":
            return 0.0
        others = [other for index in chosen if (other := self.examples[index].other) is not None]
        parts = self.known.parts(others, self._tokens)
        return sum(float(self.known.scored(part, self.parameters.plan).ratios.sum()) for part in parts) / len(others)

    def _run_on(self, done: Sequence[tuple[Sequence[int], _Part]]) -> None:
        for side, wanted in enumerate((True, False)):
            rewards = [
                reward
                for part, each in done
                if each.rewards is not None
                for index, reward in zip(part, each.rewards.tolist(), strict=True)
                if self.examples[index].wanted is wanted
            ]
            if rewards:
                new, before = sum(rewards) / len(rewards), self.running[side]
                self.running[side] = new if math.isnan(before) else _STAYS * before + (1 - _STAYS) * new

    def _margin(self, done: Sequence[tuple[Sequence[int], _Part]]) -> float:
        sides: tuple[list[float], list[float]] = [], []
        for part, each in done:
            for index, ratio in zip(part, each.chosen.tolist(), strict=True):
                sides[0 if self.examples[index].wanted else 1].append(ratio)
            sides[1].extend([] if each.rejected is None else each.rejected.tolist())
        means = [sum(side) / len(side) if side else 0.0 for side in sides]
        return means[0] - means[1]


def _gates(plan: Plan) -> list[AddGated]:
    return [write.operation for write in plan if isinstance(write.operation, AddGated)]


def _penalty(gates: Sequence[AddGated]) -> Tensor:
    """What is active where it is not among the most active, mean over tokens and blocks, (row,)."""
    silent = [(active * ~among).sum(dim=1) / gate.real.sum(dim=1) for gate in gates for active, among in gate.seen]
    return torch.stack(silent).mean(dim=0)
