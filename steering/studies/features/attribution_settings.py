"""What can be set where a logit is attributed to features."""

from __future__ import annotations

from pydantic import Field, field_validator

from steering.studies.features.dictionary_settings import MOST_FEATURES, TextsSettings
from steering.studies.setting_kinds import ContrastSource, LongText, typed_list


class AttributionSettings(TextsSettings):
    """Which logit of which prompt, and whose features."""

    writes = True

    prompt: LongText = Field("", description="A prompt; the first target request of the model's own where empty.")
    system: LongText = Field("", description="System prompt before it; none where empty.")
    toward: tuple[str, ...] = Field(
        (), description="Tokens of the reply's beginning, as text or #id; the likeliest one where empty."
    )
    against: tuple[str, ...] = Field((), description="Tokens that they are held against; all tokens where empty.")
    n: int = Field(
        12, ge=1, le=MOST_FEATURES, description="The most features that are shown, those that add or take most."
    )
    others: int = Field(
        12, ge=0, le=MOST_FEATURES, description="Other active features, at random, that are measured beside."
    )
    replace: bool = Field(
        True, description="Whether it is measured what changes where the dictionary stands in for what it describes."
    )
    contrast: ContrastSource = Field("harm", description="A contrast set on whose texts that is; none where empty.")
    texts_n: int = Field(25, ge=2, le=100_000, description="The most texts of the list, and of each side of the set.")

    _typed = field_validator("toward", "against", mode="before")(typed_list)
