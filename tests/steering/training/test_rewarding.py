"""Rounds of rewards: what is paired, what is measured of a round, and a judge that is followed."""

from __future__ import annotations

import numpy as np
import pytest

from steering.errors import SteeringError
from steering.judges.marks import load_marks
from steering.model.prompts import conversation
from steering.passes.replies import DecodeSettings
from steering.statistics import Estimate
from steering.texts.preferences import Preference, load_preferences
from steering.training.rewarding import Round, Rounds, Sampled, reward_rounds
from steering.training.trainee import Trainee


ASKED = conversation("How are cats?")
NONE = Estimate(float("nan"), float("nan"), float("nan"))
HOW = Rounds(
    Trainee((3,)), rounds=1, replies=3, decode=DecodeSettings(max_new_tokens=40, temperature=1.0), steps=6, batch=4
)


def sampled(*replies: str, marks: tuple[float, ...], held_out: tuple[float, ...] = ()) -> Sampled:
    return Sampled(ASKED, replies, marks, held_out)


def test_the_best_and_the_worst_reply_are_a_pair() -> None:
    assert sampled("a", "b", "c", marks=(0, 1, -1)).pair == Preference(ASKED, "b", "c")
    assert sampled("a", "b", marks=(1, 1)).pair is None, "marked alike"
    assert sampled("a", " a", marks=(1, 0)).pair is None, "the same words"
    assert sampled("a", " ", marks=(1, 0)).pair is None, "no words"


def test_a_round_says_how_good_and_how_different_its_replies_are() -> None:
    """Numbers worked out by hand."""
    found = Round(
        0,
        (
            sampled("a b c", "a b c", "a b d", marks=(1, 1, 0), held_out=(0, 0, 1)),
            sampled("a b", "e f", "e f", marks=(0, 0.5, 0), held_out=(0, 1, 0)),
        ),
        NONE,
    )
    assert found.mark.value == pytest.approx(np.mean([2 / 3, 0.5 / 3]))
    assert found.spread.value == pytest.approx((1 + 0.5) / 2)
    assert found.different.value == pytest.approx((2 / 3 + 2 / 3) / 2)
    # Pairs of words: ab bc ab bc ab bd, ab ef ef: nine, of which ab, bc, bd and ef differ.
    assert found.distinct == pytest.approx(4 / 9)
    # The first pair is marked the other way round by the other judge, the second one alike.
    assert found.agrees.value == pytest.approx(0.5)
    assert found.degenerate.value == 0
    assert len(found.pairs) == 2


def test_a_round_trains_towards_the_judge(demo) -> None:
    """Each round's numbers are of replies under the vector of the one before it."""
    data = load_preferences("demo-formality")[:6]
    told: list[int] = []
    found = reward_rounds(
        demo,
        [each.messages for each in data],
        lambda plan: load_marks(demo, "formal"),
        HOW,
        held_out=load_marks(demo, "informal"),
        known=data,
        on_round=lambda each: told.append(each.number),
    )
    before, after = found.rounds
    assert told == [0, 1]
    assert before.known.value == 1.0, "the judge is right about every known pair"
    assert after.mark.value > before.mark.value
    assert after.held_out.value < before.held_out.value, "the opposite judge's marks fall"
    assert len(found.trained) == 1
    assert found.trained[0].vector.provenance.n_train[0] == len(before.pairs)


def test_what_teaches_nothing_is_refused(demo) -> None:
    with pytest.raises(SteeringError, match="marks replies to one request alike"):
        reward_rounds(demo, [ASKED], lambda plan: lambda requests, replies: [0.0] * len(replies), HOW)
    with pytest.raises(SteeringError, match="no requests"):
        reward_rounds(demo, [], lambda plan: load_marks(demo, "formal"), HOW)
    alone = Rounds(Trainee((3,)), replies=1)
    with pytest.raises(SteeringError, match="two replies at least"):
        reward_rounds(demo, [ASKED], lambda plan: load_marks(demo, "formal"), alone)
