"""The feature of a dictionary that tells a concept's texts apart best, as a vector."""

from __future__ import annotations

import numpy as np

from steering.errors import SteeringError
from steering.extraction.features import typical_maxima, vector_of_feature
from steering.extraction.reading import Reading
from steering.model.host import Host
from steering.studies.axbench.concepts import Concept
from steering.studies.features.chosen import check_written, dictionary_of
from steering.studies.features.pooled import pooled
from steering.studies.features.reading import read_features, within_context
from steering.studies.features.telling import Sides, against_chance
from steering.vectors.vector import SteeringVector


_PERMUTATIONS = 100
"""Behind p-values that nobody asks for here."""


def feature_vector(host: Host, source: str, concept: Concept) -> SteeringVector:
    """The feature whose mean activation over a text is most raised on the training texts with the concept, as long as
    its typical maximum on these. Call on the model thread.

    Raises:
        SteeringError: No such dictionary, one that is read only, or no feature that is more active with the concept.
    """
    check_written(host, source)
    dictionary, _ = dictionary_of(host, source)
    sides = [concept.contrast.side(which, "train") for which in ("positive", "negative")]
    prompts = Reading().prompts(host, [each.messages for side in sides for each in side], to_the_end=False)
    prompts, _ = within_context(host, prompts)
    activations = pooled(read_features(host, prompts, dictionary), "mean")
    n = len(sides[0])
    told = against_chance(Sides(activations[:n], activations[n:], False), permutations=_PERMUTATIONS, seed=0)
    statistic = np.nan_to_num(told.statistic, nan=-np.inf)
    best = int(statistic.argmax())
    if not statistic[best] > 0:
        raise SteeringError(
            f"No feature of '{dictionary.name}' is more active on texts with '{concept.name}'.",
            "a dictionary whose features know it.",
            "Take another dictionary.",
        )
    maxima, _ = typical_maxima(host, dictionary, [best], [(prompt, ()) for prompt in prompts[:n]])
    vector = vector_of_feature(host, dictionary, best, maximum=float(maxima[0]), read_on="texts with the concept")
    return vector.renamed(f"{concept.name}, feature {best}")
