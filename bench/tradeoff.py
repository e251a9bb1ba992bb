"""Time of a sweep of strengths over questions by letter, beside the plain loop and other libraries. `make bench`.

21 strengths x 100 questions x one vector at the middle block, each side with the same batches of 32. Others' libraries
run where STEERING_SIDE_PYTHON names the interpreter of an environment that has them (see bench/README.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plain_sweep import plain_chances
from refusal import random_host
from rich.console import Console
from rich.table import Table
from torch import Tensor

from steering.loading.options import LoadOptions
from steering.model.host import Host
from steering.model.prompts import Message, Prompt, render
from steering.passes.many_plans import Given, read_many
from steering.texts.questions import Question, first_tokens, load_questions
from steering.writes.interventions import Plan, Write
from steering.writes.operations import Add


STRENGTHS = [float(value) for value in np.linspace(-4, 4, 21).round(10)]
QUESTIONS = 100
SHOTS = 5
"""Questions with their answers before each, as MMLU is often asked."""
SIDE = os.environ.get("STEERING_SIDE_PYTHON", "")


def prompts_of(demo: Host, shots: int) -> list[Prompt]:
    """The questions, rendered; the last ones as examples before each."""
    questions = load_questions(demo, "knowledge", QUESTIONS + SHOTS)
    before = tuple(turn for question in questions[QUESTIONS : QUESTIONS + shots] for turn in _answered(question))
    return [render(demo, (*before, *question.messages)) for question in questions[:QUESTIONS]]


def _answered(question: Question) -> tuple[Message, ...]:
    return (*question.messages, Message("assistant", question.answer))


def swept(
    host: Host, prompts: Sequence[Prompt], direction: Tensor, block: int, letters: Sequence[Sequence[int]]
) -> Tensor:
    """What the workbench reads, (strength, prompt, letter)."""
    plans: list[Plan] = [(Write(Add(direction, s), block, "block_output"),) if s else () for s in STRENGTHS]
    found = torch.zeros(len(plans), len(prompts), len(letters), dtype=torch.float64)

    def work(job: Any) -> None:
        for read in read_many(job, host, [Given(prompt) for prompt in prompts], plans):
            chances = torch.softmax(read.logits[:, :, 0, 0].double(), dim=-1)
            of_letters = torch.stack([chances[..., list(tokens)].sum(dim=-1) for tokens in letters], dim=-1)
            found[torch.tensor(read.plans)[:, None], torch.tensor(read.items)] = of_letters

    host.run(work, title="sweep")
    return found


def elsewhere(model: Any, task: dict[str, Any]) -> dict[str, Any]:
    """The same with other libraries; nothing where they are not at hand."""
    if not SIDE:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        (Path(folder) / "task.json").write_text(json.dumps(task))
        script = Path(__file__).with_name("side_sweep.py")
        command = [SIDE, str(script), folder, str(torch.get_num_threads())]
        said = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ""})
    found: dict[str, Any] = json.loads(said.stdout.splitlines()[-1])
    return found


def row(name: str, host: Host, demo: Host, shots: int) -> list[str]:
    """One line of the table."""
    prompts, block = prompts_of(demo, shots), host.info.blocks // 2
    letters = first_tokens(demo, "ABCD")
    generator = torch.Generator().manual_seed(0)
    direction = torch.nn.functional.normalize(torch.randn(host.info.width, generator=generator), dim=0)
    model = host.model._module
    ids = [prompt.ids for prompt in prompts]
    swept(host, prompts, direction, block, letters)  # the first run sets things up
    ours, seconds = clocked(lambda: swept(host, prompts, direction, block, letters))
    theirs, plain_seconds = clocked(
        lambda: plain_chances(model, model.model.layers[block], direction, STRENGTHS, ids, letters)
    )
    task = {
        "prompts": ids,
        "letters": letters,
        "strengths": STRENGTHS,
        "block": block,
        "direction": direction.tolist(),
    }
    others = elsewhere(model, task)
    apart = [float((ours - theirs).abs().max())]
    apart += [float((torch.tensor(each["chances"]) - theirs).abs().max()) for each in others.values()]
    libraries = ("steering-vectors", "repeng")
    ratios = [f"{others[each]['seconds'] / seconds:.1f}" if each in others else "–" for each in libraries]
    mean = sum(map(len, prompts)) / len(prompts)
    return [name, f"{mean:.0f}", f"{plain_seconds / seconds:.1f}", *ratios, f"{seconds:.1f} s", f"{max(apart):.0e}"]


def clocked(work: Callable[[], Tensor]) -> tuple[Tensor, float]:
    """What something gives, and its seconds."""
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def main() -> None:
    table = Table(title="A sweep's speed, as a multiple of others' (higher is faster)", box=None)
    columns = ("model", "tokens", "plain loop", "steering-vectors", "repeng", "ours", "largest difference")
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    demo = Host.load("demo", options=LoadOptions(dtype="float32"))
    random = random_host(demo)
    for name, host, shots in (("demo", demo, 0), ("demo", demo, SHOTS), ("random 100 M", random, 0)):
        before = f", behind {shots} examples" if shots else ""
        table.add_row(*row(f"{name}{before}", host, demo, shots))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
