"""A feature of a sparse dictionary as what a vector stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from steering.errors import SteeringError
from steering.forms.tables import cut_text
from steering.names import short_name


PERCENTILE = 99.5
"""Of a feature's activations where it is active: its typical maximum. The largest of all would hang on one token."""
_LONGEST = 80


@dataclass(frozen=True)
class Feature:
    """Which feature of which dictionary a vector is the direction of, and how active it typically becomes."""

    dictionary: str
    """As `steering.dictionaries.loading.load_dictionary` takes it."""
    digest: str
    """Of the dictionary."""
    index: int
    """Counted from 0."""
    maximum: float
    """Its typical maximum, in the dictionary's own units: the `PERCENTILE`th percentile of its activations where it is
    active.
    """
    read_on: str = ""
    """The texts that the maximum was read on, in words."""

    def __post_init__(self) -> None:
        if self.index < 0 or not math.isfinite(self.maximum) or self.maximum <= 0:
            raise SteeringError(
                f"Feature {self.index} with a typical maximum of {self.maximum}.",
                "a feature from 0, and a finite number above 0.",
                "Read its activations on texts on which it is active.",
            )

    @property
    def words(self) -> str:
        """Such as `feature 123 of demo/block-3-sae`."""
        return f"feature {self.index} of {cut_text(short_name(self.dictionary), _LONGEST)}"

    @property
    def texts(self) -> str:
        """The texts that the maximum was read on, cut where somebody's file says much; "" where it says nothing."""
        return cut_text(" ".join(self.read_on.split()), _LONGEST)
