"""From verdicts to numbers with intervals: by method, by block, by formulation, and against chance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from steering.lane import look_for_stop
from steering.passes.schedule import Place
from steering.statistics import Estimate, auroc, auroc_intervals
from steering.studies.probing.block import AtBlock, Scored, Searched
from steering.studies.probing.found import Found
from steering.studies.probing.lines import Line, Polarity
from steering.studies.probing.metrics import contradiction_index, polarity_consistency
from steering.studies.probing.sample import Sample
from steering.texts.negation import negations


RESAMPLES = 500
CCS, SHUFFLED, RANDOM = "ccs", "shuffled", "random"


def auroc_of(scored: Scored, pairs: np.ndarray | None = None) -> Estimate:
    """Held-out AUROC with its interval over pairs.

    Args:
        scored: Verdicts, safe and harmful statements in turn.
        pairs: Which pairs count, (pair,), boolean; all where None.
    """
    scores = scored.scores.reshape(-1, 2)
    chosen = scores if pairs is None else scores[pairs]
    low, high = auroc_intervals(chosen[:, 1:], chosen[:, :1], paired=True, resamples=RESAMPLES)
    return Estimate(float(auroc(chosen[:, 1:], chosen[:, :1])[0]), float(low[0]), float(high[0]))


def right_of(scored: Scored) -> np.ndarray:
    """How many of both halves of each pair are called right, 0 to 2, (pair,)."""
    called = scored.called.reshape(-1, 2)
    return (~called[:, 0]).astype(int) + called[:, 1]


def parts_of(sample: Sample) -> dict[str, np.ndarray]:
    """The pairs of each part, (pair,), boolean: all, each formulation where there are several, and pairs with and
    without a negation word where that is another split.
    """
    negation = np.array([pair.formulation == "negation" for pair in sample.pairs])
    worded = np.array([negations(pair.safe) + negations(pair.harmful) > 0 for pair in sample.pairs])
    parts = {"all": np.ones(len(negation), dtype=bool), "concurrent": ~negation, "negation": negation}
    if (worded != negation).any():
        parts |= {"worded": worded, "unworded": ~worded}
    return {name: pairs for name, pairs in parts.items() if name == "all" or 0 < pairs.sum() < len(pairs)}


def most_wrong(found: Found, scored: Scored, part: str) -> np.ndarray:
    """Numbers of a part's pairs, first those whose harmful half is called less harmful than the safe one by most."""
    scores = scored.scores.reshape(-1, 2)
    chosen = np.flatnonzero(parts_of(found)[part])
    return chosen[np.argsort(scores[chosen, 1] - scores[chosen, 0], kind="stable")]


def lines_at(sample: Sample, at: AtBlock) -> list[Line]:
    """Every probe of a block, on each part of the pairs."""
    probes: dict[str, Scored] = {CCS: at.ccs, SHUFFLED: at.shuffled, **at.others}
    probes |= {f"{CCS}, {name}": each for name, each in at.controls.items()}
    parts = parts_of(sample)
    return [
        _line(at.place, name, part, scored, pairs) for name, scored in probes.items() for part, pairs in parts.items()
    ]


def text_lines(found: Found) -> list[Line]:
    """What reads the texts alone, on each part of the pairs."""
    return [
        _line(None, name, part, scored, pairs)
        for name, scored in found.text_probes.items()
        for part, pairs in parts_of(found).items()
    ]


def random_floor(found: Found, at: AtBlock, part: str) -> tuple[float, float]:
    """Median and 95 % point of the ESA of random directions on a part of the pairs."""
    rows = np.repeat(parts_of(found)[part], 2)
    right = (at.random[rows] == found.harmful[rows][:, None]).mean(axis=0)
    low, high = np.quantile(np.maximum(right, 1 - right), [0.5, 0.95])
    return float(low), float(high)


def _line(
    place: Place | None,
    method: str,
    part: str,
    scored: Scored,
    pairs: np.ndarray,
) -> Line:
    look_for_stop()
    right = right_of(scored)[pairs] / 2
    draws = drawn(len(right)) @ right
    accuracy, esa = _interval(draws), _interval(np.maximum(draws, 1 - draws))
    polarity = _polarity(scored, pairs) if isinstance(scored, Searched) else None
    return Line(place, method, part, len(right), accuracy, esa, auroc_of(scored, pairs), polarity)


def _polarity(scored: Searched, pairs: np.ndarray) -> Polarity:
    pc, ci = (metric(scored.quartet)[pairs] for metric in (polarity_consistency, contradiction_index))
    weights, called = drawn(len(pc)), scored.called.reshape(-1, 2)[pairs]
    each = np.minimum(scored.no, scored.yes) ** 2 + (scored.no + scored.yes - 1) ** 2
    return Polarity(
        pc=_interval(weights @ pc),
        pc_size=float(np.median(np.abs(pc))),
        pc_positive=float((pc > 0).mean()),
        ci=_interval(weights @ ci),
        same_verdict=float((called[:, 0] == called[:, 1]).mean()),
        loss=float(each[np.repeat(pairs, 2)].mean()),
        train_loss=scored.train_loss,
        silhouette=scored.silhouette,
    )


def _interval(draws: np.ndarray) -> Estimate:
    """The first is of all pairs, the others of resamples."""
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    return Estimate(float(draws[0]), float(low), float(high))


@lru_cache(maxsize=16)
def drawn(n: int) -> np.ndarray:
    """How much each pair counts, (1 + resample, pair): all alike first, then as drawn with replacement."""
    rng = np.random.default_rng(0)
    return np.vstack([np.full(n, 1 / n), rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n])


def chance_of(found: Found) -> dict[Place, dict[str, float]]:
    """For every method at every block, how often exchanged labels give as large an ESA at the best of all blocks.

    Labels are exchanged inside pairs, the same way at every block, and scores are kept: exact for CCS, which saw no
    labels but those of its sign; for supervised probes, whose folds trained on each other's labels, an approximation.
    """
    names = [CCS, *next(iter(found.at.values())).others] if found.at else []
    chances: dict[Place, dict[str, float]] = {place: {} for place in found.at}
    for name in names:
        right = np.stack([right_of(_of(at, name)) for at in found.at.values()], axis=1)
        seen, largest = _exchanged(right, found.settings.permutations, found.settings.seed)
        for place, value in zip(found.at, seen, strict=True):
            chances[place][name] = float((1 + (largest >= value - 1e-12).sum()) / (1 + len(largest)))
    return chances


def null_of_best(found: Found, name: str = CCS) -> float:
    """95 % point of the ESA at the best of all blocks with labels exchanged inside pairs."""
    right = np.stack([right_of(_of(at, name)) for at in found.at.values()], axis=1)
    return float(np.quantile(_exchanged(right, found.settings.permutations, found.settings.seed)[1], 0.95))


def _exchanged(right: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """ESA at every block, (block,), and the largest of all blocks under each exchange, (permutation,)."""
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(n, len(right)))
    excess = right - 1.0  # an exchange turns 2 right of a pair into 0
    return 0.5 + np.abs(excess.mean(axis=0)) / 2, (0.5 + np.abs(signs @ excess / len(right)) / 2).max(axis=1)


def _of(at: AtBlock, name: str) -> Scored:
    return at.ccs if name == CCS else at.others[name]


def line(lines: Sequence[Line], method: str, part: str = "all") -> Line:
    """The line of a method, among those of one block or of the texts.

    Raises:
        KeyError: There is none.
    """
    for each in lines:
        if (each.method, each.part) == (method, part):
            return each
    raise KeyError(method, part)
