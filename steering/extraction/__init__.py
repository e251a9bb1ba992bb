"""Extraction methods, one a file, and the function that runs them.

A method is a fitter: it sees every training state once, in batches, and then gives one unit direction per block. To add
one, write a class with `update` and `directions` and name it in `METHODS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from steering.extraction.fitter import Fitter
from steering.extraction.mean_difference import MeanDifference
from steering.extraction.pairwise_pca import PairwisePCA


@dataclass(frozen=True)
class Method:
    """A registered method."""

    title: str
    build: Callable[[], Fitter]
    needs_pairs: bool


METHODS: Mapping[str, Method] = {
    "mean_difference": Method("Mean difference", MeanDifference, needs_pairs=False),
    "pairwise_pca": Method("Pairwise PCA, uncentred", PairwisePCA, needs_pairs=True),
}
