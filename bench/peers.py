"""Steered decoding beside other libraries, each first held against plain hooks, token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from bench.decoding import HOOKS, TEXT, WEAK, WHY, Reference, Setting, ours, pace, settings, task_of
from bench.harness.pairs import often, paired
from bench.harness.row import Aim, BenchRow, skipped
from bench.models import GPU_MODELS, NO_GPU, Model, endless, host, model
from bench.opponents.environments import LIBRARIES, Unavailable
from bench.opponents.player import Failed, Player, unmeasured
from steering.model.prompts import Prompt, render


SECTION = "Steered decoding, other libraries"
PARITY = Aim(1.0)


def rows(quick: bool) -> Iterator[BenchRow]:
    """Library by library; in a short run on the demo alone, one row and greedily."""
    for name in ("demo",) if quick else ("demo", "random 100 M", *GPU_MODELS):
        if name in GPU_MODELS and not torch.cuda.is_available():
            yield skipped(SECTION, name, "steered", "other libraries", NO_GPU)
            continue
        of, prompt = model(name), render(host(name), TEXT)
        chosen = [each for each in settings(of, quick) if not (quick and (each.sampled or each.batch > 1))]
        with endless(host(name)):
            with Player(HOOKS, of.folder) as hooks:
                reference = Reference(name, hooks, prompt)
            yield from _beside_libraries(of, prompt, reference, chosen, quick)


def _beside_libraries(
    of: Model, prompt: Prompt, reference: Reference, chosen: Sequence[Setting], quick: bool
) -> Iterator[BenchRow]:
    found: dict[Setting, list[BenchRow]] = {each: [] for each in chosen}
    for library in LIBRARIES:
        try:
            with Player(library, of.folder) as player:
                if differs := reference.of_player(player):
                    yield BenchRow(SECTION, of.name, "steered", library, note=differs, status="wrong")
                    continue
                for each in chosen:
                    player.prepare(task_of(host(of.name), prompt, each, WEAK))
                    times = paired(ours(of.name, prompt, each), player.run, **often(quick))
                    name = f"{of.name}: {each.words}"
                    found[each].append(times.row(SECTION, name, "steered", library, why=WHY, note=pace(times, each)))
        except (Unavailable, Failed) as error:
            yield unmeasured((SECTION, of.name, "steered", library), error)
    for each in chosen:
        yield from with_fastest(found[each])


def with_fastest(measured: Sequence[BenchRow]) -> list[BenchRow]:
    """Rows of one setting, the aim on the fastest of the opponents: against it, against all."""
    if not measured:
        return []
    fastest = min(measured, key=lambda row: row.value or float("inf"))
    return [
        replace(row, aim=PARITY, opponent=f"{row.opponent} (fastest)") if row is fastest else row for row in measured
    ]
