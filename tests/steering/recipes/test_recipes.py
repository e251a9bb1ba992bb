"""Recipes and strengths: units, places, and one clear error per mistake."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Intervention, Recipe, parse_blocks
from steering.vectors.strength import in_all_units, to_raw
from steering.writes.operations import Ablate, Add
from tests.steering.extraction.test_extraction import sets


@pytest.fixture(scope="module")
def vector(tiny_host):
    return extract(tiny_host("llama"), sets(), name="tone")


def single_plan(host, vector, **fields):
    return plan_of(Recipe(interventions=(Intervention(vector="tone", **fields),)), host, {"tone": vector})


def test_units_convert_by_the_scales_of_the_block_that_is_written(vector) -> None:
    block = 2
    mean, norm = float(vector.mean_differences[block]), float(vector.residual_norms[block])
    assert mean != pytest.approx(norm)
    assert to_raw(1.5, "mean_difference", vector, block) == pytest.approx(1.5 * mean)
    assert to_raw(0.5, "residual_norm", vector, block) == pytest.approx(0.5 * norm)
    assert to_raw(3.0, "raw", vector, block) == 3.0
    assert in_all_units(2.0, "mean_difference", vector, block) == pytest.approx(
        {"mean_difference": 2.0, "residual_norm": 2 * mean / norm, "raw": 2 * mean}
    )
    with pytest.raises(SteeringError, match="one of mean_difference"):
        to_raw(1.0, "furlongs", vector, block)
    with pytest.raises(SteeringError, match="a finite number"):
        to_raw(math.nan, "raw", vector, block)


def test_places_of_default_all_everywhere_and_numbers(vector, tiny_host) -> None:
    host = tiny_host("llama")
    default = single_plan(host, vector)
    assert [(w.block, w.site) for w in default] == [(vector.default_block, "block_output")]
    assert isinstance(default[0].operation, Add)
    assert default[0].operation.strength == pytest.approx(float(vector.mean_differences[vector.default_block]))
    assert [w.block for w in single_plan(host, vector, blocks="all")] == [0, 1, 2, 3]
    assert [w.block for w in single_plan(host, vector, blocks=(3, 1))] == [3, 1]
    everywhere = single_plan(host, vector, blocks="everywhere", mode="ablate")
    assert len(everywhere) == 12
    assert {w.site for w in everywhere} == {"block_input", "attention_output", "mlp_output"}
    assert all(isinstance(w.operation, Ablate) for w in everywhere)
    assert {id(w.operation) for w in everywhere} == {id(everywhere[0].operation)}  # one direction, the default block's
    assert torch.equal(everywhere[0].operation.directions, vector.directions[vector.default_block])
    for write in single_plan(host, vector, blocks="all"):
        assert torch.equal(write.operation.direction, vector.directions[write.block])


def test_interventions_keep_their_order(vector, tiny_host) -> None:
    steps = (Intervention(vector="tone", mode="ablate"), Intervention(vector="tone", strength=2))
    writes = plan_of(Recipe(interventions=steps), tiny_host("llama"), {"tone": vector})
    assert [type(w.operation) for w in writes] == [Ablate, Add]


def test_a_recipe_survives_json_and_equal_recipes_are_equal_text(tmp_path) -> None:
    recipe = Recipe(
        interventions=(Intervention(vector="tone", blocks=(1, 2), strength=-1.5, scope=(0, 3)),), model="demo"
    )
    path = tmp_path / "r.json"
    path.write_text(recipe.to_json())
    assert Recipe.load(path) == recipe
    assert Recipe.load(path).to_json() == recipe.to_json()
    with pytest.raises(ValidationError):
        recipe.model = "other"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strength": math.nan}, "a finite number"),
        ({"strength": math.inf}, "a finite number"),
        ({"mode": "ablate", "strength": 2.0}, "from 0 to 1"),
        ({"blocks": (9,)}, "a block from 0 to 3"),
    ],
)
def test_a_recipe_that_cannot_be_applied_says_why(vector, tiny_host, fields, message) -> None:
    with pytest.raises(SteeringError, match=message):
        single_plan(tiny_host("llama"), vector, **fields)


def test_each_mode_makes_its_operation_counted_from_the_negative_mean(vector, tiny_host) -> None:
    host, block = tiny_host("llama"), vector.default_block
    apart, start = float(vector.mean_differences[block]), float(vector.references[block])
    assert abs(start) > 1e-3
    (affine,) = single_plan(host, vector, mode="affine", strength=2.0)
    assert (affine.operation.reference, affine.operation.strength) == pytest.approx((start, 2 * apart))
    (clamp,) = single_plan(host, vector, mode="clamp", clamp="ceil", strength=0.5)
    assert (clamp.operation.value, clamp.operation.kind) == (pytest.approx(start + 0.5 * apart), "ceil")
    (rotate,) = single_plan(host, vector, mode="rotate", strength=-30)
    assert rotate.operation.degrees == -30


def test_several_vectors_are_ablated_as_one_span(vector, tiny_host) -> None:
    host = tiny_host("llama")
    other = extract(host, sets(), site="mlp_output", name="other")
    recipe = Recipe(interventions=(Intervention(vector="tone", others=("other",), mode="ablate"),))
    (write,) = plan_of(recipe, host, {"tone": vector, "other": other})
    states = torch.randn(1, 3, 32, generator=torch.Generator().manual_seed(0))
    for each in (vector, other):
        assert (write.operation(states) @ each.directions[vector.default_block]).abs().max() < 1e-5
    with pytest.raises(ValidationError, match="take several vectors"):
        Intervention(vector="tone", others=("other",))


def test_erase_takes_the_vectors_own_map(tiny_host) -> None:
    host = tiny_host("llama")
    leace = extract(host, sets(), method="leace", name="tone")
    (write,) = single_plan(host, leace, mode="erase", blocks=(1,))
    states = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    left, right, mean = (getattr(leace.eraser, name)[1] for name in ("left", "right", "mean"))
    torch.testing.assert_close(write.operation(states), states - ((states - mean) @ right)[:, None] * left)


def test_a_gate_counts_from_the_negative_mean_too(vector, tiny_host) -> None:
    host = tiny_host("llama")
    gate = {"vector": "tone", "threshold": 0.25, "block": 1, "side": "below", "per": "token"}
    (write,) = single_plan(host, vector, blocks=(2,), gate=gate)
    expected = float(vector.references[1] + 0.25 * vector.mean_differences[1])
    assert (write.gate.threshold, write.gate.block, write.gate.site) == (pytest.approx(expected), 1, "block_output")
    assert (write.gate.side, write.gate.per) == ("below", "token")
    with pytest.raises(SteeringError, match="names the vector 'mood'"):
        single_plan(host, vector, gate={**gate, "vector": "mood"})
    with pytest.raises(SteeringError, match="Read the gate at an earlier block"):
        single_plan(host, vector, blocks=(0,), gate=gate)


def test_a_vector_without_what_a_mode_needs_says_so(vector, tiny_host) -> None:
    host, bare = tiny_host("llama"), replace(vector, references=None)
    with pytest.raises(SteeringError, match=r"no eraser.*method leace"):
        single_plan(host, vector, mode="erase")
    for fields in ({"mode": "affine"}, {"mode": "clamp"}, {"blocks": (3,), "gate": {"vector": "tone"}}):
        with pytest.raises(SteeringError, match="does not say where its negative side lies"):
            single_plan(host, bare, **fields)


def test_a_missing_vector_names_what_is_there(vector, tiny_host) -> None:
    recipe = Recipe(interventions=(Intervention(vector="mood"),))
    with pytest.raises(SteeringError, match=r"names the vector 'mood'.*on the shelf: tone"):
        plan_of(recipe, tiny_host("llama"), {"tone": vector})


def test_a_recipe_file_with_a_wrong_field_names_it(tmp_path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("interventions:\n- {vector: tone, scope: sideways}\n")
    with pytest.raises(SteeringError, match=r"r\.yaml, field scope in the first of interventions: 'sideways'"):
        Recipe.load(path)
    path.write_text("interventions: [\n")
    with pytest.raises(SteeringError, match="not valid YAML"):
        Recipe.load(path)
    with pytest.raises(SteeringError, match="no recipe file"):
        Recipe.load(tmp_path / "none.yaml")


def test_blocks_as_people_type_them() -> None:
    assert parse_blocks("") == parse_blocks("default") == "default"
    assert parse_blocks(" All ") == "all"
    assert parse_blocks("4") == (4,)
    assert parse_blocks("2, 5-7,5") == (2, 5, 6, 7)
    for bad in ("four", "3-", "-1", "7-5", "1;2"):
        with pytest.raises(SteeringError, match="default, all, everywhere, or numbers"):
            parse_blocks(bad)


def test_vectors_are_renamed_wherever_they_are_named() -> None:
    gate = {"vector": "harm"}
    recipe = Recipe.model_validate(
        {"interventions": [{"vector": "joy", "mode": "ablate", "others": ["mood", "sea"], "gate": gate}]}
    )
    renamed = recipe.renamed({"joy": "a", "mood": "b", "harm": "c"})
    assert renamed.vectors == ("a", "b", "sea", "c")
    assert renamed.renamed({"a": "joy", "b": "mood", "c": "harm"}) == recipe
