"""The training of a steering vector by DPO at the middle block, beside the plain loop with a hook and autograd, and how
long one takes on the demo model.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from torch import Tensor
from torch.nn.functional import cosine_similarity

from bench.harness.pairs import alone, clocked, paired
from bench.harness.row import Aim, BenchRow
from bench.models import host
from bench.plain_training import plain_dpo
from steering.model.host import Host
from steering.texts.preferences import Preference, load_preferences
from steering.training.course import RATE
from steering.training.texts import texts_of
from steering.training.trainee import Trainee
from steering.training.training import train


SECTION = "Training of a steering vector"
DATA = "demo-formality"
SECONDS = 60.0
"""That a training of 300 pairs and 200 steps may take on the demo model."""
WHY = (
    "What is saved are the blocks below the write and the head at prompt tokens; reading the texts once is paid first."
)


def rows(quick: bool) -> Iterator[BenchRow]:
    """Every model; in a short run the demo alone."""
    yield from _beside("demo", pairs=24, steps=6 if quick else 20, batch=8, rounds=2 if quick else 5)
    if quick:
        return
    yield from _beside("random 100 M", pairs=8, steps=8, batch=4, rounds=3)
    yield _whole()


def _beside(name: str, *, pairs: int, steps: int, batch: int, rounds: int) -> Iterator[BenchRow]:
    own = host(name)
    data, block = load_preferences(DATA)[:pairs], own.info.blocks // 2
    texts = own.run(lambda job: texts_of(own, data, "pairs"), title="texts")
    sides = [
        tuple((texts.replied[side][0].ids, texts.replied[side][1]) for side in (each.chosen, each.rejected or 0))
        for each in texts.examples
    ]
    begun = train(own, data, Trainee((block,)), steps=0).vector
    start, unit = begun.directions[block] * begun.mean_differences[block], _unit(begun, block, own.info.width)
    model = own.model._module

    def ours() -> Tensor:
        vector = train(own, data, Trainee((block,)), steps=steps, batch=batch, learning_rate=RATE).vector
        return vector.directions[block] * vector.mean_differences[block]

    def loop() -> Tensor:
        return plain_dpo(model, model.model.layers[block], sides, start, unit=unit, steps=steps, batch=batch, rate=RATE)  # type: ignore[arg-type]

    alike = float(cosine_similarity(ours() - start, loop() - start, dim=0))
    longest = max(len(prompt) + len(ids) for prompt, ids in texts.replied)
    words = f"{name}: DPO, {pairs} pairs of up to {longest} tokens, {steps} steps of {batch}"
    if alike < 0.99:
        yield BenchRow(SECTION, words, "train", "plain loop", note=f"cosine of both ways {alike:.3f}", status="wrong")
        return
    note = f"both go the same way: cosine {alike:.5f}"
    yield paired(clocked(ours), clocked(loop), rounds, warm=0).row(
        SECTION, words, "train", "plain loop with a hook and autograd", aim=Aim(1.0), note=note, why=WHY
    )


def _unit(begun: object, block: int, width: int) -> float:
    """What a coordinate of size 1 stands for in a training that begins so."""
    length, norm = (float(getattr(begun, name)[block]) for name in ("mean_differences", "residual_norms"))
    return max(length, norm / 10) / width**0.5


def _whole() -> BenchRow:
    own, data = host("demo"), load_preferences(DATA)
    began = time.perf_counter()
    _trained(own, data)
    taken = time.perf_counter() - began
    return alone(
        SECTION,
        f"demo: DPO, {len(data)} pairs, 200 steps of 8, one block",
        "train",
        [taken],
        aim=Aim(SECONDS, least=False),
        why="Steps are as long as two passes through half of the blocks.",
    )


def _trained(own: Host, data: Sequence[Preference]) -> None:
    train(own, data, Trainee((own.info.blocks // 2,)), steps=200, batch=8)
