"""Tables, measures and sentences of a comparison of losses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from steering.numbers import counted, plain_number, spread
from steering.statistics import Estimate, mean_interval, wilson
from steering.studies.measure import Measure
from steering.studies.training.comparing import Compared
from steering.vectors.vector import SteeringVector


UNKNOWN = Estimate(math.nan, math.nan, math.nan)
COLUMNS = {
    "mark": "mark",
    "mark_wanted": "where wanted",
    "mark_unwanted": "where not",
    "reward": "reward, drawn",
    "reward_greedy": "reward, likeliest",
    "ahead": "ahead of mean difference",
    "margin": "margin, nats",
    "prefers": "chosen likelier",
    "nats": "KL, nats",
    "cosine": "cosine",
    "cosine_planted": "with planted",
}
"""Columns of the table of methods that people are shown, where a run gives them, and what they are called."""
CURVE = ("step", "loss", "margin", "length", "kl", "validation_loss", "validation_margin", "mark")


def rows_table(found: Sequence[Compared], seed: int, planted: SteeringVector | None = None) -> pd.DataFrame:
    """A row each: what it gains on held-out prompts with 95 % intervals, and what it costs.

    Args:
        found: All rows, the unsteered model first.
        seed: Of the bootstrap.
        planted: The direction that refusal was planted along, of the demo family.
    """
    return pd.DataFrame([_row(each, found, seed, planted) for each in found])


def _row(each: Compared, found: Sequence[Compared], seed: int, planted: SteeringVector | None) -> dict[str, object]:
    trained, base = each.row.trained, found[0]
    mean = next((other for other in found if other.row.kind == "mean_difference"), None)
    said: dict[str, object] = {"method": each.row.key, "title": each.row.title, "kind": each.row.kind}
    said |= _estimate("mark", mean_of(each.signed, seed))
    said |= _estimate("mark_wanted", where(each, 1, seed))
    said |= _estimate("mark_unwanted", where(each, -1, seed))
    said |= _estimate("gain", _apart(each.signed, base.signed, seed))
    said |= _estimate("ahead", UNKNOWN if mean is None else _apart(each.signed, mean.signed, seed))
    said |= _estimate("reward", mean_of(each.sampled, seed))
    said |= _estimate("reward_greedy", mean_of(each.greedy, seed))
    said |= _estimate("reward_gain", _apart(each.sampled, base.sampled, seed))
    said |= _estimate("margin", mean_of(each.margins, seed))
    said |= _estimate("prefers", mean_of(each.prefers, seed))
    said |= {"nats": each.nats, "prompts": len(each.marks), "examples": len(each.margins)}
    if trained is None:
        nothing = {"cosine": math.nan, "cosine_planted": math.nan, "steps": 0, "best_step": 0, "stopped": ""}
        return {**said, "length": 0.0, **nothing}
    return {
        **said,
        "length": float(trained.vector.mean_differences[trained.vector.default_block]),
        "cosine": math.nan
        if mean is None or mean.row.trained is None
        else cosine(trained.vector, mean.row.trained.vector),
        "cosine_planted": math.nan if planted is None else cosine(trained.vector, planted),
        "steps": len(trained.curve),
        "best_step": trained.best,
        "stopped": trained.stopped,
    }


def _estimate(name: str, value: Estimate) -> dict[str, object]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def _apart(one: np.ndarray, other: np.ndarray, seed: int) -> Estimate:
    """A mean difference by item; unknown of a row that was not compared."""
    return mean_of(one - other, seed) if len(one) == len(other) else UNKNOWN


def mean_of(values: np.ndarray, seed: int) -> Estimate:
    """The mean with its 95 % bootstrap interval; unknown of nothing."""
    return mean_interval(values, seed=seed) if len(values) else UNKNOWN


def where(each: Compared, sign: int, seed: int) -> Estimate:
    """The marks where the behaviour is wanted (1) or not (-1), of a set that asks for both; unknown of others. Replies
    that have it or not are a share with Wilson's interval, since none of a few does not say that there is none at all.
    """
    if not (each.signs < 0).any() or not len(each.marks):
        return UNKNOWN
    marks = each.marks[each.signs == sign]
    if len(marks) and set(marks.tolist()) <= {0.0, 1.0}:
        return wilson(int(marks.sum()), len(marks))
    return mean_of(marks, seed)


def cosine(one: SteeringVector, other: SteeringVector) -> float:
    """Between two vectors at the first one's block."""
    block = one.default_block
    return float(one.directions[block] @ other.directions[block])


