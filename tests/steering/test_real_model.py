"""Real checkpoints that the project did not train: a happy-minus-sad vector has a dose response."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from steering.extraction.controls import random_control
from steering.extraction.extract import extract
from steering.model.host import Host
from steering.model.prompts import render_text
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.texts.contrast import ContrastSet
from tests.conftest import real_model


pytestmark = [pytest.mark.real_model, pytest.mark.slow]

HEROES = ["girl", "boy", "dog", "bird", "bear", "fish"]
WHO = ["Tom", "Lily", "Ben", "Sue", "Max", "Anna", "The dog", "The cat", "The boy", "The girl"]
HAPPY = ["was very happy and smiled", "laughed with joy", "was so glad and had fun", "smiled because the day was great"]
SAD = ["was very sad and cried", "cried with tears", "was so upset and hurt", "cried because the day was bad"]
HAPPY_WORDS = {
    "happy",
    "smiled",
    "smile",
    "smiling",
    "glad",
    "joy",
    "laughed",
    "laugh",
    "fun",
    "love",
    "loved",
    "great",
    "proud",
}
SAD_WORDS = {
    "sad",
    "cried",
    "cry",
    "crying",
    "upset",
    "tears",
    "hurt",
    "lonely",
    "scared",
    "sorry",
    "bad",
    "angry",
    "afraid",
}
STRENGTHS = (-0.8, -0.4, 0.0, 0.4, 0.8)
"""In mean residual norms at the block."""


def contrast() -> ContrastSet:
    positive = [f"{who} {what}." for who in WHO for what in HAPPY]
    negative = [f"{who} {what}." for who in WHO for what in SAD]
    return ContrastSet.of(positive, negative, name="happy")


def balance(texts: list[str]) -> tuple[int, int]:
    """Happy and sad words in all texts together."""
    words = [word for text in texts for word in re.findall(r"[a-z]+", text.lower())]
    return sum(word in HAPPY_WORDS for word in words), sum(word in SAD_WORDS for word in words)


def shares(host: Host, vector, block: int, strengths=STRENGTHS) -> list[float]:
    """Share of happy among happy and sad words in sampled stories at each strength; add-one, so none is a half."""
    rows, settings = [], []
    for strength in strengths:
        step = Intervention(vector=vector.name, blocks=(block,), strength=strength, unit="residual_norm")
        plan = plan_of(Recipe(interventions=(step,)), host, {vector.name: vector})
        for who, seed in itertools.product(HEROES, range(8)):
            rows.append(Row(render_text(host, f"Once upon a time there was a {who}. One day the {who}"), plan))
            settings.append(DecodeSettings(max_new_tokens=50, temperature=0.8, seed=seed))
    texts = [reply.text for reply in generate(host, rows, settings, batch_size=len(rows))]
    stories = [
        texts[start : start + len(texts) // len(strengths)]
        for start in range(0, len(texts), len(texts) // len(strengths))
    ]
    return [(happy + 1) / (happy + sad + 2) for happy, sad in map(balance, stories)]


@pytest.mark.parametrize(("name", "block"), [("tinystories-chat-3m", 4), ("stories260k", 2)])
def test_happy_minus_sad_has_a_dose_response_and_random_vectors_have_not(name, block, lane) -> None:
    host = Host.load(str(real_model(name)), lane=lane)
    vector = extract(host, contrast(), pooling="mean_content")
    assert vector.auroc[block] > 0.9
    share = shares(host, vector, block)
    # More strength, more happiness. Steps may fall by 0.1: two standard errors of a share of forty words near an end.
    assert all(after > before - 0.1 for before, after in itertools.pairwise(share)), share
    gap = share[-1] - share[0]
    assert gap > 0.5, share
    ends = [shares(host, random_control(vector, seed=seed), block, (-0.8, 0.8)) for seed in range(4)]
    assert abs(np.mean([high - low for low, high in ends])) < gap / 2, ends
