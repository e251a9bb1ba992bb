"""Replies that are drawn for a reward: of the steered model, the same for the same seed, and what each is worth."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings, Reply
from steering.passes.rows import Row
from steering.store import digest
from steering.training.rewards import Sampling
from steering.training.texts import Given
from steering.writes.interventions import Plan


_BATCH = 64
_SEEDS = 2**31


class Draws:
    """Prompts that are answered under one plan or another. Call on the model thread."""

    def __init__(
        self, host: Host, prompts: Sequence[Prompt], items: Sequence[Given], sampling: Sampling, seed: int
    ) -> None:
        """
        Args:
            host: The model.
            prompts: What is asked.
            items: What each is of, with the right reply.
            sampling: How replies are sampled and rewarded.
            seed: Of the draws; each hangs on it, what they are for, the prompt's index and its own number alone.
        """
        self._host, self._prompts, self._items = host, prompts, items
        self._sampling, self._seed = sampling, seed

    def drawn(self, chosen: Sequence[int], plan: Plan, what: str) -> tuple[list[list[Reply]], Tensor]:
        """Several replies to each of some prompts, and their rewards, (prompt, reply).

        Args:
            chosen: Which prompts.
            plan: Under what.
            what: Tells these draws from others of the same prompts.
        """
        how, n = self._sampling, self._sampling.replies
        asked = [(index, number) for index in chosen for number in range(n)]
        settings = [
            DecodeSettings(
                max_new_tokens=how.tokens,
                temperature=how.temperature,
                seed=int(digest("reward", self._seed, what, index, number)[:8], 16) % _SEEDS,
            )
            for index, number in asked
        ]
        rows = [Row(self._prompts[index], plan) for index, _ in asked]
        said = generate(self._host, rows, settings, batch_size=_BATCH)
        rewards = [how.of(self._items[index], reply.answer) for (index, _), reply in zip(asked, said, strict=True)]
        replies = [list(said[start : start + n]) for start in range(0, len(said), n)]
        return replies, torch.tensor(rewards).reshape(len(chosen), n)

    def dealt(self, chosen: Sequence[int], rewards: Tensor, what: str) -> Tensor:
        """The rewards of each prompt's replies given to its replies at random: as many are as good, and nothing says
        which.

        Args:
            chosen: Which prompts.
            rewards: (prompt, reply).
            what: As the draws' own.
        """
        orders = []
        for index in chosen:
            order = list(range(rewards.shape[1]))
            Random(f"dealt {self._seed} {what} {index}").shuffle(order)
            orders.append(order)
        return rewards.gather(1, torch.tensor(orders))

    def greedy(self, chosen: Sequence[int], plan: Plan) -> Tensor:
        """Rewards of the likeliest reply to each of some prompts, (prompt,)."""
        rows = [Row(self._prompts[index], plan) for index in chosen]
        said = generate(self._host, rows, DecodeSettings(max_new_tokens=self._sampling.tokens), batch_size=_BATCH)
        return torch.tensor(
            [self._sampling.of(self._items[index], reply.answer) for index, reply in zip(chosen, said, strict=True)]
        )
