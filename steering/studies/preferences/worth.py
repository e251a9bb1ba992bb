"""What each preference pair is worth: what leaving it out does, and which pairs to train on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from random import Random
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.judges.fitting import judge_of_preferences
from steering.judges.marks import ASKED, NAMES, OWN, load_marks
from steering.lane import Job
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.ranges import whole_numbers
from steering.studies.preferences import worth_tables as tables
from steering.studies.preferences.pairs_asked import OfPairs
from steering.studies.preferences.worth_draws import Drawn, Pool
from steering.studies.size import Size, Work, tokens_of
from steering.studies.study import Result, Study
from steering.texts.preferences import Preference, load_preferences
from steering.training.influence import POINTS, Training, Weighing, foretell, train_without
from steering.training.leaving_out import Influences, aligned, leave_one_out
from steering.training.selection import Chooser, Learnt, at_random, by_quality, learning_curves
from steering.training.trainee import Trainee


MOST_HARMFUL = 5
"""Among so many a pair whose sides were swapped has to be."""
EXACT, TRACED, FORETOLD = "exact", "traced", "foretold"
"""Ways to weigh a pair."""


class WorthSettings(OfPairs):
    """Which pairs, and what is asked about them."""

    n: int = Field(50, ge=5, le=2000, description="Pairs that are trained on, drawn from the data.")
    n_held_out: int = Field(30, ge=2, le=2000, description="Other pairs, on which it is measured what came of it.")
    block: int | None = Field(None, ge=0, description="Block that is read and written; the middle one where empty.")
    method: str = Field("mean_difference", description="Extraction method of which each pair is left out, exactly.")
    loss: str = Field(
        "dpo", description="Loss of a trained vector, for which gradients foretell what leaving each out does; or none."
    )
    steps: int = Field(40, ge=1, le=10_000, description="Of a training; each sees all pairs.")
    points: int = Field(POINTS, ge=2, le=200, description="Of a training at which gradients of pairs are looked at.")
    retrained: int = Field(
        0, ge=0, le=500, description="Pairs without which is trained again, to check what is foretold."
    )
    planted: int = Field(
        0, ge=0, le=200, description="Draws of pairs in which one has its sides swapped, to see whether it is found."
    )
    sizes: str = Field("5, 10, 20", description="Learning curve: numbers of pairs, ascending; none where empty.")
    learnt: Literal["method", "loss"] = Field("method", description="Learning curve: what is fitted to them.")
    draws: int = Field(10, ge=2, le=200, description="Learning curve: pools from which pairs are chosen.")
    judge: str = Field(
        "",
        description=f"Selector: who marks both replies, and so the pair: {NAMES}. Empty: the one that fits the data.",
    )
    judge_label: str = Field("", description="The classifier's label; the one that means refusal where empty.")
    question: str = Field(ASKED, description=f"{OWN}: what the model is asked about a reply.")
    alike: float = Field(0.9, ge=-1, le=1.01, description="Selector: cosine from which on two pairs say the same.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of all draws.")
    chat: ChatSettings | None = Field(None, description=CHAT)

    @property
    def sizes_asked(self) -> tuple[int, ...]:
        """The sizes as numbers.

        Raises:
            SteeringError: Not readable.
        """
        if not self.sizes.strip():
            return ()
        try:
            return tuple(whole_numbers(self.sizes))
        except ValueError as error:
            raise SteeringError(
                f"The sizes '{self.sizes[:60]}' were asked for.", "numbers such as 5, 10, 20.", "Correct them."
            ) from error


def run(host: Host, settings: WorthSettings, job: Job[Result]) -> Result:
    """Weigh the pairs, look whether planted ones are found, and draw learning curves."""
    host, given, settings = host.under(settings.chat), settings, settings.on(host)
    judge = judge_of_preferences(settings.data, settings.judge) if settings.sizes_asked else ""
    pool = Pool(
        host,
        settings.data,
        settings.n,
        settings.n_held_out,
        draws=settings.planted + 1,
        block=block_of(host, settings),
        seed=settings.seed,
    )
    drawn = pool.draw(0)
    weights = weigh(host, settings, drawn)
    checked = _checked(host, settings, drawn)
    found = {"pairs": tables.pair_table(drawn.pairs, weights, checked)}
    measures = tables.agreement(weights, checked)
    if settings.planted:
        planted = [_planted(host, settings, pool.draw(number + 1), number) for number in range(settings.planted)]
        found["planted"] = tables.planted_table(planted, MOST_HARMFUL)
        measures += tables.found_again(found["planted"])
    if settings.sizes_asked:
        curves = _curves(host, settings, drawn, _quality(host, settings, judge, drawn.pairs))
        found["curve"] = tables.curve_table(curves)
        measures += tables.gain(curves)
    return Result.of(
        "pair_worth",
        host,
        given,
        measures=measures,
        tables=found,
        notes=(*_notes(settings, block_of(host, settings), judge), *chat_notes(host)),
    )


def block_of(host: Host, settings: WorthSettings) -> int:
    """The block that is read and written.

    Raises:
        SteeringError: The model does not have it.
    """
    block = host.info.blocks // 2 if settings.block is None else settings.block
    host.sites.check("block_output", block)
    return block


def training_of(host: Host, settings: WorthSettings) -> Training | None:
    """How the vector is trained; None where none is."""
    if settings.loss.strip() in ("", "none"):
        return None
    return Training(Trainee((block_of(host, settings),)), loss=settings.loss.strip(), steps=settings.steps)


def weigh(host: Host, settings: WorthSettings, drawn: Drawn) -> dict[str, Influences]:
    """What each pair does: left out of the method, exactly; to a training, by its own gradients, and left out."""
    found = {EXACT: leave_one_out(settings.method, drawn.sides, drawn.held_out_sides, seed=settings.seed)}
    how = training_of(host, settings)
    if how is not None:
        told = foretell(host, drawn.pairs, drawn.held_out, how, points=settings.points)
        found |= {TRACED: told.traced, FORETOLD: told.left_out}
    return found


def _checked(host: Host, settings: WorthSettings, drawn: Drawn) -> Mapping[int, float]:
    """By how much the held-out loss is higher after a training without some pairs, by their index."""
    how = training_of(host, settings)
    if how is None or not settings.retrained:
        return {}
    which = Random(f"{settings.seed}/retrained").sample(range(settings.n), min(settings.retrained, settings.n))
    return dict(zip(which, train_without(host, drawn.pairs, drawn.held_out, how, which).tolist(), strict=True))


def _planted(host: Host, settings: WorthSettings, drawn: Drawn, number: int) -> dict[str, int]:
    """The rank of a pair whose sides are swapped, by way; 0 is the most harmful."""
    index = Random(f"{settings.seed}/planted/{number}").randrange(settings.n)
    weights = weigh(host, settings, drawn.swapped(index))
    return {way: each.harmful_first.index(index) for way, each in weights.items()}


def _curves(host: Host, settings: WorthSettings, drawn: Drawn, quality: Tensor) -> tuple[Learnt, ...]:
    choosers: dict[str, Chooser] = {
        "best and different": by_quality(quality, drawn.sides.chosen, alike=settings.alike),
        "random": at_random,
    }

    def work(job: Job[tuple[Learnt, ...]]) -> tuple[Learnt, ...]:
        def told(done: int, total: int) -> None:
            job.report(done, total, "points of the learning curve")

        curves = partial(
            learning_curves, settings.n, settings.sizes_asked, choosers, draws=settings.draws, seed=settings.seed
        )
        if settings.learnt == "method":
            return curves(lambda chosen, seed: _aligned(settings, drawn, chosen, seed), on_value=told)
        how = training_of(host, settings) or Training(Trainee((block_of(host, settings),)), steps=settings.steps)
        weighing = Weighing(host, job, drawn.pairs, drawn.held_out, how)
        return curves(lambda chosen, seed: -_loss(job, weighing, chosen), on_value=told)

    return host.run(work, title="Learning curves")


def _aligned(settings: WorthSettings, drawn: Drawn, chosen: list[int], seed: int) -> float:
    return aligned(settings.method, drawn.sides[chosen], drawn.held_out_sides, seed=seed)


def _loss(job: Job[tuple[Learnt, ...]], weighing: Weighing, chosen: list[int]) -> float:
    weighing.train(job, chosen)
    return weighing.held_out_loss()


def _quality(host: Host, settings: WorthSettings, judge: str, pairs: Sequence[Preference]) -> Tensor:
    """By how much the judge marks the chosen reply of each pair higher, (pair,)."""
    marks = load_marks(host, judge, label=settings.judge_label, question=settings.question)
    asked = [each.messages for each in pairs]
    chosen, rejected = marks(asked, [each.chosen for each in pairs]), marks(asked, [each.rejected for each in pairs])
    found = np.array(chosen) - np.array(rejected)
    if not np.isfinite(found).all():
        bad = int(np.argmin(np.isfinite(found)))
        raise SteeringError(
            f"The judge {judge} has no mark for {pairs[bad].where or f'pair {bad + 1}'}.",
            "a mark for both replies of every pair.",
            "Take another judge.",
        )
    return torch.tensor(found)


def _notes(settings: WorthSettings, block: int, judge: str) -> tuple[str, ...]:
    said = [
        f"{settings.n} pairs of {settings.data}, {settings.n_held_out} others held out; block {block}.",
        f"{EXACT}: what the {settings.method} at strength 1 moves of the held-out mean difference, with the pair less "
        "without it.",
    ]
    if settings.loss.strip() not in ("", "none"):
        said.append(
            f"{TRACED}: by how much plain steps along the pair's own gradient would have lowered that loss (TracIn). "
            f"{FORETOLD}: the held-out {settings.loss} loss without the pair less with it, nats, by going back "
            f"through a training of {settings.steps} steps to its start."
        )
    if judge:
        said.append(f"Learning curve: the best pairs by the marks of the judge {judge}.")
    return tuple(said)


def size_of(host: Host, settings: WorthSettings) -> Size:
    """Readings of both replies of every pair that is drawn, and the steps of all trainings.

    Raises:
        SteeringError: As `load_preferences`.
    """
    settings = settings.on(host)
    pairs = load_preferences(settings.data)[: settings.n + settings.n_held_out]
    texts = [f"{each.messages[-1].content}{said}" for each in pairs for said in (each.chosen, each.rejected)]
    trainings = 0 if settings.loss.strip() in ("", "none") else 2 * (1 + settings.planted)  # there and back
    trainings += (1 + settings.retrained) * bool(trainings and settings.retrained)
    if settings.learnt == "loss":
        trainings += 2 * settings.draws * len(settings.sizes_asked)
    draws = min(1 + settings.planted, math.ceil(len(pairs) / max(1, settings.n)))
    return Size(
        (
            Work("readings", draws * len(texts), tokens_of(texts)),
            Work("steps", trainings * settings.steps, tokens_of(texts)),
        ),
    )


WORTH = Study(
    name="pair_worth",
    title="What pairs are worth",
    summary="What leaving each preference pair out does, whether swapped ones are found, and which to train on.",
    settings=WorthSettings,
    run=run,
    quick={"n": 12, "n_held_out": 8, "steps": 8, "points": 2, "sizes": "4, 8", "draws": 4},
    size=size_of,
)
