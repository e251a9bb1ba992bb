"""CCS: the stacked trainer equals one probe at a time, and the metrics their golden values."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.plain_ccs import plain_ccs
from steering.errors import SteeringError
from steering.studies.probing.ccs import CONSTANT_LOSS, Probes, Training, losses_of, starts, train
from steering.studies.probing.metrics import (
    Quartet,
    contradiction_index,
    cosine_silhouette,
    empirical_separation_accuracy,
    polarity_consistency,
    verdicts,
)


WIDTH, PAIRS = 24, 60


def states(seed=0, *, signal=2.0):
    """One feature that turns with the answer, along the first axis, and noise."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.randint(0, 2, (PAIRS,), generator=generator).float() * 2 - 1
    no, yes = torch.randn(2, PAIRS, WIDTH, generator=generator)
    yes[:, 0] += signal * true
    no[:, 0] -= signal * true
    return no - no.mean(dim=0), yes - yes.mean(dim=0), true


@pytest.mark.parametrize("steps", [1, 20, 300])
def test_every_column_is_trained_as_it_would_be_alone(steps) -> None:
    """Against autograd and torch's own AdamW. Rounding grows with the steps: 300 leave 1e-3 of probabilities."""
    no, yes, _ = states()
    begin = starts(WIDTH, 4, seed=1)
    found = train(no, yes, begin, Training(steps=steps))
    alone = plain_ccs(no, yes, begin.weights, begin.biases, steps=steps)
    assert (found.probes.weights - begin.weights).abs().max() > 1e-3
    tolerance = 1e-5 if steps < 100 else 1e-3
    for column, (probe, loss) in enumerate(alone):
        assert float(found.losses[column]) == pytest.approx(loss, abs=tolerance)
        with torch.no_grad():
            torch.testing.assert_close(
                found.probes(yes)[:, column], torch.sigmoid(probe(yes))[:, 0], atol=tolerance, rtol=0
            )
    assert found.best == min(range(4), key=lambda index: alone[index][1])


def test_a_fold_is_weights_and_equals_training_on_its_rows() -> None:
    no, yes, _ = states()
    begin = starts(WIDTH, 2, seed=2)
    inside = torch.arange(PAIRS) % 3 != 0
    weights = torch.stack([torch.full((PAIRS,), 1 / PAIRS), inside / inside.sum()], dim=1)
    found = train(no, yes, begin, Training(steps=50), weights=weights)
    whole, part = train(no, yes, begin, Training(steps=50)), train(no[inside], yes[inside], begin, Training(steps=50))
    torch.testing.assert_close(found.probes.weights[0], whole.probes.weights[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.probes.weights[1], part.probes.weights[1], atol=1e-5, rtol=0)
    assert (found.probes.weights[0] - found.probes.weights[1]).abs().max() > 1e-3
    torch.testing.assert_close(found.losses[1], part.losses[1], atol=1e-5, rtol=0)


def test_other_partners_equal_training_on_shuffled_rows() -> None:
    no, yes, _ = states()
    begin = starts(WIDTH, 2, seed=3)
    order = torch.randperm(PAIRS, generator=torch.Generator().manual_seed(0))
    partners = torch.stack([torch.arange(PAIRS), order], dim=1)
    found = train(no, yes, begin, Training(steps=50), partners=partners)
    shuffled = train(no, yes[order], begin, Training(steps=50))
    torch.testing.assert_close(found.probes.weights[1], shuffled.probes.weights[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.losses[1], shuffled.losses[1], atol=1e-5, rtol=0)
    assert (found.probes.weights[0] - found.probes.weights[1]).abs().max() > 1e-3


def test_a_feature_that_turns_with_the_answer_is_found() -> None:
    no, yes, true = states(signal=4.0)
    found = train(no, yes, starts(WIDTH, 10, seed=0))
    best = found.best
    assert float(found.losses[best]) < 0.02
    called = verdicts(found.probes(no)[:, best].numpy(), found.probes(yes)[:, best].numpy())
    assert empirical_separation_accuracy(called, true.numpy() > 0) > 0.95
    assert cosine_silhouette((yes - no).numpy(), called) > 0.05


def test_a_probe_that_looks_at_nothing_has_the_constant_loss() -> None:
    p = torch.full((PAIRS, 1), 0.4)
    assert float(losses_of(p, p)[0]) == pytest.approx(CONSTANT_LOSS)
    best = min(float(losses_of(torch.full((1, 1), c), torch.full((1, 1), c))[0]) for c in np.linspace(0, 1, 1001))
    assert best == pytest.approx(CONSTANT_LOSS, abs=1e-6)


@pytest.mark.parametrize(
    ("p", "pc", "ci"),
    [
        ((1, 0, 0, 1), 0, 0),
        ((0, 1, 1, 0), 0, 0),
        ((1, 0, 1, 0), 0, 1),
        ((0.5, 0.5, 0.5, 0.5), 0, 0.5),
        ((1, 1, 1, 1), 0, 2),
        ((0.4, 0.4, 0.4, 0.4), 0, 0.32),
        ((0.9, 0.1, 0.8, 0.2), 0.49, 0.74),
        ((0.9, 0.2, 0.8, 0.1), -0.50, 0.74),
    ],
    ids=["ideal", "swapped", "always yes", "all half", "all one", "constant", "same verdict", "inconsistent"],
)
def test_golden_values_of_pc_and_ci(p, pc, ci) -> None:
    """Given as a1, a0, n1, n0."""
    quartet = Quartet(*(np.array([float(each)]) for each in p))
    assert polarity_consistency(quartet)[0] == pytest.approx(pc, abs=1e-12)
    assert contradiction_index(quartet)[0] == pytest.approx(ci, abs=1e-12)


def test_one_kind_of_verdict_has_no_silhouette() -> None:
    assert cosine_silhouette(np.random.default_rng(0).normal(size=(5, 3)), np.ones(5, dtype=bool)) == 0.0


def test_states_that_are_not_finite_are_named_by_their_row() -> None:
    no, yes, _ = states()
    yes[7, 3] = float("nan")
    with pytest.raises(SteeringError, match="row 7"):
        train(no, yes, starts(WIDTH, 1, seed=0))
    with pytest.raises(SteeringError, match="same shape"):
        train(no, yes[:-1], starts(WIDTH, 1, seed=0))


def test_probes_give_probabilities() -> None:
    probes = Probes(torch.zeros(2, 3), torch.tensor([0.0, 100.0]))
    assert probes(torch.ones(4, 3)).tolist() == [[0.5, 1.0]] * 4
