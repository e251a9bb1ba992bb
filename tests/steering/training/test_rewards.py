"""Trainings by a reward: the model's own replies, drawn alike every time, and told apart by a rule."""

from __future__ import annotations

import math

import pytest
import torch

from steering.errors import SteeringError
from steering.job import Stopped
from steering.texts.preferences import Labelled, Preference
from steering.training.draws import Draws
from steering.training.rewards import REWARDS, Sampling
from steering.training.sampled import group_normalised
from steering.training.trainee import Trainee
from steering.training.training import train
from tests.steering.training.support import PAIRS, asked


HERE = Trainee((1,))


def even(item, reply: str) -> float:
    """A reward that a random model meets half of the time."""
    return float(len(reply) % 2 == 0)


def train_quick(host, **given):
    sampling = Sampling(given.pop("reward", even), replies=4, tokens=4, first=4)
    return train(host, PAIRS, HERE, loss="rlvr", sampling=sampling, **{"steps": 3, "batch": 2, **given})


def test_replies_are_drawn_alike_and_a_stopped_training_ends_the_same(tiny_host, tmp_path) -> None:
    host, file = tiny_host("llama"), tmp_path / "on its way"
    whole = train_quick(host)
    assert len({point["loss"] for point in whole.curve}) == 3

    def stop(point):
        if point["step"] == 2:
            raise Stopped("enough")

    with pytest.raises(Stopped):
        train_quick(host, on_step=stop, resume=file)
    again = train_quick(host, resume=file)
    assert torch.equal(again.vector.directions, whole.vector.directions)
    assert repr(again.curve) == repr(whole.curve)


def test_what_is_rewarded_becomes_more_frequent_unless_rewards_are_shuffled(demo) -> None:
    """On a trained model, whose answers begin in several ways: one of them is rewarded."""
    data = [
        Preference(asked(f"How do I {what}?"), "Sure.", "No.")
        for what in ("bake a cake", "paint a fence", "fix a bike")
    ]

    def begins_so(item, reply: str) -> float:
        return float(reply.startswith(("I ", "I'")))

    ends = []
    for shuffled in (False, True):
        sampling = Sampling(begins_so, replies=8, tokens=3, first=3, shuffled=shuffled)
        found = train(demo, data, Trainee((3,)), loss="rlvr", sampling=sampling, steps=8, batch=3, learning_rate=0.3)
        rewards = [point["margin"] for point in found.curve]
        assert rewards[0] < 0.6, "many replies begin otherwise"
        ends.append(sum(rewards[-3:]) / 3 - rewards[0])
    assert ends[0] > 0.3
    assert ends[1] < 0.15, "rewards that are dealt at random teach nothing"


def test_a_reward_that_is_constant_is_refused_before_the_first_step(tiny_host) -> None:
    with pytest.raises(SteeringError, match="The reward is 0 for all 16 replies"):
        train_quick(tiny_host("llama"), reward="number", on_step=lambda point: pytest.fail("a step was taken"))


def test_held_out_prompts_are_answered_by_the_same_draws_at_every_look(tiny_host) -> None:
    """With a rate at which nothing changes, nothing else does either: what differs is the vector's doing."""
    found = train_quick(tiny_host("llama"), validation=PAIRS[:3], learning_rate=1e-9, patience=0)
    seen = [point for point in found.curve if not math.isnan(point["validation_loss"])]
    assert len(seen) == 3
    assert all(point["validation_loss"] == 1 - point["validation_margin"] for point in seen)
    assert len({point["validation_loss"] for point in seen}) == 1
    assert 0 < seen[0]["validation_loss"] < 1
    assert len({point["margin"] for point in found.curve}) > 1, "those of steps are drawn anew"


def test_a_shuffled_reward_is_dealt_among_the_replies_to_each_prompt(tiny_host) -> None:
    """As many replies are good at every step, so that only which ones says less."""
    draws = Draws(tiny_host("llama"), [], [], Sampling(even), 0)
    rewards = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]] * 4)
    dealt = draws.dealt(range(8), rewards, "1")
    assert torch.equal(dealt.sort(dim=1).values, rewards), "each prompt keeps its own"
    assert not torch.equal(dealt, rewards)
    assert torch.equal(dealt, draws.dealt(range(8), rewards, "1"))
    assert not torch.equal(dealt, draws.dealt(range(8), rewards, "2"))
    apart = dealt.flatten() - rewards.flatten()
    assert abs(float(apart.mean())) < 1e-6


def test_advantages_are_of_the_replies_to_one_prompt() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0], [4.0, 0.0, 0.0, 0.0]])
    found = group_normalised(rewards)
    assert found[0].tolist() == [1, -1, -1, 1]
    assert found[1].tolist() == [0, 0, 0, 0], "nobody is better than the others"
    assert found[2].tolist() == pytest.approx([math.sqrt(3), *[-1 / math.sqrt(3)] * 3])


@pytest.mark.parametrize(
    ("name", "reply", "reward"),
    [
        ("exact", " it is 12", 1),
        ("exact", "It is twelve.", 0),
        ("number", "First 3, then 12.0!", 1),
        ("number", "12 or 13", 0),
        ("number", "none", 0),
        ("contains", "Well, it is 12. Yes.", 1),
        ("contains", "It is 1.", 0),
    ],
)
def test_rewards(name, reply, reward) -> None:
    assert REWARDS[name](Labelled(asked("5 + 7"), "It is 12.", True), reply) == reward


@pytest.mark.parametrize("given", [{"reward": "praise"}, {"replies": 1}, {"temperature": 0.0}])
def test_sampling_that_tells_nothing_apart_is_refused(given) -> None:
    with pytest.raises(SteeringError):
        Sampling(**given).check()
