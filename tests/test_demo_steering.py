"""The main job on the demo model: the sentiment vector turns held-out reviews both ways, and a random one does not."""

from __future__ import annotations

import numpy as np
import pytest

from steering.contrast import ContrastSet
from steering.controls import random_control
from steering.decoding import DecodeSettings, generate
from steering.demo import open_reviews
from steering.extraction.extract import extract
from steering.judges import judge_tone
from steering.prompts import render
from steering.recipes import Intervention, Recipe
from steering.tracing import Row


N = 20
PROMPTS = [example.messages[0].content for example in open_reviews(n=N)]


@pytest.fixture(scope="module")
def vector(demo):
    return extract(demo, ContrastSet.load("sentiment"))


def judged(demo, vector, strength: float):
    """The tone of the reply to every prompt at a strength in mean differences, at the vector's own block, greedy."""
    step = Intervention(vector=vector.name, strength=strength)
    plan = Recipe(interventions=(step,)).plan(demo, {vector.name: vector}) if strength else ()
    replies = generate(demo, [Row(render(demo, prompt), plan) for prompt in PROMPTS], DecodeSettings(max_new_tokens=60))
    return [judge_tone(reply.text) for reply in replies], replies


def test_no_prompt_of_the_vector_is_among_the_prompts_it_is_tested_on() -> None:
    contrast = ContrastSet.load("sentiment")
    assert not {e.text for e in (*contrast.positive, *contrast.negative)} & set(PROMPTS)
    assert len(set(PROMPTS)) == N


def test_the_sentiment_vector_at_its_preset_strength_turns_at_least_18_of_20_both_ways(demo, vector) -> None:
    strength = vector.suggested_strength
    plain, _ = judged(demo, vector, 0.0)
    cheerful, up = judged(demo, vector, strength)
    gloomy, down = judged(demo, vector, -strength)
    assert sum(tone.label == "neutral" for tone in plain) >= N / 2  # there was something to turn
    assert sum(tone.label == "cheerful" for tone in cheerful) >= 18
    assert sum(tone.label == "gloomy" for tone in gloomy) >= 18
    assert all(reply.finish == "end" for reply in (*up, *down))  # steered replies still end by themselves


def test_random_vectors_of_equal_norm_move_the_score_by_less_than_a_third(demo, vector) -> None:
    def mean(some_vector, strength: float) -> float:
        return float(np.mean([tone.score for tone in judged(demo, some_vector, strength)[0]]))

    strength, base = vector.suggested_strength, mean(vector, 0.0)
    smallest = min(abs(mean(vector, sign * strength) - base) for sign in (1, -1))
    assert smallest > 0.5
    for seed in range(3):
        control = random_control(vector, seed=seed)
        moved = max(abs(mean(control, sign * strength) - base) for sign in (1, -1))
        assert moved < smallest / 3, seed


def test_more_strength_means_more_cheer(demo, vector) -> None:
    scores = [np.mean([t.score for t in judged(demo, vector, s)[0]]) for s in (-1, -0.5, 0, 0.5, 1)]
    assert np.all(np.diff(scores) >= -0.1), scores  # one of twenty replies turning back is noise
    assert scores[-1] - scores[0] > 1


def test_ablating_the_vector_everywhere_takes_the_asked_tone_away(demo, vector) -> None:
    contrast = ContrastSet.load("sentiment")
    prompts = [render(demo, e.messages) for e in contrast.side("positive", "test")]
    recipe = Recipe(interventions=(Intervention(vector=vector.name, mode="ablate", blocks="everywhere"),))
    plan = recipe.plan(demo, {vector.name: vector})

    def cheer(plan) -> float:
        replies = generate(demo, [Row(prompt, plan) for prompt in prompts], DecodeSettings(max_new_tokens=60))
        return float(np.mean([judge_tone(reply.text).score for reply in replies]))

    asked = cheer(())
    assert asked > 0.8
    assert cheer(plan) < asked - 0.4


@pytest.mark.parametrize("name", ["sentiment", "harm", "truth", "demo-topics"])
def test_every_preset_is_separable_in_the_demo_model(demo, name) -> None:
    assert extract(demo, ContrastSet.load(name)).best_auroc >= (0.75 if name == "truth" else 0.95)
