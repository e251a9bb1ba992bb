"""The self-check in its short form: four passes over two short texts, made at every load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from steering.errors import SteeringError
from steering.model.host import Host, cause
from steering.model.outcome import Check
from steering.model.prompts import Prompt, render_text
from steering.model.sites import ReadPlace
from steering.passes.rows import Batch
from steering.passes.schedule import Place, Schedule
from steering.passes.tracing import read_prompts, read_token
from steering.selfcheck.bench import LONG, SHORT, Bench, Failed, NotApplicable, random_directions
from steering.selfcheck.checks import CHECKS, room
from steering.writes.interventions import Write
from steering.writes.operations import Add


def short_check(host: Host, *, seed: int = 0) -> tuple[Check, ...]:
    """Hold one batch and one step, steered and unsteered rows of two lengths, against the model by itself with plain
    hooks. Call on the model thread.

    Args:
        host: The model; it is left as it was.
        seed: Of the random direction that is written.
    """
    passes = _Passes(Bench(host, random_directions(host, seed)))
    return tuple(_outcome(name, check, passes) for name, check in _SHORT.items())


@dataclass(eq=False)
class _Passes:
    """What the bare model gives, once plain and once with a hook, and what the workbench gives: each read when it is
    first asked for.
    """

    bench: Bench

    @cached_property
    def prompts(self) -> tuple[Prompt, Prompt]:
        """A short one and a longer one; without the template where it refuses a user's message."""
        try:
            return self.bench.prompt(SHORT), self.bench.prompt(LONG)
        except SteeringError:
            return render_text(self.bench.host, SHORT), render_text(self.bench.host, LONG)

    @property
    def whole(self) -> list[int]:
        """The short prompt with a token behind it."""
        short, long = self.prompts
        return [*short.ids, long.ids[len(long) // 2]]

    @cached_property
    def plain(self) -> tuple[Tensor, list[Tensor]]:
        """Logits at the prompt's last token and behind it, and every block's output at the prompt's tokens."""
        found: list[Tensor] = []
        with self.bench.watched(lambda block, states: found.append(states[0, :-1].float().cpu())):
            logits = self.bench.bare(self.whole).logits[0, -2:].float().cpu()
        return logits, found

    @cached_property
    def write(self) -> Write:
        """An addition in the middle, half as long as the states there: nothing that rounding could hide."""
        length = 0.5 * float(self.plain[1][self.bench.block].norm(dim=-1).mean())
        return Write(Add(self.bench.directions[0], length), self.bench.block, "block_output")

    @cached_property
    def hooked(self) -> Tensor:
        """As `plain`'s logits, with the addition made by a plain hook."""
        with self.bench.hooked(self.write):
            return self.bench.bare(self.whole).logits[0, -2:].float().cpu()

    @cached_property
    def traced(self) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The workbench's logits of (unsteered, steered, longer unsteered) rows in one batch, after the prompt and
        after a step, and every block's output of the first row.
        """
        host, (short, long) = self.bench.host, self.prompts
        batch = Batch.of(host, [short, short, long])
        schedule, found = Schedule(host, [(), (self.write,), ()]), []

        def read(place: ReadPlace, states: Tensor) -> None:
            found.append(states[0, -len(short) :].float().cpu())

        places: list[Place] = [(block, "block_output") for block in range(host.info.blocks)]
        forward = read_prompts(host, batch, schedule, read=read, places=places)
        seen = torch.cat([batch.real, torch.ones(3, 1, dtype=torch.bool)], dim=1)
        step = read_token(host, torch.tensor([self.whole[-1]] * 3), seen, forward.cache, schedule)
        return forward.logits.cpu(), step.logits.cpu(), found


def _hook_parity(passes: _Passes) -> str:
    bench = passes.bench
    if bench.apart(passes.hooked[0], passes.plain[0][0]) <= bench.tolerance:
        raise Failed("the hook changed nothing, so that nothing was compared")
    return bench.same(passes.traced[0][1], passes.hooked[0], "logits by a plain hook and by a plan")


def _rows(passes: _Passes) -> str:
    said = "logits of an unsteered row beside a steered one and a longer one, and of the model by itself,"
    return passes.bench.same(passes.traced[0][0], passes.plain[0][0], said)


def _steps(passes: _Passes) -> str:
    steps, bench, (prompt, _) = passes.traced[1], passes.bench, passes.prompts
    wholes = ((passes.plain[0][1:], None), (passes.hooked[1:], passes.write))
    said = [
        bench.same_steps(steps[row : row + 1], whole, prompt, passes.whole[-1:], write)
        for row, (whole, write) in enumerate(wholes)
    ]
    return said[-1]


def _block_index(passes: _Passes) -> str:
    plain, read = passes.plain[1], passes.traced[2]
    if len(plain) != len(read):
        raise Failed(f"a pass ran {len(plain)} times through blocks, {len(read)} were read")
    for block, (own, expected) in enumerate(zip(read, plain, strict=True)):
        if not float((own - expected).abs().max() / expected.abs().max()) <= passes.bench.tolerance:
            raise Failed(f"the states read at block {block} are not those that a plain hook sees there")
    return f"states read at {len(read)} blocks are those that plain hooks see"


def _overflow(passes: _Passes) -> str:
    return room(passes.bench, max(float(states.abs().max()) for states in passes.plain[1]))


_SHORT: dict[str, Callable[[_Passes], str]] = {
    "hook parity": _hook_parity,
    "rows": _rows,
    "decoding steps": _steps,
    "block index": _block_index,
    "overflow": _overflow,
    "template": lambda passes: CHECKS["template"][1](passes.bench),
}
"""The names are those of the whole self-check, of which each looks at less."""


def _outcome(name: str, check: Callable[[_Passes], str], passes: _Passes) -> Check:
    meaning = CHECKS[name][0]
    try:
        return Check(name, "pass", meaning, check(passes))
    except NotApplicable as reason:
        return Check(name, "not applicable", meaning, str(reason))
    except (Failed, SteeringError) as reason:
        return Check(name, "fail", meaning, str(reason))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # a fault in the model's own code says as much as a wrong number
        return Check(name, "fail", meaning, cause(error))