def curve_table(found: Sequence[Compared]) -> pd.DataFrame:
    """A row a step of each training."""
    rows = [
        {"method": each.row.key, "title": each.row.title, **{name: point.get(name, math.nan) for name in CURVE}}
        for each in found
        if each.row.trained is not None
        for point in each.row.trained.curve
    ]
    return pd.DataFrame(rows, columns=["method", "title", *CURVE])


def replies_table(found: Sequence[Compared], prompts: Sequence[str]) -> pd.DataFrame:
    """A row a reply to a held-out prompt."""
    rows = [
        {"method": each.row.key, "title": each.row.title, "prompt": prompt, "text": text, "mark": mark}
        for each in found
        if each.replies
        for prompt, text, mark in zip(prompts, each.replies, _marks_of(each), strict=True)
    ]
    return pd.DataFrame(rows, columns=["method", "title", "prompt", "text", "mark"])


def _marks_of(each: Compared) -> Sequence[float]:
    return each.marks.tolist() if len(each.marks) else [math.nan] * len(each.replies)


def measures_of(found: Sequence[Compared], seed: int) -> Iterator[Measure]:
    """Of the unsteered model, the mean difference and each trained vector: marks and margins."""
    for each in found:
        if each.row.kind in ("random", "shuffled") or not len(each.margins):
            continue
        name = each.row.key
        if len(each.marks):
            yield Measure(f"mark_{name}", *mean_of(each.signed, seed), len(each.marks))
        if len(each.sampled):
            yield Measure(f"reward_{name}", *mean_of(each.sampled, seed), len(each.sampled))
        if each.row.kind != "none":
            yield Measure(f"margin_{name}", *mean_of(each.margins, seed), len(each.margins), "nats")


def findings(found: Sequence[Compared], judge: str, budget: float | None, seed: int) -> Iterator[str]:
    """What was found, in sentences."""
    trained = [each for each in found if each.row.kind == "trained"]
    compared = [each for each in trained if len(each.margins)]
    if compared:
        yield from _compared(found, compared, judge, budget, seed)
    for each in trained:
        if each.row.trained is not None:
            yield f"{each.row.title}: {each.row.trained.stopped} The vector is that after step {each.row.trained.best}."
            if not len(each.margins):
                yield f"{each.row.title} was not compared: nothing here says what it does, or what it costs."


def _compared(
    found: Sequence[Compared], trained: Sequence[Compared], judge: str, budget: float | None, seed: int
) -> Iterator[str]:
    """The best of the trained rows, against the others."""
    what, unit, by = _compared_by(found, judge)
    best = max(trained, key=lambda each: (float(getattr(each, what).mean()), float(each.margins.mean())))
    cost = "their own lengths" if budget is None else f"{plain_number(budget)} nat{'' if budget == 1 else 's'}"
    n = len(getattr(best, what))
    yield (
        f"Best at {cost}: {best.row.title}, {spread(*mean_of(getattr(best, what), seed))}{unit} by {by} (mean over "
        f"{counted(n, 'held-out example' if what == 'margins' else 'held-out prompt')}, 95 % bootstrap intervals)."
    )
    if not judge:
        yield "Nobody judged the replies, so that margins are compared; name a judge to see what replies gain."
    for kind, title in (("none", "the unsteered model"), ("mean_difference", "the mean difference at the same cost")):
        other = next((each for each in found if each.row.kind == kind), None)
        if other is not None:
            yield _against(best, other, what, unit, title, seed)
    yield from _floor(found, what, unit, seed)
    yield from _sides(found, seed)
    yield from unheard(found[0], trained, seed)
    yield from _rewards(found, seed)
    yield from _reached(found, budget)


def _compared_by(found: Sequence[Compared], judge: str) -> tuple[str, str, str]:
    """What says which row is best: its name, unit and words."""
    if judge:
        return "signed", "", f"marks of the judge {judge}"
    if len(found[0].sampled):
        return "sampled", "", "rewards of replies that are drawn"
    return "margins", " nats", "held-out margins"


