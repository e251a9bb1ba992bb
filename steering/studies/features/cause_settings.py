"""What can be set in the study of what features cause."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from steering.studies.features.dictionary_settings import MOST_FEATURES, DictionarySettings, FeatureNumbers
from steering.studies.setting_kinds import ContrastSource, TextSource, typed_list


Behaviour = Literal["refusal", "difference"]
Do = Literal["off", "up", "both"]


class CauseSettings(DictionarySettings):
    """Which features, of which behaviour, and beside what."""

    writes = True

    features: FeatureNumbers = Field(
        (), description="Features, by number; those that add most to the logit difference where empty."
    )
    n_features: int = Field(8, ge=1, le=MOST_FEATURES, description="How many are taken where none is named.")
    behaviour: Behaviour = Field(
        "refusal", description="refusal: replies are judged, too. difference: the logit difference alone."
    )
    do: Do = Field("both", description="off: switched off on target prompts. up: turned up on control ones. both.")
    times: float = Field(0.5, gt=0, le=100, description="How far up: in typical maxima of each feature.")
    data: ContrastSource = Field(
        "", description="Prompts of two kinds: demo, general, a contrast set or its file; the model's own where empty."
    )
    target: TextSource = Field("", description="List of target texts instead of data: a file, or hub:owner/name.")
    control: TextSource = Field("", description="List of control texts that goes with target.")
    column: str = Field("", description="Column of the lists that holds the texts.")
    toward: tuple[str, ...] = Field(
        (), description="First tokens of what is done on target prompts, as text or #id; found where empty."
    )
    against: tuple[str, ...] = Field((), description="First tokens of what is done on control prompts; found likewise.")
    system: str = Field("", description="System prompt before every prompt; none where empty.")
    n_train: int = Field(64, ge=4, le=5000, description="The most prompts a side on which features are chosen.")
    n_test: int = Field(40, ge=2, le=5000, description="The most prompts a side on which effects are measured.")
    random_sets: int = Field(5, ge=0, le=50, description="Sets of random features of equal activity.")
    each: bool = Field(True, description="Whether replies are judged with each feature changed alone, too.")
    reply_tokens: int = Field(32, ge=1, le=4096, description="The most tokens of a reply.")

    _typed = field_validator("toward", "against", mode="before")(typed_list)
