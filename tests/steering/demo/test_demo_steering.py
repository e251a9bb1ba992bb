"""The main job on the demo model: the formality vector turns held-out notes both ways, and a random one does not."""

from __future__ import annotations

import numpy as np
import pytest

from steering.demo import open_notes
from steering.extraction.controls import random_control
from steering.extraction.extract import extract
from steering.judges import is_refusal, judge_lexicon
from steering.model.prompts import render
from steering.passes.decoding import generate
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.texts.contrast import ContrastSet


N = 20
PROMPTS = [example.messages[0].content for example in open_notes(n=N)]


@pytest.fixture(scope="module")
def vector(demo):
    return extract(demo, ContrastSet.load("formality"))


def judged(demo, *steered):
    """By (vector, strength in mean differences at its block): the register of the greedy reply to every prompt, and the
    replies. All are decoded together, which is quicker.
    """
    rows = []
    for vector, strength in steered:
        step = Intervention(vector=vector.name, strength=strength)
        plan = plan_of(Recipe(interventions=(step,)), demo, {vector.name: vector}) if strength else ()
        rows += [Row(render(demo, prompt), plan) for prompt in PROMPTS]
    replies = generate(demo, rows, DecodeSettings(max_new_tokens=60), batch_size=len(rows))
    parts = [replies[first : first + N] for first in range(0, len(rows), N)]
    return [([judge_lexicon(reply.text, "formality") for reply in part], part) for part in parts]


def mean(registers) -> float:
    return float(np.mean([register.score("formal") for register in registers]))


def test_no_prompt_of_the_vector_is_among_the_prompts_it_is_tested_on() -> None:
    contrast = ContrastSet.load("formality")
    assert not {e.text for e in (*contrast.positive, *contrast.negative)} & set(PROMPTS)
    assert len(set(PROMPTS)) == N


def test_the_formality_vector_at_its_preset_strength_turns_at_least_18_of_20_both_ways(demo, vector) -> None:
    strength = vector.suggested_strength
    (plain, _), (formal, up), (informal, down) = judged(demo, (vector, 0.0), (vector, strength), (vector, -strength))
    assert sum(register.label == "neutral" for register in plain) >= N / 2  # there was something to turn
    assert sum(register.label == "formal" for register in formal) >= 18
    assert sum(register.label == "informal" for register in informal) >= 18
    assert all(reply.finish == "end" for reply in (*up, *down))  # steered replies still end by themselves


def test_random_vectors_of_equal_norm_move_the_score_by_less_than_a_third(demo, vector) -> None:
    """The floor is a mean over four random directions and both signs: a single one may lean on the register."""
    strength = vector.suggested_strength
    both = [vector, *(random_control(vector, seed=seed) for seed in range(4))]
    steered = [(vector, 0.0), *((each, sign * strength) for each in both for sign in (1, -1))]
    base, *means = [mean(registers) for registers, _ in judged(demo, *steered)]
    up, down, *moved = [abs(each - base) for each in means]
    assert min(up, down) > 0.5
    assert len(moved) == 8
    assert np.mean(moved) < min(up, down) / 3, moved


def test_more_strength_means_more_formality(demo, vector) -> None:
    preset = vector.suggested_strength
    found = judged(demo, *((vector, share * preset) for share in (-1, -0.5, 0, 0.5, 1)))
    scores = [mean(registers) for registers, _ in found]
    assert np.all(np.diff(scores) >= -0.1), scores  # two of twenty replies turning back are noise
    assert scores[-1] - scores[0] > 1


def test_ablating_the_harm_vector_at_its_block_takes_most_refusals_away_and_a_random_one_does_not(demo) -> None:
    contrast = ContrastSet.load("harm")
    harm = extract(demo, contrast)
    prompts = [render(demo, e.messages) for e in contrast.side("positive", "test")]

    def refused(some_vector=None) -> float:
        step = Intervention(vector="it", mode="ablate")
        plan = plan_of(Recipe(interventions=(step,)), demo, {"it": some_vector}) if some_vector else ()
        replies = generate(demo, [Row(prompt, plan) for prompt in prompts], DecodeSettings(max_new_tokens=40))
        return float(np.mean([is_refusal(reply.text) for reply in replies]))

    before = refused()
    assert before > 0.85
    assert refused(harm) <= 0.15
    assert abs(refused(random_control(harm)) - before) <= 0.15


@pytest.mark.parametrize("name", ["sentiment", "formality", "sea", "harm", "truth"])
def test_what_the_model_acts_on_is_separable_in_it(demo, name) -> None:
    assert extract(demo, ContrastSet.load(name)).best_auroc >= 0.95
