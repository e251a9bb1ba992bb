"""What is wrong with a set of statement pairs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from steering.texts.statements import StatementPair, Statements


def faults(given: Statements) -> Iterator[str]:
    """What is wrong, first things first."""
    ids: dict[str, int] = {}
    where: dict[str, StatementPair] = {}
    some = any(pair.fold for pair in given.pairs)
    for number, pair in enumerate(given.pairs, start=1):
        if pair.id in ids:
            yield f"pairs {ids[pair.id]} and {number} have the id '{pair.id}'; every pair needs its own."
        ids[pair.id] = number
        if pair.safe.casefold() == pair.harmful.casefold():
            yield f"both halves of pair '{pair.id}' are '{pair.safe}'; they must differ."
        if some and not pair.fold:
            yield f"pair '{pair.id}' has no fold, and others have."
        for what in (f"'{pair.safe}'", f"'{pair.harmful}'", *([f"the group {pair.group}"] if pair.group else [])):
            other = where.setdefault(what.casefold(), pair)
            if other.fold != pair.fold:
                yield f"{what} stands in the pairs '{other.id}' and '{pair.id}', which lie in different folds."
    if some and len({pair.fold for pair in given.pairs}) < 2:
        yield "all pairs lie in one fold."
