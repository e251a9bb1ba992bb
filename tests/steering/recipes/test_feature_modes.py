"""Features in recipes: a feature is a vector that knows its dictionary, and modes change how active it is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from steering.confines import Confines, confined
from steering.dictionaries.edits import EditFeatures
from steering.dictionaries.loading import load_dictionary
from steering.errors import SteeringError
from steering.extraction.controls import random_control
from steering.extraction.features import typical_maxima, vector_of_feature
from steering.model.host import Host
from steering.model.prompts import render
from steering.passes.decoding import next_token_logits
from steering.passes.rows import Row
from steering.recipes.applied import applied
from steering.recipes.nats import calibrated, calibration_prompts, own_replies
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe
from steering.recipes.words import in_words
from steering.resources import resource
from steering.studies.tradeoff.swept import at_strength, unit_of, with_vector
from steering.vectors.files import load_vector, save_vector
from steering.vectors.gguf import feature_note, load_gguf, save_gguf
from steering.vectors.shown import vector_text
from steering.vectors.strength import in_all_units, to_raw
from steering.vectors.vector import SteeringVector


INDICES = {"loud": 48, "quiet": 7, "deep": 3}


@pytest.fixture(scope="module")
def vectors(demo: Host) -> dict[str, SteeringVector]:
    sae, transcoder = load_dictionary("demo/block-3-sae"), load_dictionary("demo/block-3-transcoder")
    return {
        "loud": vector_of_feature(demo, sae, 48, name="loud"),
        "quiet": vector_of_feature(demo, sae, 7, maximum=2.5, read_on="two notes", name="quiet"),
        "deep": vector_of_feature(demo, transcoder, 3, maximum=2.0, name="deep"),
    }


def _one(**fields: object) -> Recipe:
    return Recipe.model_validate({"interventions": [{"vector": "loud", **fields}]})


def test_a_feature_is_a_vector_of_its_dictionarys_place(demo, vectors) -> None:
    loud, sae = vectors["loud"], load_dictionary("demo/block-3-sae")
    row = sae.sae.W_dec[48]
    assert loud.feature is not None
    assert loud.feature.maximum > 1
    assert (loud.default_block, loud.site) == (3, "block_output")
    torch.testing.assert_close(loud.directions[3], row / row.norm())
    # One typical maximum is what the feature adds there: maximum times decoder row; elsewhere nothing.
    assert to_raw(1.0, "mean_difference", loud, 3) == pytest.approx(loud.feature.maximum * float(row.norm()))
    assert [to_raw(1.0, "mean_difference", loud, block) for block in (0, 1, 2, 4, 5)] == [0.0] * 5
    assert "residual_norm" not in in_all_units(1.0, "mean_difference", loud, 3)  # nobody measured it
    assert loud.check(demo) is loud
    assert (vectors["deep"].default_block, vectors["deep"].site) == (3, "mlp_output")
    told = vector_text(loud)
    assert "feature 48 of demo/block-3-sae" in told
    assert "99.5th percentile where it is active" in told
    assert "mean difference" not in told
    assert "two notes" in vector_text(vectors["quiet"])


def test_its_file_keeps_it_and_a_control_vector_says_what_is_lost(tmp_path: Path, vectors, demo) -> None:
    loud = vectors["loud"]
    back = load_vector(save_vector(loud, tmp_path / "loud.safetensors"))
    assert back.feature == loud.feature
    assert back.content == loud.content
    assert back.content != replace(loud, feature=replace(loud.feature, maximum=9.0)).content
    assert back.digest == replace(loud, feature=None).digest
    plain = load_gguf(save_gguf(loud, tmp_path / "loud.gguf"))
    assert plain.feature is None
    assert float(plain.mean_differences[3]) == pytest.approx(float(loud.mean_differences[3]))
    assert float(plain.mean_differences[4]) == 0
    assert "feature 48 of demo/block-3-sae is lost" in feature_note(loud)
    assert feature_note(plain) == ""
    with pytest.raises(SteeringError, match="nothing is added at the blocks from 1 on"):
        save_gguf(replace(loud, mean_differences=torch.zeros(6)), tmp_path / "none.gguf")
    assert random_control(loud).feature is None


def test_modes_change_activations_and_say_so(demo, vectors) -> None:
    cases = {
        "feature_clamp": ("set", vectors["loud"].feature.maximum * 2, "Clamp feature loud, 2 × typical maximum"),
        "feature_scale": ("scale", 2.0, "Scale feature loud, 2 × its activation"),
        "feature_off": ("scale", 0.0, "Switch feature loud off"),
    }
    for mode, (kind, value, said) in cases.items():
        recipe = _one(mode=mode, strength=2.0)
        (write,) = plan_of(recipe, demo, vectors)
        assert isinstance(write.operation, EditFeatures)
        assert (write.operation.features, write.operation.values, write.operation.kind) == ((48,), (value,), kind)
        assert (write.block, write.site) == (3, "block_output")
        assert in_words(recipe) == [f"{said} at its own block"]
        assert applied(demo, recipe, vectors) == [f"{said} at block 3"]
        assert Recipe.model_validate_json(recipe.to_json()) == recipe
    assert applied(demo, _one(), vectors) == ["Add loud, 1 × typical maximum at block 3"]
    floor = _one(mode="feature_clamp", clamp="floor")
    assert plan_of(floor, demo, vectors)[0].operation.kind == "floor"  # type: ignore[attr-defined]
    assert "kept from falling below" in in_words(floor)[0]
    (deep,) = plan_of(_one(vector="deep", mode="feature_off"), demo, vectors)
    assert deep.operation.reads == (3, "mlp_input")
    assert (deep.block, deep.site) == (3, "mlp_output")


def test_several_features_are_changed_at_once_by_what_the_state_was(demo, vectors) -> None:
    both = _one(mode="feature_clamp", others=["quiet"], strength=3.0)
    (write,) = plan_of(both, demo, vectors)
    maxima = [vectors[name].feature.maximum for name in ("loud", "quiet")]
    assert write.operation.features == (48, 7)  # type: ignore[attr-defined]
    assert write.operation.values == pytest.approx([3 * each for each in maxima])  # type: ignore[attr-defined]
    assert "Clamp feature loud + quiet" in in_words(both)[0]
    prompt = render(demo, "Write a note to my boss about the meeting.")
    found = next_token_logits(
        demo,
        [
            Row(prompt),
            Row(prompt, (write,)),
            Row(prompt, plan_of(_one(mode="feature_clamp", strength=3.0), demo, vectors)),
        ],
    )
    assert (found[1] - found[0]).abs().max() > 0.1
    assert (found[1] - found[2]).abs().max() > 0.01


def test_a_budget_in_nats_is_found_for_a_clamp(demo, vectors) -> None:
    clamp = Intervention(vector="loud", mode="feature_clamp", strength=0.5, unit="nats")
    found = calibrated(demo, clamp, vectors, prompts=calibration_prompts()[:3])
    assert found.measured == pytest.approx(0.5, rel=0.05)
    assert 0.1 < found.strength < 10


def test_a_sweep_knows_what_its_strengths_are(vectors) -> None:
    known = dict(vectors)
    assert unit_of(_one(), known) == "× typical maximum"
    assert unit_of(_one(mode="feature_clamp"), known) == "× typical maximum"
    assert unit_of(_one(mode="feature_clamp", unit="nats"), known) == "nats"
    assert unit_of(_one(mode="feature_off"), known) == "0 as it is, 1 switched off"
    assert at_strength(_one(mode="feature_clamp"), 0.0).interventions[0].strength == 0  # off is not nothing
    assert at_strength(_one(mode="feature_off"), 0.0).interventions == ()
    floor = with_vector(_one(mode="feature_clamp", others=["quiet"]).interventions[0], "random")
    assert (floor.mode, floor.unit, floor.others) == ("add", "mean_difference", ())  # of equal length


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"vector": "plain", "mode": "feature_off"}, "'plain' is no feature of a dictionary"),
        ({"mode": "feature_off", "others": ["plain"]}, "'plain' is no feature of a dictionary"),
        ({"mode": "feature_off", "others": ["deep"]}, "features of one dictionary"),
        ({"mode": "feature_off", "others": ["loud"]}, "each feature once"),
        ({"mode": "feature_off", "blocks": "all"}, "its dictionary's own place: block 3"),
        ({"mode": "feature_off", "blocks": "everywhere"}, "its dictionary's own place"),
        ({"mode": "feature_clamp", "blocks": [2]}, "its dictionary's own place"),
        ({"mode": "feature_clamp", "site": "mlp_output"}, "its dictionary's own place"),
        ({"mode": "feature_clamp", "strength": float("inf")}, "finite"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_runs(demo, vectors, fields, said) -> None:
    known = {**vectors, "plain": replace(vectors["loud"], name="plain", feature=None)}
    with pytest.raises(SteeringError, match=said):
        plan_of(_one(**fields), demo, known)


def test_modes_take_what_they_can(vectors) -> None:
    with pytest.raises(ValidationError, match="ablate, feature_clamp, feature_scale, feature_off take several"):
        _one(mode="add", others=["quiet"])
    with pytest.raises(ValidationError, match="no budget in nats; give the factor itself"):
        _one(mode="feature_scale", unit="nats")
    with pytest.raises(SteeringError, match="a finite number above 0"):
        replace(vectors["loud"].feature, maximum=0.0)


def test_a_dictionary_that_is_gone_or_changed_is_one_clear_error(tmp_path: Path, demo, vectors) -> None:
    folder = tmp_path / "own"
    shutil.copytree(resource("assets", "dictionaries", "demo", "block-3-sae"), folder)
    mine = vector_of_feature(demo, load_dictionary(folder), 48, maximum=1.0, name="loud")
    known, recipe = {"loud": mine}, _one(mode="feature_off")
    assert plan_of(recipe, demo, known)
    changed = replace(mine, feature=replace(mine.feature, digest="0" * 16))
    with pytest.raises(SteeringError, match="another one by now"):
        plan_of(recipe, demo, {"loud": changed})
    with pytest.raises(SteeringError, match="where its dictionary gives its states"):
        plan_of(recipe, demo, {"loud": replace(mine, default_block=2)})
    shutil.rmtree(folder)
    with pytest.raises(SteeringError, match="feature 48 of own, which cannot be read"):
        plan_of(recipe, demo, known)
    assert plan_of(_one(), demo, known)  # an addition needs no dictionary


def test_a_visitors_vector_names_no_file_of_the_server(tmp_path: Path, demo, vectors) -> None:
    folder = tmp_path / "private"
    shutil.copytree(resource("assets", "dictionaries", "demo", "block-3-sae"), folder)
    sent = replace(vectors["loud"], feature=replace(vectors["loud"].feature, dictionary=str(folder)))
    recipe = _one(mode="feature_off")
    assert plan_of(recipe, demo, {"loud": sent})  # whoever is at the machine may name any
    with confined(Confines(uploads=tmp_path / "uploads", hub=False, models=frozenset())):
        with pytest.raises(SteeringError, match="The page cannot read"):
            plan_of(recipe, demo, {"loud": sent})
        assert plan_of(recipe, demo, vectors)  # what ships may be read


def test_what_is_no_vector_is_refused(demo, tiny_host) -> None:
    sae = load_dictionary("demo/block-3-sae")
    with pytest.raises(SteeringError, match="a number from 0 to 1023"):
        vector_of_feature(demo, sae, 1024, maximum=1.0)
    with pytest.raises(SteeringError, match="gives states of width 192"):
        vector_of_feature(tiny_host("llama"), sae, 48, maximum=1.0)
    with pytest.raises(SteeringError, match="reads each token by itself"):
        vector_of_feature(demo, replace(sae, architecture="temporal"), 48, maximum=1.0)
    counts = typical_maxima(demo, sae, range(1024), own_replies(demo, calibration_prompts()))[1]
    silent = int(counts.argmin())
    assert counts[silent] == 0
    with pytest.raises(SteeringError, match="is active nowhere"):
        vector_of_feature(demo, sae, silent)


def test_a_recipe_says_the_unit_of_a_vector_that_is_at_hand(vectors) -> None:
    assert in_words(_one(), vectors) == ["Add loud, 1 × typical maximum at its own block"]
    assert in_words(_one(), {}) == in_words(_one()) == ["Add loud, 1 × its own length at its own block"]
    both = Recipe(interventions=(*_one().interventions, *_one(mode="feature_off").interventions))
    assert in_words(both)[0] == "Add loud, 1 × typical maximum at its own block"  # no other vector is switched off
