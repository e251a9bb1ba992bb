"""What pairs do to a trained vector: the same training as `train`, and what is foretold beside what happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from steering.errors import SteeringError
from steering.texts.preferences import Preference, load_preferences
from steering.training.influence import Training, Weighing, foretell, train_without
from steering.training.looks import Looks
from steering.training.sensitivity import gone_back
from steering.training.trainee import Trainee
from steering.training.training import train


SWAPPED = 2
HOW = Training(Trainee((3,)), steps=6)


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
        course = weighing.train(job, range(8))
        return weighing.parameters.vectors.detach()[0, 0].clone(), len(course.states)

    rows, steps = demo.run(weighed, title="Test")
    vector = train(demo, data[0], HOW.trainee, steps=HOW.steps, batch=8).vector
    expected = vector.directions[3] * vector.mean_differences[3]
    # The same steps in the same order of pairs but for float error of sums in another order.
    assert torch.allclose(rows, expected, atol=1e-3 * float(expected.norm()))
    assert steps == HOW.steps


def test_what_is_foretold_is_what_trainings_without_a_pair_come_to(demo, data) -> None:
    found = foretell(demo, *data, HOW, points=3)
    left_out = [0, SWAPPED, 5]
    real = train_without(demo, *data, HOW, left_out)
    assert real.min() < -0.01 < 0.01 < real.max(), "pairs differ"
    # One of eight is no small change, and the first derivative not all of it.
    assert torch.allclose(found.left_out.values[left_out], real, rtol=0.2)
    assert real[1] < 0, "without the swapped one the held-out loss is lower"
    assert found.left_out.all_pairs < 0, "minus a loss"
    assert found.traced.harmful_first[0] == SWAPPED, "what it pulls at is what the others do not"
    assert (found.traced.values < 0).sum() == 1


def test_what_moves_the_end_is_told_by_going_back() -> None:
    """Against AdamW itself on a bent loss, begun elsewhere and with other gradients by a millionth, in float64."""
    generator = torch.Generator().manual_seed(0)
    start, slope, moved = (torch.randn(5, generator=generator, dtype=torch.float64) for _ in range(3))
    pulls, change = (torch.randn(12, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    bends = torch.randn(12, 5, 5, generator=generator, dtype=torch.float64)
    bends = bends + bends.transpose(1, 2)
    rates = [0.05 * (1 + step % 3) for step in range(12)]

    def trained(begun: torch.Tensor, given: torch.Tensor) -> tuple[float, torch.Tensor]:
        live = begun.clone().requires_grad_()
        optimiser, gradients = torch.optim.AdamW([live], weight_decay=0.0), []
        for step, rate in enumerate(rates):
            optimiser.param_groups[0]["lr"] = rate
            live.grad = bends[step] @ live.detach() + given[step]
            gradients.append(live.grad.clone())
            optimiser.step()
        return float(live.detach() @ slope), torch.stack(gradients)

    def grown(begun: torch.Tensor | float = 0.0, given: torch.Tensor | float = 0.0) -> float:
        ends = [trained(start + way * 1e-6 * begun, pulls + way * 1e-6 * given)[0] for way in (1, -1)]
        return (ends[0] - ends[1]) / 2e-6

    _, gradients = trained(start, pulls)
    found = gone_back(gradients, rates, slope, lambda step, direction: bends[step] @ direction)
    assert abs(grown(begun=moved)) > 0.1
    assert float(found.start @ moved) == pytest.approx(grown(begun=moved), rel=1e-5)
    assert abs(grown(given=change)) > 1e-3
    assert float((found.gradients * change).sum()) == pytest.approx(grown(given=change), rel=1e-5)
    flat = gone_back(gradients, rates, slope, lambda step, direction: torch.zeros(5, dtype=torch.float64))
    assert float(flat.start @ moved) != pytest.approx(grown(begun=moved), rel=0.1), "what is bent counts"


def test_steps_along_a_pair_are_traced_between_two_looks() -> None:
    """Two pairs and three steps, of which the middle one was not looked at: worked out by hand."""
    pairs = [torch.tensor([[1.0, 0.0], [0.0, 1.0]]).double(), torch.tensor([[3.0, 0.0], [0.0, -1.0]]).double()]
    held_out = [torch.tensor([1.0, 1.0]).double(), torch.tensor([1.0, 3.0]).double()]
    looks = Looks([0, 2], pairs, held_out)
    assert looks.traced([1.0, 0.5, 2.0]).tolist() == [(1.0 + 0.5 * 2.0 + 2.0 * 3.0) / 2, (1.0 + 0.0 - 2.0 * 3.0) / 2]
    # Without the first pair the mean gradient is the other's: (0, 0) in place of (1, 0) at the middle step.
    assert looks.change(1).tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_what_cannot_be_weighed_is_refused(demo, data) -> None:
    pairs, held_out = data
    with pytest.raises(SteeringError, match="3 pairs were given"):
        foretell(demo, pairs[:3], held_out, HOW)
    with pytest.raises(SteeringError, match="takes pairs one by one"):
        foretell(demo, pairs, held_out, replace(HOW, loss="kto"))
    with pytest.raises(SteeringError, match="direction that is added"):
        foretell(demo, pairs, held_out, replace(HOW, trainee=Trainee((3,), "ablate")))
