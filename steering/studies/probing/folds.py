"""Which pairs are trained on and which are tested on: never one pair, one text or one group of words on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steering.errors import SteeringError
from steering.texts.statements import StatementPair


def fold_of(pairs: Sequence[StatementPair], n: int, seed: int) -> np.ndarray:
    """The fold of every pair, (pair,), from 0.

    Pairs that share a text or a group lie in one fold, which are filled evenly in a random order, large groups first.
    A file's own folds are taken as they are.

    Raises:
        SteeringError: Fewer groups than folds.
    """
    if any(pair.fold for pair in pairs):
        return _indices([pair.fold for pair in pairs])
    joined = _joined(pairs)
    members = [np.flatnonzero(joined == group) for group in range(joined.max() + 1)]
    if len(members) < n:
        raise SteeringError(
            f"The pairs make {len(members)} groups that share no text and no group's words, for {n} folds.",
            "at least as many groups as folds.",
            "Ask for fewer folds, or give the pairs smaller groups.",
        )
    rng = np.random.default_rng(seed)
    order = sorted(rng.permutation(len(members)), key=lambda group: -len(members[group]))
    found, sizes = np.zeros(len(pairs), dtype=int), np.zeros(n, dtype=int)
    for group in order:
        fold = int(sizes.argmin())
        found[members[group]] = fold
        sizes[fold] += len(members[group])
    return found


def _joined(pairs: Sequence[StatementPair]) -> np.ndarray:
    """The group of every pair, (pair,): those that share a text or a group name have one."""
    parents = list(range(len(pairs)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    seen: dict[tuple[str, str], int] = {}
    for index, pair in enumerate(pairs):
        shared = [("text", pair.safe.casefold()), ("text", pair.harmful.casefold())]
        for mark in shared + ([("group", pair.group)] if pair.group else []):
            parents[root(index)] = root(seen.setdefault(mark, index))
    return _indices([root(index) for index in range(len(pairs))])


def _indices(names: Sequence[object]) -> np.ndarray:
    """Numbers from 0 in the order in which names come first."""
    order: dict[object, int] = {}
    return np.array([order.setdefault(name, len(order)) for name in names])
