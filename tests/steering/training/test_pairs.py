"""Pairs of the model's own replies: the behaviour on the chosen side, and a reason for each request without a pair."""

from __future__ import annotations

from typing import Any

import pytest

from steering.demo.example import words
from steering.errors import SteeringError
from steering.extraction.sources import find_vector
from steering.judges.lexicon import judge_lexicon, tone_score
from steering.judges.marks import load_marks
from steering.model.prompts import Message, conversation
from steering.passes.replies import DecodeSettings
from steering.recipes.plans import plan_of
from steering.recipes.recipe import Recipe
from steering.texts.contrast import ContrastSet
from steering.training.pairs import WHY, Made, Tried, make_pairs, requests_of


ASKED = tuple(map(conversation, ("Write a note to my boss about the play.", "Write to the baker about the picnic.")))
LONG = DecodeSettings(max_new_tokens=60)


@pytest.fixture(scope="module")
def formal(demo: Any) -> Any:
    """Adding the mean difference of formal and informal requests."""
    recipe = Recipe.model_validate({"interventions": [{"vector": "formality", "strength": 0.5}]})
    return plan_of(recipe, demo, {"formality": find_vector(demo, "formality", "", {})})


def test_steered_replies_are_chosen_and_plain_ones_rejected(demo, formal) -> None:
    made = make_pairs(demo, ASKED, load_marks(demo, "formal"), plan=formal, decode=LONG)
    assert len(made.pairs) == len(ASKED), made.tried
    for pair, asked in zip(made.pairs, ASKED, strict=True):
        assert pair.messages == asked, "without what brought the behaviour"
        one, other = (judge_lexicon(said, "formality").score("formal") for said in (pair.chosen, pair.rejected))
        assert one > other


def test_a_system_prompt_can_bring_it(demo) -> None:
    """Neither the prompt nor its words stand in the pair."""
    asked = conversation("Write a review of the hotel.")
    cheerful = words("reviews")["systems"]["cheerful"][0]
    made = make_pairs(demo, [asked], load_marks(demo, "cheerful"), system=cheerful, decode=LONG)
    (pair,) = made.pairs
    assert pair.messages == asked
    assert tone_score(pair.chosen) > tone_score(pair.rejected)


def test_the_judge_decides_and_the_others_are_counted(demo, formal) -> None:
    """The same replies under the opposite judge are no pairs; cut ones are not judged."""
    made = make_pairs(demo, ASKED, load_marks(demo, "informal"), plan=formal, decode=LONG)
    assert made.counts == {**dict.fromkeys(WHY, 0), "judge": 2}
    assert not made.pairs
    cut = make_pairs(demo, ASKED, load_marks(demo, "formal"), plan=formal, decode=DecodeSettings(max_new_tokens=5))
    assert cut.counts["cut"] == 2
    assert all(each.chosen_mark != each.chosen_mark for each in cut.tried)


def test_a_plan_that_does_nothing_gives_the_same_reply(demo) -> None:
    recipe = Recipe.model_validate({"interventions": [{"vector": "formality", "strength": 0}]})
    plan = plan_of(recipe, demo, {"formality": find_vector(demo, "formality", "", {})})
    made = make_pairs(demo, ASKED[:1], load_marks(demo, "formal"), plan=plan, decode=LONG)
    assert made.counts["same"] == 1


def test_only_what_was_kept_is_a_pair() -> None:
    tried = [Tried(ASKED[0], "a", "b", 1.0, 0.0, ""), Tried(ASKED[1], "a", "a", 1.0, 1.0, "same")]
    assert [(each.messages, each.chosen) for each in Made(tuple(tried)).pairs] == [(ASKED[0], "a")]


def test_requests_of_a_set_are_asked_once_and_without_replies() -> None:
    contrast = ContrastSet.load("formality")
    negative, positive, both = (requests_of(contrast, side) for side in ("negative", "positive", "both"))
    assert set(both) == {*negative, *positive}
    assert len(negative) == len(set(negative)) > 10
    replied = ContrastSet.of(["x"] * 5, ["y"] * 5)
    assert requests_of(replied, "positive") == ((Message("user", "x"),),)


def test_what_cannot_make_pairs_is_refused(demo, formal) -> None:
    marks = load_marks(demo, "formal")
    with pytest.raises(SteeringError, match="no requests"):
        make_pairs(demo, [], marks, plan=formal)
    with pytest.raises(SteeringError, match="Neither a vector nor a system prompt"):
        make_pairs(demo, ASKED, marks)
    with pytest.raises(SteeringError, match="system prompt of its own"):
        make_pairs(demo, [(Message("system", "Be brief."), *ASKED[0])], marks, system="Be formal.")
