"""What the checks work with: the model, random directions, and plain comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.host import Host
from steering.interventions import Plan, Write
from steering.operations import Add
from steering.prompts import Prompt, render
from steering.rows import Batch
from steering.schedule import Place, Schedule
from steering.tracing import read_prompts


LONG = "Write a few sentences about a quiet village by a river, where people bake bread and repair boats."
SHORT = "Hello there."
_TOLERANCE = {"float32": 2e-3, "float16": 0.05, "bfloat16": 0.2}
"""How far logits may lie apart, in their own standard deviations: rounding, carried through all blocks."""


class NotApplicable(Exception):
    """Raised by a check that a model gives no occasion for."""


class Failed(Exception):
    """Raised by a check that found a fault; its message says what was measured."""


@dataclass(frozen=True)
class Bench:
    """What the checks work with."""

    host: Host
    directions: Tensor
    """Random unit rows, (n, width)."""

    @property
    def block(self) -> int:
        """A block in the middle."""
        return self.host.info.blocks // 2

    @property
    def tolerance(self) -> float:
        return _TOLERANCE.get(self.host.info.dtype, 0.2)

    def prompt(self, text: str) -> Prompt:
        return render(self.host, text)

    def states(self, plan: Plan = (), text: str = LONG) -> dict[Place, Tensor]:
        """States at every place the model has, float32 on the CPU, (position, width), after any write."""
        found: dict[Place, Tensor] = {}
        batch = Batch.of(self.host, [self.prompt(text)])
        places = self.host.sites.places

        def read(place: Place, states: Tensor) -> None:
            found[place] = states[0].float().cpu()

        read_prompts(self.host, batch, Schedule(self.host, [plan]), read=read, places=places)
        return found

    def push(self, index: int = 0) -> Plan:
        """An addition in the middle, half as long as the states there: nothing that rounding could hide."""
        length = 0.5 * float(self.states()[self.block, "block_output"].norm(dim=-1).mean())
        return (Write(Add(self.directions[index], length), self.block, "block_output"),)

    def logits(self, prompts: list[Prompt], plans: list[Plan]) -> Tensor:
        """Logits of the first reply token, float32 on the CPU, (row, vocabulary)."""
        return read_prompts(self.host, Batch.of(self.host, prompts), Schedule(self.host, plans)).logits.cpu()

    def same(self, found: Tensor, expected: Tensor, what: str) -> str:
        """How far two sets of logits lie apart, in words; raises where it is too far."""
        apart = float((found - expected).abs().max() / expected.std())
        said = f"{what} lie {apart:.2g} standard deviations apart, allowed {self.tolerance:g}"
        if not apart <= self.tolerance:
            raise Failed(said)
        return said

    def model(self) -> Any:
        """The bare model."""
        return self.host.model._module

    def bare(self, prompt: Prompt, **options: Any) -> Any:
        """The model by itself on one prompt."""
        ids = torch.tensor([prompt.ids], device=self.host.device)
        with torch.no_grad():
            return self.model()(input_ids=ids, **options)
