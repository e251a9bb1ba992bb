"""Which features are looked for, and by what."""

from __future__ import annotations

from pydantic import Field

from steering.studies.features.dictionary_settings import (
    FIRST_TOKEN,
    MOST_FEATURES,
    READ_AS,
    FeatureNumbers,
    TextsSettings,
)
from steering.studies.features.output_score import FACTOR, PROMPT
from steering.studies.features.pooled import POOLS, Pool
from steering.studies.features.sources import Kind
from steering.studies.setting_kinds import ContrastSource, LongText, TextSource, VectorName, WithVectors


class FeaturesSettings(TextsSettings, WithVectors):
    """Which features are looked for, and by what."""

    contrast: ContrastSource = Field(
        "harm", description="A contrast set: features that tell its sides apart are found; none where empty."
    )
    also: ContrastSource = Field(
        "", description="Another contrast set, whose features are found and shown beside those of the first."
    )
    prompt: LongText = Field("", description="A prompt: the features that it activates are found; none where empty.")
    system: LongText = Field("", description="System prompt before that prompt; none where empty.")
    vector: VectorName = Field("", description="A vector: the features that it is made of are found; none where empty.")
    features: FeatureNumbers = Field((), description="Features that are shown whatever else is found, by number.")
    own_texts: TextSource = Field("", description="A list of texts that are read too, for snippets and typical maxima.")
    n: int = Field(12, ge=1, le=MOST_FEATURES, description="The most features that are found by each way.")
    texts_n: int = Field(200, ge=2, le=100_000, description="The most texts of the list, and of each side of the set.")
    kind: Kind = Field("chat", description=READ_AS)
    pool: Pool = Field(
        "max", description="One number a text: " + "; ".join(f"{name}: {says}" for name, says in POOLS.items()) + "."
    )
    parts: int = Field(8, ge=1, le=100, description="The most features that a vector is taken apart into.")
    snippets: int = Field(3, ge=0, le=50, description="Texts shown of each feature, those where it is most active.")
    effect: bool = Field(True, description="Whether every feature shown is turned up once, for its output score.")
    effect_prompt: str = Field(
        PROMPT, description="What the model goes on from when a feature is turned up; plain text."
    )
    effect_factor: float = Field(
        FACTOR, gt=0, le=1000, allow_inf_nan=False, description="Times the largest activation at its last token."
    )
    first_token: bool = FIRST_TOKEN
    beside_random: bool = Field(
        True,
        description="Whether as many random directions are held against the contrast set, too; two readings more.",
    )
    permutations: int = Field(1000, ge=100, le=20_000, description="Behind the corrected p-values.")
    replies: int = Field(
        2,
        ge=0,
        le=50,
        description="Of each contrast set: prompts of every kind that are answered without and with features changed.",
    )
    replies_up: float = Field(
        0.5,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="How far features are turned up in these replies, in typical maxima of each.",
    )
    replies_tokens: int = Field(40, ge=1, le=4096, description="The most tokens of such a reply.")
    keep: int = Field(
        4,
        ge=0,
        le=100,
        description="How many features shown become vectors, the first ones; with any, those changed in replies, too.",
    )
