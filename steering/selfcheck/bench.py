"""What the checks work with: the model, random directions, and plain comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.abilities import TOLERANCE
from steering.host import Host
from steering.interventions import Plan, Write
from steering.operations import Add
from steering.prompts import Prompt, render
from steering.rows import Batch
from steering.schedule import Place, Schedule
from steering.tracing import read_prompts


LONG = "Write a few sentences about a quiet village by a river, where people bake bread and repair boats."
SHORT = "Hello there."


class NotApplicable(Exception):
    """Raised by a check that a model gives no occasion for."""


class Failed(Exception):
    """Raised by a check that found a fault; its message says what was measured."""


def random_directions(host: Host, seed: int) -> Tensor:
    """Unit rows, (4, width)."""
    vectors = torch.randn(4, host.info.width, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=-1, keepdim=True)


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
        return TOLERANCE.get(self.model().dtype, TOLERANCE[torch.bfloat16])

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
        apart = self.apart(found, expected)
        said = f"{what} lie {apart:.2g} standard deviations apart, allowed {self.tolerance:g}"
        if not apart <= self.tolerance:
            raise Failed(said)
        return said

    def model(self) -> Any:
        """The bare model."""
        return self.host.model._module

    def bare(self, ids: Sequence[int], **options: Any) -> Any:
        """The model by itself on one row of token ids."""
        own = {"use_cache": False} if "use_cache" in self.host.abilities.accepts else {}
        with torch.no_grad():
            return self.model()(input_ids=torch.tensor([list(ids)], device=self.host.device), **own, **options)

    def apart(self, found: Tensor, expected: Tensor) -> float:
        """How far two sets of logits lie apart, in standard deviations."""
        return float((found - expected).abs().max() / expected.std())

    def blocks(self) -> Any:
        """The bare model's blocks."""
        return self.model().get_submodule(self.host.sites.blocks_path)

    @contextmanager
    def hooked(self, write: Write) -> Iterator[None]:
        """Add what `write` adds at its block's output by a plain PyTorch hook."""
        assert isinstance(write.operation, Add)
        delta = write.operation.strength * write.operation.direction

        def hook(module: Any, inputs: Any, output: Any) -> Any:
            states = output[0] if isinstance(output, tuple | list) else output
            new = (states.float() + delta.to(states.device)).to(states.dtype)
            return type(output)((new, *output[1:])) if isinstance(output, tuple | list) else new

        handle = self.blocks()[write.block].register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()

    @contextmanager
    def watched(self, see: Callable[[int, Tensor], None]) -> Iterator[None]:
        """Show every block's number and output, (row, position, width), by plain PyTorch hooks."""
        handles = [
            block.register_forward_hook(
                lambda module, inputs, output, index=index: see(
                    index, output[0] if isinstance(output, tuple | list) else output
                )
            )
            for index, block in enumerate(self.blocks())
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
