"""Reading states and extracting vectors, beside bare forward passes over the same tokens and beside other libraries.

An opponent's vectors are first held against states that plain hooks read, prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.harness.pairs import clocked, often, paired
from bench.harness.row import Aim, BenchRow, skipped
from bench.models import GPU_MODELS, NO_GPU, Model, host, model
from bench.opponents.environments import Unavailable
from bench.opponents.player import Failed, Player, unmeasured
from steering.extraction.extract import extract
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.passes.activations import DEFAULT_TOKEN_BUDGET, batches_by_length, read_states
from steering.texts.contrast import ContrastSet


SECTION = "Reading states and extraction"
SYSTEM = "You are a careful assistant. " * 20
"""A long system prompt, which every prompt then begins with."""
SET = "formality"
ALIKE = 0.999
"""Least cosine of an opponent's direction and the one that the hooks' states give; both are of float32 passes."""
WHY = (
    "Beside the passes, an extraction renders prompts, adds moments up in float64 and measures every block on prompts "
    "that it was not fitted on."
)
Sides = tuple[list[Prompt], list[Prompt]]


def rows(quick: bool) -> Iterator[BenchRow]:
    """Beside bare passes, then beside the libraries, model by model; in a short run these on the demo alone, since they
    work out logits at every token of every prompt.
    """
    for name in ("demo", "random 100 M", *GPU_MODELS):
        if name in GPU_MODELS and not torch.cuda.is_available():
            yield skipped(SECTION, name, "extract", "bare forward passes", NO_GPU)
            continue
        sides = prompts(host(name))
        with Player("raw hooks", model(name).folder) as hooks:
            yield from _beside_bare(host(name), hooks, sides, quick)
            if not quick or name == "demo":
                yield from _libraries(model(name), hooks, sides, quick)


def prompts(of: Host, system: str = "") -> Sides:
    """Those that an extraction from one contrast set reads, positive and negative."""
    contrast = ContrastSet.load(SET)
    before = (Message("system", system),) if system else ()

    def side(which: Any) -> list[Prompt]:
        said = [each.messages for split in ("train", "validation") for each in contrast.side(which, split)]
        return [render(of, [*before, *messages]) for messages in said]

    return side("positive"), side("negative")


def _beside_bare(of: Host, hooks: Player, sides: Sides, quick: bool) -> Iterator[BenchRow]:
    contrast = ContrastSet.load(SET)
    given, behind = ([*side[0], *side[1]] for side in (sides, prompts(of, SYSTEM)))
    works = [
        ("states read", lambda: read_states(of, given), given, None),
        ("whole extraction", lambda: extract(of, contrast), given, Aim(0.95)),
        ("states read behind a long system prompt", lambda: read_states(of, behind), behind, None),
    ]
    for what, ours, read, aim in works[:2] if quick else works:
        hooks.prepare({"kind": "bare", "batches": _batches(read)})
        found = paired(clocked(ours), hooks.run, **often(quick))
        note = f"ours {len(read) / found.ours:,.0f} prompts/s"
        yield found.row(SECTION, f"{of.name}: {what}", what, "bare forward passes", aim=aim, note=note, why=WHY)


def _batches(given: Sequence[Prompt]) -> list[list[list[int]]]:
    grouped = batches_by_length([len(prompt) for prompt in given], DEFAULT_TOKEN_BUDGET)
    return [[list(given[index].ids) for index in indices] for indices in grouped]


def _libraries(of: Model, hooks: Player, sides: Sides, quick: bool) -> Iterator[BenchRow]:
    own, contrast = host(of.name), ContrastSet.load(SET)
    states = _states(hooks, sides)
    begins = own.tokenizer.bos_token  # which their tokenizer puts before a text by itself
    texts = [[prompt.text.removeprefix(begins) for prompt in side] for side in sides]
    for library in ("steering-vectors", "repeng"):
        about = (SECTION, f"{of.name}: whole extraction", "extract", library)
        try:
            with Player(library, of.folder) as player:
                player.prepare({"kind": "extract", "positive": texts[0], "negative": texts[1]})
                player.run()
                least, note = _alike(library, player.result(), states)
                if least < ALIKE:
                    yield BenchRow(*about, note=f"cosine with the hooks' direction {least:.3f}", status="wrong")
                    continue
                found = paired(clocked(lambda: extract(own, contrast)), player.run, warm=0, **often(quick))
                yield found.row(*about, aim=Aim(2.0), note=note, why=WHY)
        except (Unavailable, Failed) as error:
            yield unmeasured(about, error)


def _states(hooks: Player, sides: Sides) -> list[Tensor]:
    """States at the last token as plain hooks read them, of either side, (prompt, block, width), float64."""
    found = []
    for side in sides:
        hooks.prepare({"kind": "states", "prompts": [list(prompt.ids) for prompt in side]})
        hooks.run()
        found.append(torch.tensor(hooks.result(), dtype=torch.float64))
    return found


def _alike(library: str, directions: Mapping[str, Sequence[float]], states: Sequence[Tensor]) -> tuple[float, str]:
    """Least cosine over blocks of a library's direction and the same of the hooks' states, and a note."""
    differences = states[0] - states[1]
    last = differences.shape[1] - 1
    cosines, beside = [], []
    for block, found in directions.items():
        if library == "repeng" and int(block) == last:
            continue  # it reads the last block behind the final norm
        given = torch.tensor(found, dtype=torch.float64)
        mean = differences[:, int(block)].mean(dim=0)
        right = _component(differences[:, int(block)]) if library == "repeng" else mean
        cosines.append(abs(_cosine(given, right)))
        beside.append(abs(_cosine(given, mean)))
    if library != "repeng":
        return min(cosines), "mean difference"
    note = (
        f"its principal component of centred differences: cosine with their mean {min(beside):.2f} to {max(beside):.2f}"
    )
    return min(cosines), note


def _component(differences: Tensor) -> Tensor:
    centred = differences - differences.mean(dim=0)
    return torch.linalg.svd(centred, full_matrices=False).Vh[0]


def _cosine(first: Tensor, second: Tensor) -> float:
    return float(first @ second / (first.norm() * second.norm()))
