"""The objective of a verifiable reward: at every step the steered model's own replies, and how good each is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host
from steering.passes.replies import Reply
from steering.training.batches import Measured, Objective
from steering.training.draws import Draws
from steering.training.losses.loss import Loss, Settings
from steering.training.rewards import Sampling
from steering.training.scores import KnownTexts
from steering.training.texts import Example, Texts, turn_end
from steering.training.trainee import Parameters


_NOTHING = 1e-6
"""A spread of rewards that is none."""


class Sampled:
    """A reward on prompts, as a function of the live tensors."""

    def __init__(
        self,
        host: Host,
        texts: Texts,
        parameters: Parameters,
        loss: Loss,
        settings: Settings,
        sampling: Sampling,
        seed: int,
    ) -> None:
        """Nothing is sampled yet.

        Args:
            host: The model.
            texts: What is asked, with the right replies.
            parameters: What is trained.
            loss: By which loss.
            settings: The loss's numbers.
            sampling: How replies are sampled and rewarded.
            seed: Of the draws; those of a step depend on it, the step and the prompt alone.
        """
        self._host = host
        self._prompts = [texts.replied[each.chosen][0] for each in texts.examples]
        self._parameters, self._loss, self._settings = parameters, loss, settings
        self._sampling = sampling
        self._draws = Draws(host, self._prompts, texts.items, sampling, seed)
        self.running: list[float] = []

    def check(self) -> None:
        """Sample replies of the unsteered model once. Call on the model thread.

        Raises:
            SteeringError: All have the same reward, so that nothing says which is better.
        """
        chosen = list(range(min(self._sampling.first, len(self._prompts))))
        _, rewards = self._draws.drawn(chosen, (), "first")
        if float(rewards.max() - rewards.min()) <= _NOTHING:
            raise SteeringError(
                f"The reward is {float(rewards[0, 0]):g} for all {rewards.numel()} replies that were sampled to "
                f"{len(chosen)} prompts.",
                "a reward that differs among the model's own replies: by it they are told apart.",
                "Take easier or harder prompts, another reward, longer replies or a higher temperature.",
            )

    def measured(
        self, chosen: Sequence[int], *, progress: float = 0.0, step: int = 0, gradient: bool = False
    ) -> Measured:
        """Loss and mean reward of replies to some prompts; without a gradient by the same draws every time, and the
        loss is what is missing to a reward of 1. Call on the model thread.

        Args:
            chosen: Which prompts.
            progress: Which share of the steps is done.
            step: By which the draws are told apart.
            gradient: Whether the gradient is worked out.
        """
        plan = self._parameters.plan(torch.ones(1, 1, dtype=torch.bool))
        if not gradient:
            mean = float(self._draws.drawn(chosen, plan, "looked at")[1].mean())
            return Measured(1 - mean, mean)
        replies, rewards = self._draws.drawn(chosen, plan, str(step))
        if self._sampling.shuffled:
            rewards = self._draws.dealt(chosen, rewards, str(step))
        advantages = group_normalised(rewards)
        texts = [
            (self._prompts[index], self._ids(reply))
            for index, own in zip(chosen, replies, strict=True)
            for reply in own
        ]
        told = [place for place, (_, ids) in enumerate(texts) if ids]
        known = KnownTexts(self._host, [texts[place] for place in told], self._parameters.trainee.places)
        known.read()
        objective = Objective(
            known,
            [Example(place) for place in range(len(told))],
            self._parameters,
            self._loss,
            self._settings,
            advantages=advantages.flatten()[told],
        )
        found = objective.measured(range(len(told)), progress=progress, gradient=True)
        return Measured(found.loss, float(rewards.mean()), found.gradient)

    def _ids(self, reply: Reply) -> tuple[int, ...]:
        """A reply's tokens, with the one that ended it."""
        return (*reply.ids, *(turn_end(self._host) if reply.finish == "end" else ()))


def group_normalised(rewards: Tensor) -> Tensor:
    """(r - mean r) / std r over the replies to each prompt, 0 where all have the same reward.

    Args:
        rewards: (prompt, reply).
    """
    spread = rewards.std(dim=1, correction=0, keepdim=True)
    return torch.where(
        spread > _NOTHING, (rewards - rewards.mean(dim=1, keepdim=True)) / spread.clamp(min=_NOTHING), 0.0
    )
