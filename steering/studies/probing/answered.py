"""Statements with both answers, read in one batch: a part that any process can read that has the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from steering.lane import Job
from steering.model.caches import repeated
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.sites import ReadPlace
from steering.parts.part import Alone
from steering.passes.rows import Batch
from steering.passes.schedule import Place, Schedule
from steering.passes.tracing import read_on, read_prompts
from steering.store import Kept
from steering.studies.probing.templates import Runs


@dataclass(frozen=True, eq=False)
class Answered(Alone):
    """The states of some statements' read tokens: what is found is `rows`, `states`, float16, (place, 2, statement,
    width), each divided by its largest entry, and that entry as `scales`, float32, (place, 2, statement).
    """

    rows: tuple[int, ...]
    """Which statements, of all."""
    runs: tuple[Runs, ...]
    """Theirs; all share equally many tokens."""
    places: tuple[Place, ...]

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Read them."""
        states = np.zeros((len(self.places), 2, len(self.rows), host.info.width), np.float16)
        scales = np.zeros(states.shape[:-1], np.float32)
        for index, found in enumerate(_both(host, self.runs, self.places)):
            with np.errstate(invalid="ignore", over="ignore"):
                largest = np.abs(found).max(axis=-1)
                scales[index] = np.where(largest > 0, largest, 1)
                states[index] = found / scales[index][..., None]
        kept[f"{self.rows[0]}"] = {"rows": list(self.rows), "states": states, "scales": scales}
        yield len(self.rows)

    def pieces(self, host: Host) -> tuple[Answered]:
        """Itself: a state's digits may depend on what stands beside it."""
        return (self,)


def _both(host: Host, runs: Sequence[Runs], places: Sequence[Place]) -> Iterator[np.ndarray]:
    """States of a batch at the read tokens, (2, statement, width), place after place."""
    shared = runs[0].shared
    prompts = [prompt for run in runs for prompt in (run.no, run.yes)]
    positions = torch.tensor([position for run in runs for position in run.read])
    found: dict[ReadPlace, Tensor] = {}

    def reader(before: int, offsets: Tensor | None = None) -> object:
        def read(place: ReadPlace, states: Tensor) -> None:
            at = positions - before + (0 if offsets is None else offsets)
            found[place] = states[torch.arange(len(states)), at.to(states.device)].float()

        return read

    both = Schedule(host, [()] * len(prompts))
    if shared and host.abilities.shares:
        heads = Batch.of(host, [_part(run.no, 0, shared) for run in runs], "right")
        _, begun = read_on(host, heads, Schedule(host, [()] * len(runs)))
        rests = Batch.of(host, [_part(prompt, shared, len(prompt)) for prompt in prompts], "right")
        read_on(host, rests, both, cache=repeated(begun, 2), length=shared, read=reader(shared), places=places)  # type: ignore[arg-type]
    else:
        whole = Batch.of(host, prompts)
        read_prompts(host, whole, both, read=reader(0, whole.first), places=places)  # type: ignore[arg-type]
    for place in places:
        yield found[place].cpu().reshape(len(runs), 2, -1).transpose(0, 1).numpy()


def _part(prompt: Prompt, start: int, end: int) -> Prompt:
    return Prompt(prompt.text, prompt.ids[start:end], prompt.roles[start:end], prompt.tokens[start:end])
