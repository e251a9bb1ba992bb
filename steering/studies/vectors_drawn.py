"""Figures of the vectors that extraction and the comparison of methods made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from steering.studies.figures import Drawn, auroc_of_several
from steering.vectors.figures import auroc_by_block


if TYPE_CHECKING:
    from steering.studies.result import Result


def extract_drawn(result: Result) -> Iterator[Drawn]:
    """AUROC by block of each vector."""
    for name, vector in result.vectors.items():
        if vector.auroc is not None:
            n = sum(vector.provenance.n_validation)
            caption = f"n = {n} held-out prompts; band: 95 % interval by bootstrap; dotted: chance."
            yield f"Held-out AUROC of {name} by block", auroc_by_block(vector), caption


def methods_drawn(result: Result) -> Iterator[Drawn]:
    """AUROC by block of every method."""
    known = {name: vector for name, vector in result.vectors.items() if vector.auroc is not None}
    if known:
        n = sum(next(iter(known.values())).provenance.n_validation)
        caption = f"n = {n} held-out prompts; grey: controls; dotted: chance. Intervals stand in the table."
        yield "Held-out AUROC by block, every method", auroc_of_several(known), caption
