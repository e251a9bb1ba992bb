"""What a trade-off reads in which order: whole curves on few items first, so that they are seen early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steering.studies.tradeoff.best_of import read_for
from steering.studies.tradeoff.curves import UNSTEERED, Curve
from steering.studies.tradeoff.items import Chunk, Item, Treatment
from steering.studies.tradeoff.measures import Measure, Score


AXES = ("alignment", "helpfulness")


@dataclass(frozen=True, eq=False)
class Asked:
    """A measure with its items."""

    measure: Measure
    chunks: tuple[Chunk, ...]
    score: Score

    @property
    def items(self) -> tuple[Item, ...]:
        """All items."""
        return tuple(item for chunk in self.chunks for item in chunk.items)


def steps(curves: Sequence[Curve], asked: Mapping[str, Asked]) -> Iterator[tuple[Chunk, str, list[Treatment]]]:
    """Chunk after chunk with what is read on it: in each round both axes, the floor, then the rest. Random directions
    are read on the two axes only.

    Args:
        curves: All of them.
        asked: By role.
    """
    main = [curve for curve in curves if not curve.floor]
    floor = [curve for curve in curves if curve.floor]
    for number in range(max(len(each.chunks) for each in asked.values())):
        begun = set[Chunk]()
        for some, roles in ((main, AXES), (floor, AXES), (main, tuple(asked))):
            treatments = distinct(some)
            for role in roles:
                own = asked[role].chunks[number : number + 1]
                known = some is main and own and own[0] in begun
                if own and treatments and not known:
                    if some is main:
                        begun.add(own[0])
                    yield own[0], asked[role].measure.title, read_for(own[0], treatments)


def distinct(curves: Sequence[Curve]) -> list[Treatment]:
    """All treatments, each once, the unsteered one first."""
    found = {UNSTEERED.key: UNSTEERED} if curves else {}
    for curve in curves:
        for treatment in curve.treatments:
            found.setdefault(treatment.key, treatment)
    return list(found.values())
