"""Every loss against its equation written out with plain numbers, and its gradient against differences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from steering.errors import SteeringError
from steering.training.losses import LOSSES, Side, Views
from steering.training.matching import matching_weights
from steering.training.scores import Scores


PLUS = [[-0.5, -1.5], [-1.0, -0.25, -0.75]]
"""log π of the tokens of a chosen and a rejected reply."""
BARE = [[-1.0, -2.0], [-0.5, -0.5, -0.5]]
"""Without the plan."""
MINUS = [[-2.0, -2.5], [-0.25, -0.25, -0.5]]
NULLED = [[-1.5, -1.75], [-0.75, -0.25, -1.25]]


def scores(policy, reference) -> Scores:
    """One reply in a row that is padded on the left."""
    pad = [0.0] * (4 - len(policy))
    used = torch.tensor([[False] * len(pad) + [True] * len(policy)])
    return Scores(torch.tensor([[*pad, *policy]]).double(), torch.tensor([[*pad, *reference]]).double(), used)


def views(**more) -> Views:
    """One pair under every plan; what is read in place of PLUS can be given."""
    plus = more.pop("plus", PLUS)
    sides = {"plus": plus, "minus": MINUS, "nulled": NULLED}
    read = {name: Side(*(scores(*each) for each in zip(said, BARE, strict=True))) for name, said in sides.items()}
    return Views(**read, **more)


def one(reply, **more) -> Views:
    """One reply with a label."""
    return Views(Side(scores(PLUS[reply], BARE[reply])), **more)


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def log_odds(p: float) -> float:
    return math.log(p / (1 - p))


LABEL = torch.tensor([True])
# Sums: chosen -2 (bare -3, minus -4.5, nulled -3.25), rejected -2 (bare -1.5, minus -1, nulled -2.25).
GOLDEN = [
    ("sft", views(), {}, 2 / 2),
    ("dpo", views(), {"beta": 0.5}, -log_sigmoid(0.5 * ((-2 + 3) - (-2 + 1.5)))),
    ("ipo", views(), {"tau": 0.25}, (1.5 - 2.0) ** 2),
    ("orpo", views(), {"lambda": 0.5}, 1 - 0.5 * log_sigmoid(log_odds(math.exp(-1)) - log_odds(math.exp(-2 / 3)))),
    ("simpo", views(), {"beta": 2.0, "gamma": 0.5}, -log_sigmoid(2 * (-1.0) - 2 * (-2 / 3) - 0.5)),
    ("poft", views(), {"beta": 3.0}, -log_sigmoid(3 * 1 / 2)),
    ("kto", one(0, wanted=LABEL, shift=0.25), {"beta": 0.5}, 1 - sigmoid(0.5 * (1 - 0.25))),
    ("kto", one(1, wanted=~LABEL, shift=0.25), {"lambda_unwanted": 2.0}, 2 * (1 - sigmoid(0.1 * (0.25 + 0.5)))),
    ("kto", one(0, wanted=LABEL, shift=-3.0), {"beta": 0.5}, 1 - sigmoid(0.5 * 1)),
    ("bco", one(0, wanted=LABEL, shift=0.25), {"beta": 0.5}, -log_sigmoid(0.5 * 1 - 0.25)),
    (
        "bco",
        one(1, wanted=~LABEL, shift=0.25, weights=torch.tensor([3.0])),
        {"beta": 0.5},
        -3 * log_sigmoid(-(0.5 * -0.5 - 0.25)),
    ),
    ("bipo", views(), {"beta": 0.5}, -(log_sigmoid(0.5 * 1.5) + log_sigmoid(-0.5 * (-1.5 - 0.5))) / 2),
    # By itself the model finds the rejected reply likelier, by 1.5 nats: so the chosen one is weighed 1.5 times.
    ("reps", views(), {}, -log_sigmoid(1.5 * -1 + 2 / 3) - log_sigmoid(-2.25 / 3 + 3.25 / 2)),
    (
        "rlvr",
        one(0, advantages=torch.tensor([1.5]).double()),
        {"beta": 0.1},
        # Each token is half a nat likelier than without the plan: D = exp(-1/2) + 1/2 - 1.
        -1.5 * -1.0 + 0.1 * (math.exp(-0.5) + 0.5 - 1),
    ),
    ("reft", one(0, penalty=torch.tensor([4.0]).double(), progress=0.5), {"lambda": 0.1}, 1 + 0.1 * 0.5 * 4),
]


@pytest.mark.parametrize(("name", "seen", "numbers", "wanted"), GOLDEN)
def test_a_loss_is_its_equation(name, seen, numbers, wanted) -> None:
    loss = LOSSES[name]
    assert float(loss.function(seen, loss.settings(numbers))[0]) == pytest.approx(wanted, rel=1e-9)


def test_every_loss_has_a_golden_value() -> None:
    assert {name for name, *_ in GOLDEN} == set(LOSSES.own)


PLACES = [(view, side) for view in ("plus", "minus", "nulled") for side in ("chosen", "rejected")]


def at(seen: Views, policies) -> Views:
    """The same with other log-probabilities, by view and side."""
    sides = {}
    for view in {view for view, _ in policies}:
        read = getattr(seen, view)
        given = {side: policies.get((view, side)) for side in ("chosen", "rejected")}
        known = {side: getattr(read, side) for side in given}
        sides[view] = Side(
            *(
                None if given[side] is None else Scores(given[side], known[side].reference, known[side].used)
                for side in given
            )
        )
    return replace(seen, **sides)


@pytest.mark.parametrize(("name", "seen", "numbers", "_"), GOLDEN)
def test_a_gradient_is_the_slope_of_its_loss(name, seen, numbers, _) -> None:
    loss = LOSSES[name]
    settings = loss.settings(numbers)
    read = {place: getattr(side, place[1]) for place in PLACES if (side := getattr(seen, place[0])) is not None}
    policies = {place: each.policy.detach().clone() for place, each in read.items() if each is not None}

    def value(given):
        return loss.function(at(seen, given), settings).sum()

    live = {place: each.clone().requires_grad_() for place, each in policies.items()}
    grown = torch.autograd.grad(value(live), list(live.values()), allow_unused=True)
    steep = 0
    for place, slope in zip(live, grown, strict=True):
        moved = torch.where(
            read[place].used, torch.randn(1, 4, generator=torch.Generator().manual_seed(2)).double(), 0.0
        )
        up, down = (float(value({**policies, place: policies[place] + way * moved})) for way in (1e-5, -1e-5))
        foretold = 0.0 if slope is None else float((slope * moved).sum())
        # Central differences of doubles over 2e-5: off by about 1e-10.
        assert foretold == pytest.approx((up - down) / 2e-5, abs=1e-7)
        steep += abs(foretold) > 1e-3
    assert steep, "there is something to compare"


def test_a_number_that_a_loss_does_not_have_is_refused() -> None:
    with pytest.raises(SteeringError, match="'tau' was given to DPO"):
        LOSSES["dpo"].settings({"tau": 1.0})


def test_an_unwanted_reply_counts_as_far_as_its_prompt_is_like_those_of_wanted_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    alike, apart = torch.randn(60, 12, generator=generator), torch.randn(20, 12, generator=generator) + 3
    wanted = torch.tensor([True] * 30 + [False] * 50)
    weights = matching_weights(torch.cat([alike, apart]), wanted)
    assert (weights[wanted] == 1).all()
    assert float(weights[~wanted].mean()) == pytest.approx(1, rel=1e-5)
    assert weights[30:60].min() > 5 * weights[60:].max()
    same = matching_weights(torch.cat([alike, alike]), torch.tensor([True] * 60 + [False] * 60))
    assert torch.allclose(same, torch.ones(120), atol=1e-4), "equal prompts on both sides need no weights"
