"""What a dictionary's health is measured on."""

from __future__ import annotations

from pydantic import Field, field_validator

from steering.studies.features.dictionary_settings import FIRST_TOKEN, READ_AS, TextsSettings
from steering.studies.features.sources import Kind
from steering.studies.setting_kinds import once, typed_list


class HealthSettings(TextsSettings):
    """Which dictionary, and on which texts."""

    kinds: tuple[Kind, ...] = Field(("chat", "plain"), min_length=1, description=READ_AS)
    first_token: bool = FIRST_TOKEN
    loss: bool = Field(True, description="Whether the model's loss with states replaced is measured: five passes more.")
    resamples: int = Field(1000, ge=100, le=20_000, description="Bootstrap draws of texts behind the intervals.")

    _typed = field_validator("kinds", mode="before")(typed_list)
    _once = field_validator("kinds")(once)