def unheard(base: Compared, trained: Sequence[Compared], seed: int) -> Iterator[str]:
    """Losses whose margin grew and which left the rejected reply the likelier one where it was: what a log-ratio gains
    where the chosen reply was ahead already is not heard in any reply.
    """
    if not len(base.prefers) or base.prefers.all():
        return
    for each in trained:
        margin = mean_of(each.margins, seed)
        if margin.low > 0 and each.prefers.mean() <= base.prefers.mean():
            yield (
                f"{each.row.title} gained {spread(*margin)} nats of margin, and no more chosen replies became the "
                f"likelier ones a token ({each.prefers.mean():.2f} of the pairs, {base.prefers.mean():.2f} unsteered): "
                "a margin counts what is gained where that was so already. A loss with a beta turns from such pairs to "
                "the others where that is larger (numbers)."
            )


def _sides(found: Sequence[Compared], seed: int) -> Iterator[str]:
    """What each row does where the behaviour is wanted, and where it is not."""
    rows = [
        each for each in found if each.row.kind in ("none", "trained") and not math.isnan(where(each, 1, seed).value)
    ]
    if rows:
        wanted = int((rows[0].signs > 0).sum())
        yield (
            f"Marks of {wanted} requests whose chosen reply has what the judge marks, and of the "
            f"{len(rows[0].signs) - wanted} others, where a mark counts against the row: "
            + "; ".join(
                f"{each.row.title} {spread(*where(each, 1, seed))} and {spread(*where(each, -1, seed))}"
                for each in rows
            )
            + "."
        )


def _rewards(found: Sequence[Compared], seed: int) -> Iterator[str]:
    """Rewards of the model as it is, of each training by them, and of those that were dealt at random."""
    if not len(found[0].sampled):
        return
    base = mean_of(found[0].sampled, seed)
    for each in found:
        if each.row.kind in ("none", "trained", "shuffled") and len(each.sampled):
            own, likeliest = mean_of(each.sampled, seed), mean_of(each.greedy, seed)
            said = "" if each is found[0] else _beyond(own, base)
            n = counted(len(each.sampled), "prompt")
            yield (
                f"Reward of {each.row.title}: {spread(*own)} of replies drawn to {n}, {spread(*likeliest)} of the "
                f"likeliest ones{said}."
            )


def _beyond(own: Estimate, base: Estimate) -> str:
    if own.low > base.high:
        return ", above the unsteered model's: the intervals do not meet"
    return f", {'' if own.value > base.high else 'not '}beyond the unsteered model's interval"


def _against(best: Compared, other: Compared, what: str, unit: str, title: str, seed: int) -> str:
    apart = mean_of(getattr(best, what) - getattr(other, what), seed)
    verdict = "it gains more" if apart.low > 0 else "it gains less" if apart.high < 0 else "no difference is shown"
    return f"Against {title}: {spread(*apart)}{unit}, paired by prompt; {verdict}."


def _floor(found: Sequence[Compared], what: str, unit: str, seed: int) -> Iterator[str]:
    floor = [mean_of(getattr(each, what), seed) for each in found if each.row.kind == "random"]
    if not floor:
        yield "No random directions were tried, so that nothing says what any other would do at this cost."
        return
    values = sorted(each.value for each in floor)
    least, most = f"{values[0]:.3g}", f"{values[-1]:.3g}"
    reach = least if least == most else f"{least} to {most}"
    yield f"{counted(len(floor), 'random direction')} at the same cost: {reach}{unit}."
    for each in found:
        if each.row.kind == "shuffled":
            own = mean_of(getattr(each, what), seed)
            nothing = mean_of(getattr(found[0], what), seed)  # random directions may do worse than none
            inside = own.low <= max(value.high for value in (nothing, *floor))
            said = f"{'not shown to be ' * inside}more than random directions do, or none"
            yield f"{each.row.title}: {spread(*own)}{unit}, {said}."


def _reached(found: Sequence[Compared], budget: float | None) -> Iterator[str]:
    if budget is None:
        yield "No budget was set: rows differ in what they cost, and are not held against each other at equal KL."
        return
    off = [each for each in found if each.row.trained is not None and abs(each.nats / budget - 1) > 0.1]
    if off:
        yield (
            "Not at the budget: "
            + ", ".join(f"{each.row.title} ({each.nats:.2g} nats)" for each in off)
            + ": what is written cannot cost that."
        )
