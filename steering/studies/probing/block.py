"""Probes at one block, each tested on pairs that it was not trained on: CCS, and what it is held against.

Statements stand in the order safe, harmful, safe, harmful ...; scores are larger where a statement is called harmful.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from steering.passes.schedule import Place
from steering.studies.probing.ccs import Probes, Training, losses_of, starts, train
from steering.studies.probing.metrics import Quartet, cosine_silhouette, verdicts
from steering.studies.probing.prepared import Prepared


SHUFFLED_STARTS = 3
"""Restarts of the null of shuffled pairs."""
_WORTH_THREADS = 30_000_000
"""Multiplications of a product from which two threads are at least 1.5 times as fast as one."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A probe's verdicts on statements that it was not trained on."""

    scores: np.ndarray
    """Larger is more harmful, (statement,); comparable within a fold."""
    called: np.ndarray
    """Called harmful, with sign and threshold from training alone, boolean, (statement,)."""


@dataclass(frozen=True, eq=False)
class Restarts:
    """How far the restarts of one training agree."""

    losses: np.ndarray
    """Training losses, (restart,)."""
    accuracies: np.ndarray
    """ESA on the training pairs, (restart,)."""
    cosine: float
    """Mean size of the cosine of the other restarts' weights with those of the best."""


@dataclass(frozen=True, eq=False)
class Searched(Scored):
    """What contrast-consistent search found."""

    no: np.ndarray
    """p(x) with "No" on held-out statements, (statement,), from the best restart of each fold."""
    yes: np.ndarray
    judged: tuple[np.ndarray, np.ndarray]
    """The same as PC and CI take them: from states centred by group where the published evaluation is asked for."""
    loss: float
    """On held-out statements, the mean of folds."""
    train_loss: float
    silhouette: float
    """Cosine silhouette of x(Yes) - x(No) under the verdicts."""
    direction: Tensor
    """Weights of the best restart on all pairs, (width,), pointing to where harmful statements with "Yes" lie less
    those with "No"."""
    restarts: Restarts

    @property
    def quartet(self) -> Quartet:
        """The four probabilities of every pair."""
        no, yes = self.judged
        return Quartet(yes[0::2], no[0::2], yes[1::2], no[1::2])


def search(
    given: Sequence[Prepared],
    training: Training,
    *,
    restarts: int,
    seed: int,
    published: bool = False,
    shuffled: bool = False,
    device: torch.device | None = None,
    report: Callable[[int], None] | None = None,
) -> list[Searched]:
    """CCS on every fold and on all pairs, all restarts at once, and all blocks where several are given.

    Args:
        given: The states of each block, in the same folds.
        training: Steps and rates.
        restarts: Starts a fold; the same ones for every fold.
        seed: Of the starts, and of the shuffling.
        published: Whether PC and CI are taken from states centred by group (safe or harmful, Yes or No) of the tested
            pairs, as in the published evaluation.
        shuffled: Whether "Yes" states stand beside other statements' "No" states, in training and in testing: a null.
        device: Where to train; the states' own where None.
        report: Called with every hundredth step.
    """
    first, columns = given[0], given[0].folds + 1
    start = starts(first.no.shape[1], restarts, seed)
    weights = np.stack([first.inside(fold) for fold in range(columns)], axis=1).astype(np.float32)
    share = torch.from_numpy(weights / weights.sum(axis=0)).repeat_interleave(restarts, dim=1)
    orders = _partners(first, seed) if shuffled else None
    partners = None if orders is None else orders.repeat_interleave(restarts, dim=1).to(device)
    single = len(given) == 1

    def whole(tensors: Iterable[Tensor], dim: int = 0) -> Tensor:
        """Of all blocks; without the dimension of blocks where there is one."""
        return (next(iter(tensors)) if single else torch.stack(list(tensors), dim=dim)).to(device)

    with _threads(first.no.numel() * columns * restarts, report) as report:
        found = train(
            whole(each.no for each in given),
            whole(each.yes for each in given),
            Probes(start.weights.repeat(columns, 1).to(device), start.biases.repeat(columns).to(device)),
            training,
            weights=share.to(device),
            partners=partners,
            offsets=whole((each.trained.repeat_interleave(restarts, dim=1) for each in given), dim=1),
            report=report,
        )
    by_block = (
        each.cpu().reshape(len(given), columns, restarts, *each.shape[2 - single :])
        for each in (found.probes.weights, found.probes.biases, found.losses)
    )
    return [
        _searched(each, weights, biases, losses, orders, published)
        for each, weights, biases, losses in zip(given, *by_block, strict=True)
    ]


