"""A sweep of strengths over questions by letter, beside the plain loop with hooks and beside other libraries.

21 strengths x 100 questions x one vector at the middle block of the demo, each side with the same batches of 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.harness.pairs import clocked, paired
from bench.harness.row import Aim, BenchRow
from bench.models import host, model, random_direction
from bench.opponents.environments import Unavailable
from bench.opponents.player import Failed, Player, unmeasured
from bench.plain_sweep import plain_chances
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.passes.many_plans import Given, read_many
from steering.texts.questions import Question, first_tokens, load_questions
from steering.writes.interventions import Plan, Write
from steering.writes.operations import Add


SECTION = "Sweep of strengths over questions by letter"
STRENGTHS = [float(value) for value in np.linspace(-4, 4, 21).round(10)]
QUESTIONS, SHOTS = 100, 5
"""Questions, and those with their answers before each, as MMLU is often asked."""
CLOSE = 1e-4
"""Most by which an opponent's probability may differ from the plain loop's: float32 passes of other batches."""
WHY = "What is saved are the blocks below the write, of which a model with a large head has few in its whole time."


def rows(quick: bool) -> Iterator[BenchRow]:
    """Every model and length of prompt; at a real vocabulary fewer of both, since a plain loop takes an hour there, and
    fewer yet in a short run.
    """
    few: dict[str, Any] = {"strengths": STRENGTHS[::4], "questions": 32}
    if quick:
        yield from _sweep("demo", 0, 1, **few)
        return
    yield from _sweep("demo", 0, 5)
    yield from _sweep("demo", SHOTS, 5)
    yield from _sweep("random 100 M", 0, 3, **few)


def _sweep(
    name: str, shots: int, rounds: int, strengths: Sequence[float] = STRENGTHS, questions: int = QUESTIONS
) -> Iterator[BenchRow]:
    own, demo = host(name), host("demo")
    prompts, block = prompts_of(demo, shots, questions), own.info.blocks // 2
    letters, direction = first_tokens(demo, "ABCD"), random_direction(own.info.width)
    module, ids = own.model._module, [prompt.ids for prompt in prompts]
    ours = clocked(lambda: swept(own, prompts, direction, block, letters, strengths))

    def loop() -> Tensor:
        return plain_chances(module, module.model.layers[block], direction, strengths, ids, letters)

    right, apart = loop(), swept(own, prompts, direction, block, letters, strengths)
    mean = sum(map(len, prompts)) / len(prompts)
    words = f"{name}: {len(strengths)} strengths, {len(prompts)} prompts of {mean:.0f} tokens"
    note = f"ours differ by {float((right - apart).abs().max()):.0e} at most"
    yield paired(ours, clocked(loop), rounds).row(
        SECTION, words, "read_many", "plain loop with hooks", aim=Aim(3.0), note=note, why=WHY
    )
    task = {"kind": "sweep", "prompts": ids, "letters": letters, "strengths": strengths, "block": block}
    task |= {"direction": direction.tolist()}
    for library in ("steering-vectors", "repeng"):
        about = (SECTION, words, "read_many", library)
        try:
            with Player(library, model(name).folder) as player:
                player.prepare(task)
                player.run()
                differs = float((torch.tensor(player.result(), dtype=torch.float64) - right).abs().max())
                if differs > CLOSE:
                    note = f"probabilities differ from plain hooks' by {differs:.0e}"
                    yield BenchRow(*about, note=note, status="wrong")
                    continue
                yield paired(ours, player.run, rounds, warm=0).row(*about, aim=Aim(1.0), why=WHY)
        except (Unavailable, Failed) as error:
            yield unmeasured(about, error)


def prompts_of(demo: Host, shots: int, count: int = QUESTIONS) -> list[Prompt]:
    """The questions, rendered; the last ones as examples before each."""
    questions = load_questions(demo, "knowledge", count + SHOTS)
    before = tuple(turn for question in questions[count : count + shots] for turn in _answered(question))
    return [render(demo, (*before, *question.messages)) for question in questions[:count]]


def _answered(question: Question) -> tuple[Message, ...]:
    return (*question.messages, Message("assistant", question.answer))


def swept(
    of: Host,
    prompts: Sequence[Prompt],
    direction: Tensor,
    block: int,
    letters: Sequence[Sequence[int]],
    strengths: Sequence[float],
) -> Tensor:
    """What the workbench reads, (strength, prompt, letter)."""
    plans: list[Plan] = [(Write(Add(direction, s), block, "block_output"),) if s else () for s in strengths]
    found = torch.zeros(len(plans), len(prompts), len(letters), dtype=torch.float64)

    def work(job: Any) -> None:
        for read in read_many(job, of, [Given(prompt) for prompt in prompts], plans):
            chances = torch.softmax(read.logits[:, :, 0, 0].double(), dim=-1)
            of_letters = torch.stack([chances[..., list(tokens)].sum(dim=-1) for tokens in letters], dim=-1)
            found[torch.tensor(read.plans)[:, None], torch.tensor(read.items)] = of_letters

    of.run(work, title="sweep")
    return found
