"""Many plans over the same few prompts, as rows of shared batches, from known states where nothing is written below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace
from steering.passes.rows import Batch
from steering.passes.schedule import Place, Schedule
from steering.passes.tracing import Start, read_prompts
from steering.writes.interventions import Plan


OfLogits = Callable[[Tensor, Tensor], Tensor]
"""From logits of some prompts under one plan, and unsteered, (prompt, vocabulary) each, to a number a prompt."""
AT_ONCE = 4
"""Plans that share a batch."""
_PROMPTS = 32
"""Prompts of similar length that do."""
_PADDED = 1.3
"""How many times the tokens of its prompts a batch may have as places: every plan would read the padding again, while
two smaller batches cost little more than one.
"""


class Passes:
    """Prompts that are read under one plan after the other. Call on the model thread."""

    def __init__(self, host: Host, prompts: Sequence[Prompt], *, keep_inputs: bool = False) -> None:
        """Take some prompts; they are read once, unsteered, when something is first asked of them.

        Args:
            host: The model.
            prompts: Any number.
            keep_inputs: Whether to keep the states at every block's input, so that `run` may begin there, and the
                unsteered logits, so that others can be compared with them.
        """
        self._host, self._prompts, self._keep = host, prompts, keep_inputs

    @cached_property
    def outputs(self) -> Tensor:
        """Unsteered states after every block at the last token, (prompt, block, width)."""
        return self._in_order([bucket.outputs for bucket in self._buckets])

    def run(
        self, plans: Sequence[Plan], blocks: Sequence[int], of: OfLogits, *, from_block: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Read every prompt under every plan.

        Args:
            plans: Read together, so few: `AT_ONCE`.
            blocks: Whose output is wanted at the last token.
            of: What to make of the logits at the last token, which are not kept.
            from_block: No plan writes below; the blocks below do not run.

        Returns:
            What `of` makes of them, (plan, prompt), and states, (plan, prompt, block, width).
        """
        passes = (self._pass(bucket, plans, blocks, of, from_block) for bucket in self._buckets)
        values, states = zip(*passes, strict=True)
        order = self._order
        return torch.cat(values, dim=1)[:, order], torch.cat(states, dim=1)[:, order]

    def _pass(
        self, bucket: _Bucket, plans: Sequence[Plan], blocks: Sequence[int], of: OfLogits, from_block: int
    ) -> tuple[Tensor, Tensor]:
        n, rows = len(plans), len(bucket.indices)
        start = Start(from_block, bucket.inputs[from_block].repeat(n, 1, 1)) if from_block else None
        schedule = Schedule(self._host, [plan for plan in plans for _ in range(rows)])
        kept: dict[ReadPlace, Tensor] = {}
        places: list[Place] = [(block, "block_output") for block in blocks if block >= from_block]
        forward = read_prompts(
            self._host,
            bucket.batch.repeated(n),
            schedule,
            read=lambda place, states: kept.update({place: states[:, -1].float()}),
            places=places,
            start=start,
        )
        read = [
            kept[block, "block_output"].cpu() if block >= from_block else bucket.outputs[:, block].repeat(n, 1)
            for block in blocks
        ]
        nothing = torch.zeros(n * rows, 0, self._host.info.width)
        states = torch.stack(read, dim=1) if read else nothing
        values = [of(logits, bucket.logits) for logits in forward.logits.unflatten(0, (n, rows))]
        return torch.stack(values), states.unflatten(0, (n, rows))

    @cached_property
    def _buckets(self) -> list[_Bucket]:
        lengths = [len(prompt) for prompt in self._prompts]
        groups: list[list[int]] = []
        for index in sorted(range(len(lengths)), key=lengths.__getitem__):  # so that each is the longest of its batch
            together = [*groups[-1], index] if groups else [index]
            places, tokens = lengths[index] * len(together), sum(lengths[each] for each in together)
            if groups and len(together) <= _PROMPTS and places <= _PADDED * tokens:
                groups[-1] = together
            else:
                groups.append([index])
        return [self._read(group) for group in groups]

    @cached_property
    def _order(self) -> Tensor:
        return torch.tensor([index for bucket in self._buckets for index in bucket.indices]).argsort()

    def _in_order(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts))[self._order]

    def _read(self, indices: list[int]) -> _Bucket:
        blocks = range(self._host.info.blocks)
        batch = Batch.of(self._host, [self._prompts[index] for index in indices])
        kept: dict[ReadPlace, Tensor] = {}

        def read(place: ReadPlace, states: Tensor) -> None:
            kept[place] = states.clone() if place[1] == "block_input" else states[:, -1].float().cpu()

        places: list[Place] = [(block, "block_output") for block in blocks]
        places += [(block, "block_input") for block in blocks if self._keep]
        schedule = Schedule(self._host, [()] * len(indices))
        logits = read_prompts(self._host, batch, schedule, read=read, places=places).logits
        inputs = [kept[block, "block_input"] for block in blocks if self._keep]
        outputs = torch.stack([kept[b, "block_output"] for b in blocks], dim=1)
        return _Bucket(indices, batch, inputs, outputs, logits if self._keep else logits[:0])


@dataclass(frozen=True, eq=False)
class _Bucket:
    """Prompts of similar length, and an unsteered pass over them."""

    indices: list[int]
    batch: Batch
    inputs: list[Tensor]
    """At the input of every block, (prompt, position, width), in the model's precision, on its device; or none."""
    outputs: Tensor
    """After every block at the last token, float32, (prompt, block, width)."""
    logits: Tensor
    """float32, on the model's device, (prompt, vocabulary); none where nothing is compared with them."""
