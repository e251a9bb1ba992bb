"""The main job on the demo model: the sentiment vector turns held-out reviews both ways, and a random one does not."""

from __future__ import annotations

import numpy as np
import pytest

from steering.contrast import ContrastSet
from steering.controls import random_control
from steering.decoding import DecodeSettings, generate
from steering.demo import open_reviews
from steering.extraction.extract import extract
from steering.judges import is_refusal, judge_tone
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
    """The floor is a mean over six random directions and both signs: a single one may lean on the tone."""

    def mean(some_vector, strength: float) -> float:
        return float(np.mean([tone.score for tone in judged(demo, some_vector, strength)[0]]))

    strength, base = vector.suggested_strength, mean(vector, 0.0)
    smallest = min(abs(mean(vector, sign * strength) - base) for sign in (1, -1))
    assert smallest > 0.5
    controls = [random_control(vector, seed=seed) for seed in range(6)]
    moved = [abs(mean(control, sign * strength) - base) for control in controls for sign in (1, -1)]
    assert np.mean(moved) < smallest / 3, moved


def test_more_strength_means_more_cheer(demo, vector) -> None:
    preset = vector.suggested_strength
    scores = [np.mean([t.score for t in judged(demo, vector, share * preset)[0]]) for share in (-1, -0.5, 0, 0.5, 1)]
    assert np.all(np.diff(scores) >= -0.1), scores  # two of twenty replies turning back are noise
    assert scores[-1] - scores[0] > 1


def test_ablating_the_harm_vector_at_its_block_takes_most_refusals_away_and_a_random_one_does_not(demo) -> None:
    contrast = ContrastSet.load("harm")
    harm = extract(demo, contrast)
    prompts = [render(demo, e.messages) for e in contrast.side("positive", "test")]

    def refused(some_vector=None) -> float:
        step = Intervention(vector="it", mode="ablate")
        plan = Recipe(interventions=(step,)).plan(demo, {"it": some_vector}) if some_vector else ()
        replies = generate(demo, [Row(prompt, plan) for prompt in prompts], DecodeSettings(max_new_tokens=40))
        return float(np.mean([is_refusal(reply.text) for reply in replies]))

    before = refused()
    assert before > 0.85
    assert refused(harm) < before - 0.4
    assert abs(refused(random_control(harm)) - before) <= 0.15


@pytest.mark.parametrize("name", ["sentiment", "harm"])
def test_what_the_model_acts_on_is_separable_in_it(demo, name) -> None:
    assert extract(demo, ContrastSet.load(name)).best_auroc >= 0.95
