"""The best single mean-difference direction of refusal in a model, found as somebody would who does not know it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from steering.contrast import ContrastSet
from steering.contrast import Example as Entry
from steering.contrast import Split as ContrastSplit
from steering.demo.check.answers import clean_answer
from steering.demo.check.prompts import VALIDATION_SEED, distinct, validation_prompts
from steering.demo.check.replies import ablation, divergence, first_token_chances, replies_to, replies_under
from steering.demo.example import Example
from steering.extraction.extract import extract
from steering.host import Host
from steering.judges.refusal import is_refusal
from steering.pooling import Pooling
from steering.vectors import SteeringVector


POOLINGS: tuple[Pooling, ...] = ("last_token", "last_content")
_SCREENED_TOKENS = 12
_NO_MATTER = 0.1
"""Nats up to which a change of harmless first tokens counts as none, as in Arditi et al."""


@dataclass(frozen=True)
class Candidate:
    """One direction, and what its ablation does to validation prompts."""

    vector: SteeringVector
    refused: float
    """Share of harmful requests still refused."""
    clean: float
    """Share of harmful requests answered cleanly."""
    divergence: float
    """Mean KL of harmless first tokens from those of the untouched model, in nats."""


def find_direction(
    host: Host,
    *,
    n_train: int = 128,
    n_validation: int = 32,
    shortlist: int = 4,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> SteeringVector:
    """The mean difference between harmful and harmless requests whose ablation everywhere takes refusal away best.

    Candidates are the mean differences at every block, read at the last prompt token and at the last token of the
    request. All are screened cheaply on the validation prompts: refusals among replies cut at 12 tokens, which is
    where refusal phrases stand, then the divergence of harmless first tokens. The best few are scored in full, and the
    best by lowest harmful refusal, then highest share of clean answers, then lowest harmless divergence is taken
    (after Arditi et al. 2024, arXiv 2406.11717, section 2.3). Of equals it is the one of the earliest block: later
    means mix the cause of refusal with the wording that follows from it.

    Args:
        host: A model that refuses.
        n_train: Harmful, and as many harmless, requests of the training split to fit on.
        n_validation: Held-out requests of each side to choose on; no test prompt is among them.
        shortlist: Candidates that are scored in full.
        seed: Of the training and validation requests.
        progress: Told what is being done.

    Returns:
        The one direction in every block, `default_block` where it was read. Its mean differences are how far apart the
        two sides lie along it in each block.
    """
    contrast = _contrast(n_train, n_validation, seed)
    harmful, harmless = _validation(n_validation, seed)
    progress("finding the refusal direction")
    fitted = [extract(host, contrast, pooling=pooling, name=f"refusal, {pooling}") for pooling in POOLINGS]
    candidates = [spread(vector, block) for vector in fitted for block in range(vector.n_blocks)]
    plain = first_token_chances(host, harmless)

    def moved(vector: SteeringVector) -> float:
        return divergence(plain, first_token_chances(host, harmless, ablation(host, vector)))

    progress("screening directions")
    cut = replies_under(host, harmful, [ablation(host, one) for one in candidates], longest=_SCREENED_TOKENS)
    screened = [
        Candidate(vector, _share([is_refusal(reply.text) for reply in said]), 0.0, moved(vector))
        for vector, said in zip(candidates, cut, strict=True)
    ]
    scored = []
    for candidate in ranked(screened)[:shortlist]:
        progress("scoring the best directions")
        said = replies_to(host, harmful, ablation(host, candidate.vector))
        refused = _share([is_refusal(reply.text) for reply in said])
        clean = _share([clean_answer(example, reply) for example, reply in zip(harmful, said, strict=True)])
        scored.append(replace(candidate, refused=refused, clean=clean))
    return ranked(scored)[0].vector


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Best first: lowest refusal, most clean answers, least change of harmless first tokens, earliest block."""

    def key(one: Candidate) -> tuple[float, float, float, int]:
        return one.refused, -one.clean, max(one.divergence, _NO_MATTER), one.vector.default_block

    return sorted(candidates, key=key)


def spread(vector: SteeringVector, block: int) -> SteeringVector:
    """One block's direction of a mean-difference vector in every block, with each block's mean difference along it."""
    direction = vector.directions[block]
    along = vector.mean_differences * (vector.directions @ direction)  # their product is m+ - m- of each block
    return replace(
        vector,
        name=f"{vector.name}, block {block}",
        directions=direction.repeat(vector.n_blocks, 1),
        mean_differences=along,
        auroc=None,
        auroc_low=None,
        auroc_high=None,
        default_block=block,
        default_block_reason="the block that the direction was read at",
    )


def _validation(n: int, seed: int) -> tuple[list[Example], list[Example]]:
    harmful, harmless = (validation_prompts(kind, n, seed=VALIDATION_SEED + seed) for kind in ("refusal", "howto"))
    return harmful, harmless


def _contrast(n_train: int, n_validation: int, seed: int) -> ContrastSet:
    validation = _validation(n_validation, seed)
    sides = []
    for kind, held_out in zip(("refusal", "howto"), validation, strict=True):
        train = distinct(kind, "train", n_train, seed=VALIDATION_SEED + seed)
        sides.append((*_entries(train, "train"), *_entries(held_out, "validation")))
    return ContrastSet(
        name="refusal",
        title="Harmful and harmless requests",
        description="Requests of the demo grammar that a model refuses, and requests that it answers.",
        positive_label="harmful",
        negative_label="harmless",
        positive=sides[0],
        negative=sides[1],
        paired=False,
    )


def _entries(examples: Sequence[Example], split: ContrastSplit) -> list[Entry]:
    return [Entry(example.prompt, split) for example in examples]


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits)
