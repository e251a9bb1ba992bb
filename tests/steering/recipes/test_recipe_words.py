"""A recipe in words says everything that the run did."""

from __future__ import annotations

import pytest

from steering.extraction.extract import extract
from steering.recipes import nats
from steering.recipes.applied import applied
from steering.recipes.nats import calibrated
from steering.recipes.recipe import GateSettings, Intervention, Recipe
from steering.recipes.words import in_words
from steering.texts.contrast import ContrastSet
from workbench.cli.commands import first_strength


@pytest.fixture(scope="module")
def vectors(demo):
    return {"tone": extract(demo, ContrastSet.load("formality"), name="tone")}


def test_mode_vector_strength_unit_blocks_and_condition_are_told(demo, vectors) -> None:
    own = vectors["tone"].default_block
    steps = {
        Intervention(vector="tone", strength=0.5): f"Add tone, 0.5 × mean difference at block {own}",
        Intervention(vector="tone", mode="ablate", blocks="everywhere"): (
            "Ablate tone, 1 of the projection at every block's input, attention and MLP output, "
            f"with the direction of block {own}"
        ),
        Intervention(
            vector="tone", mode="rotate", strength=-20, blocks=(1, 2)
        ): "Rotate tone, -20 degrees at block 1, 2",
        Intervention(vector="tone", mode="clamp", strength=2, unit="raw", blocks="all"): (
            "Clamp tone, 2 raw at every block, each with its own direction"
        ),
        Intervention(vector="tone", gate=GateSettings(vector="tone", side="below")): (
            f"Add tone, 1 × mean difference at block {own}, where tone is below 0.5 × mean difference"
        ),
    }
    recipe = Recipe(interventions=tuple(steps))
    assert applied(demo, recipe, vectors) == list(steps.values())


def test_nats_tell_what_they_came_to(demo, vectors, monkeypatch) -> None:
    few = nats.calibration_prompts()[:4]
    monkeypatch.setattr(nats, "calibration_prompts", lambda: few)
    step = Intervention(vector="tone", strength=1.0, unit="nats")
    found = calibrated(demo, step, vectors)
    (line,) = applied(demo, Recipe(interventions=(step,)), vectors)
    assert f"1 nat (= {found.strength:.3g} × mean difference = " in line
    assert f" raw; measured {found.measured:.3g} nats)" in line


def test_a_first_strength_is_the_suggestion_in_the_unit_asked_for(vectors) -> None:
    tone = vectors["tone"]
    block, suggested = tone.default_block, tone.suggested_strength
    apart, norm = float(tone.mean_differences[block]), float(tone.residual_norms[block])
    expected = {
        ("add", "mean_difference"): suggested,
        ("add", "raw"): suggested * apart,
        ("clamp", "residual_norm"): suggested * apart / norm,
        ("rotate", "mean_difference"): 30,
        ("ablate", "raw"): 1,
        ("add", "nats"): 1,
    }
    for (mode, unit), strength in expected.items():
        assert first_strength(tone, {"mode": mode, "unit": unit}) == pytest.approx(strength)


def test_a_recipe_alone_is_told_too() -> None:
    steps = {
        Intervention(vector="tone", strength=0.5): "Add tone, 0.5 × its own length at its own block",
        Intervention(vector="tone", unit="nats", strength=2, scope="generated"): (
            "Add tone, 2 nats at its own block, on generated tokens only"
        ),
        Intervention(vector="tone", others=("fact",), mode="ablate", blocks="everywhere"): (
            "Ablate tone + fact, 1 of the projection everywhere, with the direction of its own block"
        ),
        Intervention(vector="tone", mode="erase", blocks=(1, 2), scope=(3, 4)): (
            "Erase tone at block 1, 2, on the prompt's tokens 3, 4"
        ),
        Intervention(vector="tone", mode="clamp", strength=2, unit="raw", blocks="all"): (
            "Clamp tone, 2 raw at every block, each with its own direction"
        ),
    }
    assert in_words(Recipe(interventions=tuple(steps))) == list(steps.values())
