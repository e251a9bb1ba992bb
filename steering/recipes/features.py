"""Features as recipes name them: by vectors that know their dictionary, which is checked before it is used."""

from __future__ import annotations

from collections.abc import Sequence

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.edits import EditFeatures, FeatureEdit
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.vectors.feature import Feature
from steering.vectors.vector import SteeringVector


def feature_of(vector: SteeringVector) -> Feature:
    """The feature that a vector is the direction of.

    Raises:
        SteeringError: It is none.
    """
    if vector.feature is None:
        raise SteeringError(
            f"The vector '{vector.name}' is no feature of a dictionary.",
            "a vector made from a feature, whose activation can be clamped, scaled or switched off.",
            "Add or ablate it instead, or put a feature on the shelf.",
        )
    return vector.feature


def dictionary_of(vector: SteeringVector) -> Dictionary:
    """The dictionary of a vector's feature, as it was when the vector was made.

    Raises:
        SteeringError: The vector is no feature; its dictionary is gone, is another one by now, or does not lie where
            the vector is written.
    """
    feature = feature_of(vector)
    try:
        dictionary = load_dictionary(feature.dictionary)
    except SteeringError as error:
        raise SteeringError(
            f"The vector '{vector.name}' is {feature.words}, which cannot be read: {error.given}",
            f"the dictionary that it was made from, digest {feature.digest[:12]}. {error.expected}".strip(),
            error.remedy or "Put the dictionary back, or add the vector instead, which needs no dictionary.",
        ) from error
    if dictionary.digest != feature.digest:
        raise SteeringError(
            f"The vector '{vector.name}' is {feature.words}, and the dictionary there is another one by now: its "
            f"digest is {dictionary.digest[:12]}.",
            f"the dictionary with the digest {feature.digest[:12]}.",
            "Put that one back, or make the vector again from the feature that you mean.",
        )
    if dictionary.gives != (vector.default_block, vector.site):
        block, site = dictionary.gives
        raise SteeringError(
            f"The vector '{vector.name}' is written at block {vector.default_block}, {vector.site}.",
            f"block {block}, {site}, where its dictionary gives its states.",
            "Make the vector again from the feature.",
        )
    return dictionary


def feature_edit(vectors: Sequence[SteeringVector], kind: FeatureEdit, strength: float) -> EditFeatures:
    """The edit of one or more features of one dictionary, each by its own typical maximum where it is no factor.

    Args:
        vectors: Each a feature.
        kind: What is done.
        strength: A factor of the activation (scale), or of the typical maximum.

    Raises:
        SteeringError: As `dictionary_of`; features of different dictionaries, or one twice.
    """
    features, first = [feature_of(vector) for vector in vectors], vectors[0]
    for vector, feature in zip(vectors[1:], features[1:], strict=True):
        if feature.digest != features[0].digest:
            raise SteeringError(
                f"'{first.name}' is {features[0].words}, and '{vector.name}' is {feature.words}.",
                "features of one dictionary: several are changed by what one dictionary reads.",
                "Give each dictionary its own intervention.",
            )
    named = [feature.index for feature in features]
    if len(set(named)) < len(named):
        raise SteeringError(
            f"{' and '.join(repr(vector.name) for vector in vectors)} name a feature twice.",
            "each feature once.",
            "Leave one of them out.",
        )
    factors = [1.0 if kind == "scale" else feature.maximum for feature in features]
    return EditFeatures(dictionary_of(first), tuple(named), tuple(strength * factor for factor in factors), kind)