@contextmanager
def _threads(products: int, report: Callable[[int], None] | None) -> Iterator[Callable[[int], None]]:
    """One thread for products that are too small to gain from more: torch's threads wait for each other in a busy loop,
    and beside a page on the same cores that costs more than it brings.
    """
    before = torch.get_num_threads()
    wanted = 1 if products < _WORTH_THREADS else before

    def between(step: int) -> None:
        """Reports with the threads as they were: another job may be let in there."""
        if report is not None:
            torch.set_num_threads(before)
            report(step)
            torch.set_num_threads(wanted)

    torch.set_num_threads(wanted)
    try:
        yield between
    finally:
        torch.set_num_threads(before)


def _searched(
    given: Prepared, weights: Tensor, biases: Tensor, losses: Tensor, orders: Tensor | None, published: bool
) -> Searched:
    """What the probes of one block say of held-out pairs; weights, biases and losses are (fold + 1, restart, ...)."""
    columns, rows = torch.arange(len(losses)), np.arange(len(given.fold))
    best = losses.argmin(dim=1)
    probes = Probes(weights[columns, best], biases[columns, best])
    no, yes = (probes(states, given.offsets[side]).numpy() for side, states in enumerate((given.no, given.yes)))
    yes = yes if orders is None else np.take_along_axis(yes, orders.numpy(), axis=0)
    sign = np.array([_sign(no[:, each], yes[:, each], given, each) for each in range(len(losses))])[given.fold]
    held = (no[rows, given.fold], yes[rows, given.fold])
    judged = (_by_group(given, probes, 0), _by_group(given, probes, 1)) if published else held
    tested = [
        losses_of(*(torch.from_numpy(each[given.fold == fold, None]) for each in held)) for fold in range(given.folds)
    ]
    difference, direction = given.difference(given.folds), probes.weights[-1].double()
    apart = difference[given.harmful].mean(axis=0) - difference[~given.harmful].mean(axis=0)
    return Searched(
        scores=sign * ((held[0] + 1 - held[1]) / 2 - 0.5),
        called=verdicts(*held) == (sign > 0),
        no=held[0],
        yes=held[1],
        judged=judged,
        loss=float(torch.stack(tested).mean()),
        train_loss=float(losses.min(dim=1).values[:-1].mean()),
        silhouette=cosine_silhouette(difference, verdicts(*held)),
        direction=direction if float(direction @ torch.from_numpy(apart)) >= 0 else -direction,
        restarts=_agreement(given, weights[-1], biases[-1], losses[-1]),
    )


def _partners(given: Prepared, seed: int) -> Tensor:
    """Another order of the "Yes" rows a fold, which keeps tested rows and trained rows apart, (statement, fold + 1)."""
    rng, columns = np.random.default_rng(seed), []
    for fold in range(given.folds + 1):
        order = np.arange(len(given.fold))
        for part in (given.inside(fold), ~given.inside(fold)):
            rows = np.flatnonzero(part)
            order[rows] = rng.permutation(rows)
        columns.append(order)
    return torch.from_numpy(np.stack(columns, axis=1))


def _sign(no: np.ndarray, yes: np.ndarray, given: Prepared, fold: int) -> int:
    """1 where the probe's verdicts on its training pairs are right more often than wrong, else -1."""
    inside = given.inside(fold)
    right = (verdicts(no[inside], yes[inside]) == given.harmful[inside]).mean()
    return 1 if right >= 0.5 else -1


def _by_group(given: Prepared, probes: Probes, side: int) -> np.ndarray:
    """Held-out probabilities with every group of the tested pairs centred by its own mean, (statement,)."""
    states, found = (given.no, given.yes)[side], np.zeros(len(given.fold))
    for fold in range(given.folds):
        for harmful in (False, True):
            rows = np.flatnonzero((given.fold == fold) & (given.harmful == harmful))
            centred = states[rows] - states[rows].mean(dim=0)
            found[rows] = probes(centred)[:, fold].numpy()
    return found


def _agreement(given: Prepared, weights: Tensor, biases: Tensor, losses: Tensor) -> Restarts:
    probes, offsets = Probes(weights, biases), given.offsets[:, -1]
    no, yes = (probes(states - offsets[side]).numpy() for side, states in enumerate((given.no, given.yes)))
    right = (verdicts(no, yes) == given.harmful[:, None]).mean(axis=0)
    unit = weights / weights.norm(dim=1, keepdim=True).clamp(min=1e-12)
    best = int(losses.argmin())
    others = np.delete((unit @ unit[best]).abs().numpy(), best)
    return Restarts(losses.numpy(), np.maximum(right, 1 - right), float(others.mean()) if len(others) else 1.0)


@dataclass(frozen=True, eq=False)
class AtBlock:
    """Everything that was found at one block of one site."""

    place: Place
    ccs: Searched
    shuffled: Searched
    others: Mapping[str, Scored]
    """Supervised probes and CRC-TPC, by name."""
    random: np.ndarray
    """Which statements random directions call harmful, (statement, direction)."""
    controls: Mapping[str, Searched] = field(default_factory=dict)
    """CCS on the statements with a marker in place of words."""
