"""What pairs do to a trained vector: the same training as `train`, and what is foretold beside what happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.texts.preferences import Preference, load_preferences
from steering.training.influence import Training, Weighing, followed, foretell, train_without
from steering.training.trainee import Trainee
from steering.training.training import train


SWAPPED = 2
HOW = Training(Trainee((3,)), steps=8)


@pytest.fixture(scope="module")
def data() -> tuple[list[Preference], list[Preference]]:
    """Pairs whose chosen replies refuse, of which one has its sides swapped, and others."""
    pairs = list(load_preferences("demo-refusing")[:14])
    one = pairs[SWAPPED]
    pairs[SWAPPED] = replace(one, chosen=one.rejected, rejected=one.chosen)
    return pairs[:8], pairs[8:]


def test_the_training_is_that_of_train(demo, data) -> None:
    def weighed(job: Any) -> Any:
        weighing = Weighing(demo, job, *data, HOW)
        course = weighing.train(job, range(8), 3)
        return weighing.parameters.vectors.detach()[0, 0].clone(), list(course.points)

    rows, steps = demo.run(weighed, title="Test")
    vector = train(demo, data[0], HOW.trainee, steps=8, batch=8).vector
    expected = vector.directions[3] * vector.mean_differences[3]
    # The same steps in the same order of pairs but for float error of sums in another order.
    assert torch.allclose(rows, expected, atol=1e-3 * float(expected.norm()))
    assert steps == [0, 4, 7]


def test_the_swapped_pair_harms_most_as_foretold_and_as_trained(demo, data) -> None:
    found = foretell(demo, *data, HOW, points=3)
    assert found.harmful_first[0] == SWAPPED
    assert found.values[SWAPPED] < 0
    others = [5, SWAPPED]
    real = train_without(demo, *data, HOW, others)
    assert real[1] < real[0]
    assert real[1] < 0, "without it the held-out loss is lower"
    assert found.all_pairs < 0, "minus a loss"


def test_a_small_change_of_gradients_is_followed_through_every_step() -> None:
    """Against AdamW itself on gradients that are changed by a millionth, in float64."""
    generator = torch.Generator().manual_seed(0)
    gradients, change = (torch.randn(12, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    rates = [0.05 * (1 + step % 3) for step in range(12)]

    def end(given: torch.Tensor) -> torch.Tensor:
        live = torch.zeros(5, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.AdamW([live], weight_decay=0.0)
        for gradient, rate in zip(given, rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate
            live.grad = gradient.clone()
            optimiser.step()
        return live.detach()

    expected = (end(gradients + 1e-6 * change) - end(gradients - 1e-6 * change)) / 2e-6
    found = followed(gradients, rates, lambda step: change[step][None])
    assert expected.abs().min() > 1e-4
    assert torch.allclose(found[0], expected, rtol=1e-5)


def test_what_cannot_be_weighed_is_refused(demo, data) -> None:
    pairs, held_out = data
    with pytest.raises(SteeringError, match="3 pairs were given"):
        foretell(demo, pairs[:3], held_out, HOW)
    with pytest.raises(SteeringError, match="takes pairs one by one"):
        foretell(demo, pairs, held_out, replace(HOW, loss="kto"))
    with pytest.raises(SteeringError, match="direction that is added"):
        foretell(demo, pairs, held_out, replace(HOW, trainee=Trainee((3,), "ablate")))
