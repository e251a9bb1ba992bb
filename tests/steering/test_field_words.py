"""Where a setting is wrong, however deep it lies: told in words, with the names that there are."""

from __future__ import annotations

import pickle
from typing import Literal

import pytest
from pydantic import BaseModel, ValidationError

from steering.bounds import check_given
from steering.errors import SteeringError
from steering.field_words import field_words
from steering.recipes.recipe import Intervention, Recipe
from steering.validation import field_errors, validated


class Wanted(BaseModel, extra="forbid"):
    others: tuple[Recipe, ...] = ()
    either: int | Literal["all"] = 3
    strengths: tuple[float, ...] = ()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ((), ""),
        (("seed",), "seed"),
        (("decode", "seed"), "seed in decode"),
        (("strengths", 2), "the third of strengths"),
        (("others", 0, "interventions", 11, "mode"), "mode in the 12th of interventions in the first of others"),
        ((20, "gate", "side"), "side in gate in the 21st"),
        (("rows", 1, 111), "the 112th in the second of rows"),
    ],
)
def test_a_path_is_told_from_the_inside(path: tuple[str | int, ...], said: str) -> None:
    assert field_words(path) == said


def test_a_name_that_is_not_there_is_told_with_its_place_and_those_that_are() -> None:
    given = {"others": [{"interventions": [{"vector": "joy", "strenght": 2}]}]}
    with pytest.raises(SteeringError) as caught:
        validated(Wanted, given, "Settings of a study")
    place = "Settings of a study, field strenght in the first of interventions in the first of others"
    assert caught.value.given == f"{place}: there is none."
    assert set(Intervention.model_fields) == set(caught.value.expected.removeprefix("one of ").rstrip(".").split(", "))
    with pytest.raises(SteeringError, match="one of others, either, strengths"):
        validated(Wanted, {"other": []}, "Settings of a study")


def test_the_kinds_that_a_field_may_be_of_are_no_part_of_its_place() -> None:
    with pytest.raises(ValidationError) as caught:
        Wanted.model_validate({"either": [], "strengths": [1, "many"]})
    assert {("either", "int"), ("strengths", 1)} < {each["loc"] for each in caught.value.errors()}
    found = {each.dotted: each for each in field_errors("It", caught.value)}
    assert set(found) == {"either", "strengths.1"}
    assert found["strengths.1"].given == "It, the second of strengths: 'many'."
    assert found["strengths.1"].below(1) == "the second: 'many'."
    assert found["either"].below(1) == "nothing."
    again = pickle.loads(pickle.dumps(found["strengths.1"]))  # as it goes through the door of a Space's GPU
    assert (again.dotted, str(again), again.below(1)) == (
        "strengths.1",
        str(found["strengths.1"]),
        "the second: 'many'.",
    )


def test_what_is_out_of_bounds_is_told_by_the_same_words() -> None:
    wrong = {"others": [{"decode": {"seed": 1}}, {"decode": {"seed": 2**40}}]}
    with pytest.raises(SteeringError, match="It, field seed in decode in the second of others: 1099511627776"):
        check_given("It", wrong)
    with pytest.raises(SteeringError, match="It, the first of seed: "):
        check_given("It", {"seed": [2**31]})  # less than what other numbers may be would not have been told
