"""Log-probabilities of given replies under a plan that is trained, and without one.

The model below the first block that is written never changes, and neither does what it says without the plan. So both
are read once: the states at that block's input, where all later passes begin, and the reference log-probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import Place, ReadPlace
from steering.passes.activations import batches_by_length
from steering.passes.checkpointed import Back
from steering.passes.exact import rows_at_once
from steering.passes.forced import Replied
from steering.passes.many_plans import from_next_block
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import Start, read_replies, starts
from steering.writes.interventions import Plan


TOKENS = 2048
"""Of a pass, padding included: its graph is kept for every block that is gone back through."""
KEPT = 2**30
"""Bytes of states that are kept; of more texts than that none are, and passes run from the first block."""
PlanOf = Callable[[Tensor], Plan]
"""From which positions hold a token, (row, position), to what is written there."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Log-probabilities of the tokens of given replies, nats; each reply ends at the right."""

    policy: Tensor
    """Under the plan, (row, token); 0 where there is no token."""
    reference: Tensor | None
    """Without it; None where nobody asked."""
    used: Tensor
    """Where there is a token, boolean, (row, token)."""

    @cached_property
    def lengths(self) -> Tensor:
        """Tokens of each reply, (row,)."""
        return self.used.sum(dim=1).to(self.policy.dtype)

    @cached_property
    def sums(self) -> Tensor:
        """log π(y|x), (row,)."""
        return self.policy.sum(dim=1)

    @cached_property
    def means(self) -> Tensor:
        """log π(y|x) / |y|, (row,)."""
        return self.sums / self.lengths

    @cached_property
    def reference_sums(self) -> Tensor:
        """log π₀(y|x), (row,)."""
        assert self.reference is not None
        return self.reference.sum(dim=1)

    @cached_property
    def ratios(self) -> Tensor:
        """log π(y|x) / π₀(y|x), (row,)."""
        return self.sums - self.reference_sums

    def rows(self, chosen: slice) -> Scores:
        """Those of some rows."""
        reference = None if self.reference is None else self.reference[chosen]
        return Scores(self.policy[chosen], reference, self.used[chosen])


