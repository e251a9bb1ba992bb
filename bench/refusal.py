"""Scoring all candidates of a refusal direction, beside the plain loop over candidates.

How much is saved where dropped candidates are left alone depends on how many are dropped. On the random model the rule
for induce is set so that 72 % break it, the mean over the five models whose scores Arditi et al. published; on demo the
rules are the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.harness.pairs import clocked, paired
from bench.harness.row import Aim, BenchRow
from bench.models import VOCABULARY, host
from bench.plain_screen import plain_scores
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.passes.tail_states import tail_length
from steering.studies.refusal.candidates import Directions, read_directions
from steering.studies.refusal.requests import load_requests, prompts_of
from steering.studies.refusal.rules import Rules, Score, choose
from steering.studies.refusal.screen import Screen
from steering.vectors.vector import Provenance


SECTION = "Refusal screen"
DROPPED = 0.72
WHY = (
    "Ablation runs every block for every candidate, so what can be saved is what the rules drop; on demo they drop few."
)
Sides = tuple[Sequence[Prompt], Sequence[Prompt]]


def rows(quick: bool) -> Iterator[BenchRow]:
    """On demo, and on random weights."""
    demo = host("demo")
    refusals = [demo.tokenizer(text, add_special_tokens=False)["input_ids"][0] for text in ("I", "Sorry", "No")]
    yield from _screens("demo", refusals, 8 if quick else 32, 1 if quick else 3, published=False)
    if not quick:
        # Half the vocabulary, so that the log-odds lie around zero.
        yield from _screens("random 100 M", range(0, VOCABULARY, 2), 8, 2, published=True)


def _screens(name: str, tokens: Sequence[int], n: int, rounds: int, *, published: bool) -> Iterator[BenchRow]:
    of = host(name)
    requests = load_requests(of, data="demo", sizes=(64, n, 2))
    train, sides = (
        (prompts_of(of, each.target), prompts_of(of, each.control)) for each in (requests.train, requests.validation)
    )
    tail = tail_length([*train[0], *train[1]])
    nobody = Provenance.made_elsewhere()
    directions = of.run(lambda job: read_directions(of, *train, tail, nobody), title="read")
    rules = _as_published(of, sides, directions, tokens) if published else Rules()
    scores = [screened(of, sides, directions, tokens, rules, complete) for complete in (True, False)]
    chosen = [choose(each, rules, of.info.blocks).score.candidate for each in scores]
    alone = sum(score.kl is None for score in scores[1] if not score.flat)
    total = sum(not score.flat for score in scores[1])
    same = "the same choice" if chosen[0] == chosen[1] else "ANOTHER CHOICE"

    def plain() -> None:
        of.run(lambda job: plain_scores(of, *sides, directions.differences, tokens), title="plain")

    for complete in (True, False):
        ours = clocked(lambda c=complete: screened(of, sides, directions, tokens, rules, c))  # type: ignore[misc]
        what = "every score" if complete else "dropped ones left alone"
        note = "" if complete else f"{alone} of {total} left alone, {same}"
        yield paired(ours, clocked(plain), rounds, warm=0).row(
            SECTION, f"{name}: {what}", "Screen", "plain loop with hooks",
            aim=None if complete else Aim(5.0), note=note, why=WHY,
        )  # fmt: skip


def _as_published(of: Host, sides: Sides, directions: Directions, tokens: Sequence[int]) -> Rules:
    found = screened(of, sides, directions, tokens, Rules(), True)
    induced = [score.induce for score in found if score.induce is not None]
    return Rules(min_induce=float(np.quantile(induced, DROPPED)), max_kl=float("inf"))


def screened(
    of: Host, sides: Sides, directions: Directions, tokens: Sequence[int], rules: Rules, complete: bool
) -> list[Score]:
    """Every candidate's last score."""
    found = {}
    screen = Screen(of, *sides, directions, tokens)
    of.run(
        lambda job: found.update({s.candidate: s for s in screen.scores(job, rules, complete=complete)}), title="screen"
    )
    return list(found.values())
