"""Best of n: the unsteered model writes n replies, and the judge of alignment takes the best one.

What it takes is drawn from pi_n, under which a reply of judged rank u (its share of replies that are judged no better)
is n u^(n - 1) times as likely as under the model itself. So

    KL(pi_n || pi) = log n - (n - 1) / n  at most,  KL(pi || pi_n) = n - 1 - log n  at most,

nats a reply (Beirami et al. 2024, "Theoretical guarantees on the best-of-n alignment policy", arXiv 2404.01730: equal
where no two replies are judged alike, less where many are, since the first of equals is taken).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from steering.errors import SteeringError
from steering.statistics import mean_interval
from steering.studies.tradeoff.curves import UNSTEERED, Curve
from steering.studies.tradeoff.items import Chunk, Item, Seen, Treatment
from steering.studies.tradeoff.making import Maker
from steering.studies.tradeoff.readings import Reader


def best_of_curve(maker: Maker, title: str) -> Curve:
    """Best of 1, 2, 4 … samples; 0 is the greedy reply.

    Raises:
        SteeringError: Alignment is not judged on replies, so that nothing can take the best one.
    """
    if maker.settings.alignment_by != "judged":
        raise SteeringError(
            f"Alignment is measured by {maker.settings.alignment_by}, which judges no replies.",
            remedy="Measure it by judged replies (alignment_by=judged).",
        )
    counts = counts_to(maker.settings.best_of)
    treatments = (UNSTEERED, *(Treatment((), f"best of {n}", best_of=n) for n in counts))
    maker.notes.append(
        "Best of n: letters and likelihoods of the model's own replies are as unsteered, or follow from n; its KL on "
        "the chart is the closed form, n - 1 - log n nats a reply at most, spread over the reply. The table best_of "
        "has what was measured."
    )
    return Curve("best_of", title, "samples", (0.0, *map(float, counts)), treatments, (None,) * len(treatments))


def counts_to(most: int) -> list[int]:
    """1, 2, 4 … and the most."""
    return sorted({*(2**power for power in range(most.bit_length())), most})


def sample(number: int) -> Treatment:
    """The unsteered model's reply by draw, counted from 1."""
    return Treatment((), f"sample {number}", draw=number)


def read_for(chunk: Chunk, treatments: Sequence[Treatment]) -> list[Treatment]:
    """What has to be read to know some treatments on items of one kind: of replies the samples, of the rest nothing."""
    found = [each for each in treatments if not each.best_of]
    most = max((each.best_of for each in treatments), default=0)
    if chunk.items[0].kind == "text":
        found += [sample(number) for number in range(1, most + 1)]
    return found


def seen_of(
    reader: Reader, chunk: Chunk, treatment: Treatment, score: Callable[[Item, Seen], float]
) -> list[Seen] | None:
    """What was read under a treatment, one an item; of best of n the reply that the judge takes, the first of equals.

    Args:
        reader: Knows what was read.
        chunk: The items.
        treatment: Any.
        score: Alignment of a reply.

    Returns:
        None where something has not been read yet.
    """
    n = treatment.best_of
    if not n:
        return reader.seen(chunk, treatment)
    if chunk.items[0].kind != "text":
        base = reader.seen(chunk, UNSTEERED)
        return base if base is None or chunk.items[0].kind != "own" else [_spread(each, n) for each in base]
    drawn = samples_of(reader, chunk, n)
    if drawn is None:
        return None
    return [max(own, key=partial(score, item)) for item, own in zip(chunk.items, drawn, strict=True)]


def samples_of(reader: Reader, chunk: Chunk, n: int) -> list[list[Seen]] | None:
    """The first n samples to each item; None where some are not there yet."""
    read = [reader.seen(chunk, sample(number)) for number in range(1, n + 1)]
    known = [each for each in read if each is not None]
    return [list(own) for own in zip(*known, strict=True)] if len(known) == n else None


def _spread(base: Seen, n: int) -> Seen:
    """The model's own reply under best of n: its log-probability falls by KL(pi || pi_n) in the mean, in equal parts at
    every token and the end.
    """
    places = len(base["kl"])
    part = closed_forward(n) / places
    return {"losses": [[loss + part for loss in base["losses"][0]]], "kl": [part] * places}


def closed(n: int) -> float:
    """KL(pi_n || pi) at most, nats a reply."""
    return math.log(n) - (n - 1) / n


def closed_forward(n: int) -> float:
    """KL(pi || pi_n) at most, nats a reply."""
    return n - 1 - math.log(n)


def measured(scores: Sequence[float], n: int) -> tuple[float, float]:
    """KL(pi_n || pi) and KL(pi || pi_n), nats a reply, from what samples of one request were judged.

    Replies that are judged alike are taken alike: with F the share of samples that are judged no better than a value
    and F- that of those judged worse, one of them is taken with the probability F^n - F-^n, shared out as the model
    itself does.

    Args:
        scores: Of samples, more than n of them for a sharp number: what was never drawn is not counted.
        n: How many are drawn.
    """
    counts = sorted(Counter(scores).items())
    shares = np.array([count for _, count in counts]) / len(scores)
    above = np.cumsum(shares)
    taken = above**n - np.concatenate([[0.0], above[:-1]]) ** n
    return float(taken @ np.log(taken / shares)), float(shares @ np.log(shares / taken))


def best_of_table(scores: np.ndarray, seed: int) -> pd.DataFrame:
    """One row an n: KL both ways, nats a reply, closed and as measured, with intervals over requests.

    Args:
        scores: What samples were judged, (request, sample).
        seed: Of the bootstrap.
    """
    found = []
    for n in counts_to(scores.shape[1]):
        both = np.array([measured(own.tolist(), n) for own in scores])
        row: dict[str, float] = {"n": n}
        for name, values, most in (("kl", both[:, 0], closed(n)), ("forward_kl", both[:, 1], closed_forward(n))):
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), mean_interval(values, seed=seed), strict=True))
            row[f"{name}_closed"] = most
        found.append(row | {"requests": len(scores), "samples": scores.shape[1]})
    return pd.DataFrame(found)