class KnownTexts:
    """Texts with what is known of them without any plan."""

    def __init__(self, host: Host, texts: Sequence[Replied], places: Sequence[Place]) -> None:
        """Nothing is read yet.

        Args:
            host: The model.
            texts: Prompts with replies, none of both empty.
            places: Where a plan will write, and where states are looked at.
        """
        self.host, self.texts, self.places = host, texts, tuple(places)
        self.block = first_block(host, places)
        """Where passes begin."""
        self._references: list[Tensor] = [torch.zeros(0)] * len(texts)
        self._states: list[Tensor] = []
        """At the input of `block`, a text each; none where they are not kept."""
        self.pooled = torch.zeros(len(texts), len(self.places), host.info.width)
        """Mean state at each place over the tokens from which the reply is said, float32, (text, place, width)."""
        self.norms = torch.zeros(len(self.places))
        """Mean length of these tokens' states, (place,)."""
        self.prompts = torch.zeros(len(texts), host.info.width)
        """State at the first place and each prompt's last token, float32, (text, width)."""

    def read(self, job: Job[Any] | None = None) -> None:
        """One pass over all texts without any plan. Call on the model thread.

        Args:
            job: Told how far it is.
        """
        lengths = [_tokens(text) for text in self.texts]
        kept = self.block > 0 and sum(lengths) * self.host.info.width * 4 <= KEPT
        self._states = [torch.zeros(0)] * len(self.texts) if kept else []
        done, norms, tokens = 0, torch.zeros(len(self.places)), 0
        for indices in self.parts(range(len(self.texts)), TOKENS):
            length, tokens = self._read(indices, kept), tokens + sum(len(self.texts[index][1]) for index in indices)
            norms += length
            done += len(indices)
            if job is not None:
                job.report(done, len(self.texts), "texts read")
        self.norms = norms / max(1, tokens)

    def _read(self, indices: Sequence[int], kept: bool) -> Tensor:
        """Take in one batch; gives the summed length of its states at each place, (place,)."""
        batch, taken, used = self._batch(indices)
        begin: ReadPlace = (self.block, "block_input")
        found: dict[ReadPlace, Tensor] = {}
        places = list(dict.fromkeys([*self.places, *([begin] if kept else [])]))
        schedule = Schedule(self.host, [()] * len(indices))
        n = used.shape[1]
        logits = read_replies(self.host, batch, schedule, n=n, read=found.__setitem__, places=places)
        policy = _log_probabilities(logits, taken, used)
        sums = torch.zeros(len(self.places))
        for which, place in enumerate(self.places):
            states = found[place][:, -n:].float() * used[..., None].to(found[place].device)
            self.pooled[list(indices), which] = (states.sum(dim=1).cpu() / used.sum(dim=1)[:, None]).float()
            sums[which] = states.norm(dim=-1).sum().cpu()
        firsts = n - used.sum(dim=1)
        self.prompts[list(indices)] = found[self.places[0]][:, -n:].float().cpu()[torch.arange(len(indices)), firsts]
        for row, index in enumerate(indices):
            self._references[index] = policy[row][used[row]].cpu()
            if kept:
                self._states[index] = found[begin][row][batch.real[row]].clone()
        return sums

    def scored(self, indices: Sequence[int], plan_of: PlanOf, *, gradients: Back = False) -> Scores:
        """Log-probabilities of some replies under a plan, in one pass. Call on the model thread.

        Args:
            indices: Which texts, few enough for a pass.
            plan_of: What is written in all of their rows.
            gradients: Whether tensors of the plan are to get gradients, and what is kept for that.
        """
        logits, taken, used = self.logits(indices, plan_of, gradients=gradients)
        with torch.set_grad_enabled(bool(gradients)):
            policy = _log_probabilities(logits, taken, used)
        return Scores(policy, self.reference(indices).to(policy.device), used.to(policy.device))

    def logits(
        self, indices: Sequence[int], plan_of: PlanOf, *, gradients: Back = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is said at every token of some replies under a plan, in one pass: float32, (row, token, vocabulary),
        with the tokens that the replies have and where they are, (row, token). Call on the model thread.
        """
        batch, taken, used = self._batch(indices)
        plan = from_next_block(self.host, plan_of(batch.real)) if self.block else plan_of(batch.real)
        schedule = Schedule(self.host, [plan] * len(indices))
        start = self._start(indices, batch) if self._states else None
        logits = read_replies(self.host, batch, schedule, n=used.shape[1], start=start, gradients=gradients)
        return logits, taken, used

    def reference(self, indices: Sequence[int]) -> Tensor:
        """Log-probabilities without a plan, on the CPU, (row, token), each reply at the right end."""
        longest = max(len(self._references[index]) for index in indices)
        return torch.stack(
            [functional.pad(self._references[index], (longest - len(self._references[index]), 0)) for index in indices]
        )

    def parts(self, indices: Sequence[int], tokens: int) -> list[list[int]]:
        """Texts in batches of similar length, each few enough for a pass without a graph."""
        chosen, found = list(indices), []
        for part in batches_by_length([_tokens(self.texts[index]) for index in chosen], tokens):
            longest = max(len(self.texts[chosen[place]][1]) for place in part)
            most = rows_at_once(longest * self.host.info.vocabulary, len(part))
            own = [chosen[place] for place in part]
            found += [own[begin : begin + most] for begin in range(0, len(own), most)]
        return found

    def width(self, indices: Sequence[int]) -> int:
        """Tokens of the longest of some texts, as a pass has them."""
        return max(_tokens(self.texts[index]) for index in indices)

    def fits(self, indices: Sequence[int], tokens: int = TOKENS) -> bool:
        """Whether so many texts are few enough for one pass with a graph."""
        width = self.width(indices)
        longest = max(len(self.texts[index][1]) for index in indices)
        most = rows_at_once(longest * self.host.info.vocabulary, len(indices))
        return len(indices) <= 1 or (len(indices) * width <= tokens and most == len(indices))

    def _batch(self, indices: Sequence[int]) -> tuple[Batch, Tensor, Tensor]:
        """Rows that end before their reply's last token, which says nothing of itself; the tokens of the replies and
        where they are, (row, token).
        """
        texts = [self.texts[index] for index in indices]
        batch = Batch.of(self.host, [prompt for prompt, _ in texts], replies=[ids[:-1] for _, ids in texts])
        longest = max(len(ids) for _, ids in texts)
        taken = torch.tensor([[*[0] * (longest - len(ids)), *ids] for _, ids in texts])
        used = torch.arange(longest) >= longest - torch.tensor([len(ids) for _, ids in texts])[:, None]
        return batch, taken, used

    def _start(self, indices: Sequence[int], batch: Batch) -> Start:
        width = batch.ids.shape[1]
        padded = [functional.pad(self._states[index], (0, 0, width - len(self._states[index]), 0)) for index in indices]
        return Start(self.block, torch.stack(padded))


def first_block(host: Host, places: Sequence[Place]) -> int:
    """The block at whose input passes under plans that write at some places can begin; 0 where they run whole. What is
    written at a block's output is written at the next one's input, which is the same place where blocks are linked.
    """
    if not starts(host):
        return 0
    lowest = min(block for block, _ in places)
    at_end = all(site == "block_output" for block, site in places if block == lowest)
    return lowest + 1 if at_end and host.sites.linked and lowest + 1 < host.info.blocks else lowest


def _tokens(text: Replied) -> int:
    return len(text[0]) + len(text[1]) - 1


def _log_probabilities(logits: Tensor, taken: Tensor, used: Tensor) -> Tensor:
    """Of the tokens taken, (row, token); 0 where none is. Only these places go through the softmax."""
    taken, used = taken.to(logits.device), used.to(logits.device)
    found = -functional.cross_entropy(logits[used], taken[used], reduction="none")
    return torch.zeros(used.shape, dtype=found.dtype, device=found.device).masked_scatter(used, found)
