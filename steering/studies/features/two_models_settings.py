"""What can be set where two models are compared by one dictionary."""

from __future__ import annotations

from pydantic import Field

from steering.studies.features.dictionary_settings import FIRST_TOKEN, READ_AS, TextsSettings
from steering.studies.features.sources import Kind


class ShiftSettings(TextsSettings):
    """Which two models, which dictionary, and on which texts."""

    writes = True
    """What it gives is held against both models' states, so that it has to be of one state."""

    reference: str = Field(
        "",
        description="The model that this one was tuned from: a name, folder or Hub id; a demo model's own where empty.",
    )
    texts_n: int = Field(100, ge=4, le=100_000, description="The most texts of the list, and of each side of the set.")
    kind: Kind = Field("chat", description=READ_AS)
    n: int = Field(20, ge=1, le=500, description="The most features that are shown, those that changed most.")
    p: float = Field(0.05, gt=0, lt=1, description="Corrected p-value under which a feature is said to have changed.")
    permutations: int = Field(1000, ge=100, le=20_000, description="Behind the corrected p-values.")
    resamples: int = Field(1000, ge=100, le=20_000, description="Bootstrap draws of texts behind the intervals.")
    first_token: bool = FIRST_TOKEN
