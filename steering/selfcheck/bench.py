"""What the checks work with: the model, random directions, and plain comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steering.lane import whole
from steering.model.abilities import TOLERANCE
from steering.model.host import Host
from steering.model.prompts import Prompt, render
from steering.model.sites import ReadPlace
from steering.passes.rows import Batch
from steering.passes.schedule import Schedule
from steering.passes.tracing import read_prompts
from steering.writes.interventions import Plan, Write
from steering.writes.operations import Add


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

    def states(self, plan: Plan = (), text: str = LONG) -> dict[ReadPlace, Tensor]:
        """States at every place the model has, float32 on the CPU, (position, width), after any write."""
        found: dict[ReadPlace, Tensor] = {}
        batch = Batch.of(self.host, [self.prompt(text)])
        places = self.host.sites.places

        def read(place: ReadPlace, states: Tensor) -> None:
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

    def same_steps(self, steps: Tensor, whole: Tensor, prompt: Prompt, ids: Sequence[int], write: Write | None) -> str:
        """How far logits of steps with the cache lie from those of whole passes, in words.

        In some models' own code the two are not the same (Nemotron-H limits its time steps from below in a whole pass
        and not in a step). Then either must be what the bare model gives in that way under a plain hook.

        Args:
            steps: At the last tokens, the prompt's last one included or not, (step, vocabulary).
            whole: The same, of a pass over the whole text.
            prompt: The prompt.
            ids: The tokens behind it.
            write: What was added.

        Raises:
            Failed: They lie too far apart, and not as they do in the model by itself.
        """
        said = f"logits of {len(ids)} step{'' if len(ids) == 1 else 's'} with the cache and without"
        apart = self.apart(steps, whole)
        if apart <= self.tolerance or self.host.abilities.cache is None:
            return self.same(steps, whole, said)
        with self.hooked(write) if write else nullcontext():
            own, own_whole = self._own_steps(prompt.ids, ids), self.bare([*prompt.ids, *ids]).logits[0].float().cpu()
        self.same(whole, own_whole[-len(whole) :], "logits of a whole pass and of the model's own")
        as_own = self.same(steps, own[-len(steps) :], "logits of steps and of the model's own steps")
        return f"{said} lie {apart:.2g} standard deviations apart by the model's own code; {as_own}"

    def _own_steps(self, prompt: Sequence[int], ids: Sequence[int]) -> Tensor:
        """The bare model's logits at a prompt's end and behind each token, with what it remembers of those before."""
        can, device, rows, known = self.host.abilities, self.host.device, [], 0
        assert can.cache is not None
        remembered: dict[str, Any] = {}
        for new in (list(prompt), *([token] for token in ids)):
            seen = known + len(new)
            given = {
                "attention_mask": torch.ones(1, seen, dtype=torch.long, device=device),
                "position_ids": torch.arange(known, seen, device=device)[None],
                "use_cache": True,
            }
            takes = can.accepts if not known or can.masks_steps else can.accepts - {"attention_mask"}
            options = {name: value for name, value in given.items() if name in takes}
            with torch.no_grad():
                output = self.model()(input_ids=torch.tensor([new], device=device), **options, **remembered)
            remembered, known = {can.cache: getattr(output, can.cache)}, seen
            rows.append(output.logits[0, -1].float().cpu())
        return torch.stack(rows)

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

        with whole():  # other jobs' passes would run through the hook
            handle = self.blocks()[write.block].register_forward_hook(hook)
            try:
                yield
            finally:
                handle.remove()

    @contextmanager
    def watched(self, see: Callable[[int, Tensor], None]) -> Iterator[None]:
        """Show every block's number and output, (row, position, width), by plain PyTorch hooks."""
        with whole():  # as in `hooked`
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
