"""Probes at a block: folds, centring, and what the two centrings make of features that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.plain_ccs import plain_ccs
from steering.statistics import auroc
from steering.studies.probing.analysis import right_of
from steering.studies.probing.block import search
from steering.studies.probing.ccs import CONSTANT_LOSS, Training, starts
from steering.studies.probing.metrics import contradiction_index, empirical_separation_accuracy, polarity_consistency
from steering.studies.probing.prepared import prepare
from steering.studies.probing.references import REFERENCES, random_verdicts, referred


PAIRS, WIDTH = 400, 160  # as many pairs a dimension as in the published simulation


def simulated(feature, *, pairs=PAIRS, width=WIDTH, seed=0, size=6.0, shared=1.0):
    """States with one feature along an axis that turns with the answer: f is 1 or -1 by statement, 0 for none.

    Both halves of a pair share half of their content, and a statement's two runs share nearly all of it, as texts do.
    """
    rng = np.random.default_rng(seed)
    n = 2 * pairs
    harmful = np.arange(n) % 2 == 1
    # One half of a pair has the negation word, and in half of the pairs it is the harmful one.
    negated = harmful ^ np.repeat(rng.random(pairs) < 0.5, 2)
    f = {"harm": 2.0 * harmful - 1, "negation": 2.0 * negated - 1, "none": np.zeros(n)}[feature]
    content = shared * np.repeat(rng.standard_normal((pairs, width)), 2, axis=0) + rng.standard_normal((n, width))
    no, yes = (content + 0.3 * rng.standard_normal((n, width)) for _ in range(2))
    yes[:, 0] += size * f
    no[:, 0] -= size * f
    yes[:, 1] += 3.0  # what the answer's own token does to all alike
    return torch.from_numpy(no).float(), torch.from_numpy(yes).float(), negated


def folds(pairs, n=5):
    return np.arange(pairs) % n


def searched(feature, centring, **options):
    no, yes, negated = simulated(feature, **options)
    given = prepare(no, yes, folds(len(no) // 2), l2=False, centring=centring)
    (found,) = search([given], Training(), restarts=1, seed=0, published=centring == "published")
    return found, given, negated


def test_a_harm_probe_has_no_contradiction_until_groups_are_centred_apart() -> None:
    """The published evaluation scores a perfect harm probe worst: CI near 0.55, PC under 0."""
    fair, given, _ = searched("harm", "mean")
    assert fair.loss < 0.01
    assert (fair.called == given.harmful).mean() > 0.99
    assert contradiction_index(fair.quartet).mean() < 0.03
    assert abs(polarity_consistency(fair.quartet).mean()) < 0.01
    published, _, _ = searched("harm", "published")
    assert (published.called == given.harmful).mean() > 0.99
    assert contradiction_index(published.quartet).mean() == pytest.approx(0.55, abs=0.04)
    assert -0.15 < polarity_consistency(published.quartet).mean() < -0.05


@pytest.mark.parametrize("centring", ["mean", "published"])
def test_a_negation_probe_has_no_contradiction_either_way(centring) -> None:
    found, given, negated = searched("negation", centring)
    assert found.train_loss < 0.01
    right = (found.called == negated).mean()
    assert max(right, 1 - right) > 0.99
    assert empirical_separation_accuracy(found.called, given.harmful) < 0.58  # 800 statements: sd 0.018, and its sign
    assert contradiction_index(found.quartet).mean() < 0.03


@pytest.mark.parametrize("centring", ["mean", "published"])
def test_with_nothing_to_find_a_probe_is_worth_no_more_than_a_constant(centring) -> None:
    """The constant optimum has loss 0.2 and CI 0.32; held out the loss is larger, since the probe has learned noise."""
    found, given, _ = searched("none", centring)
    assert found.train_loss == pytest.approx(0.195, abs=0.01)
    assert found.loss > CONSTANT_LOSS
    assert empirical_separation_accuracy(found.called, given.harmful) < 0.58
    assert contradiction_index(found.quartet).mean() == pytest.approx(0.33, abs=0.02)


def test_shuffled_pairs_leave_nothing() -> None:
    no, yes, _ = simulated("harm", pairs=200, width=32)
    given = prepare(no, yes, folds(200), l2=True, centring="mean")
    (as_given,) = search([given], Training(steps=400), restarts=3, seed=0)
    (shuffled,) = search([given], Training(steps=400), restarts=3, seed=0, shuffled=True)
    assert as_given.loss < 0.05
    assert shuffled.loss > CONSTANT_LOSS - 0.03
    assert (as_given.called == given.harmful).mean() > 0.99


@pytest.mark.parametrize(("centring", "l2"), [("mean", True), ("median", False), ("none", True), ("published", False)])
def test_every_fold_is_what_a_plain_training_on_its_rows_gives(centring, l2) -> None:
    """Scaled, centred and trained by hand with autograd; 60 steps of float32 leave 1e-3 of a probability."""
    no, yes, _ = simulated("harm", pairs=40, width=12, size=1.0)
    fold = folds(40)
    given = prepare(no, yes, fold, l2=l2, centring=centring)
    (found,) = search([given], Training(steps=60), restarts=2, seed=7)
    begin = starts(12, 2, 7)
    if l2:
        no, yes = no / no.norm(dim=1, keepdim=True), yes / yes.norm(dim=1, keepdim=True)
    for each in range(5):
        inside = torch.from_numpy(np.repeat(fold != each, 2))
        middles = {
            "mean": lambda rows: rows.mean(dim=0),
            "median": lambda rows: torch.from_numpy(np.median(rows.numpy(), axis=0)),
            "none": lambda rows: torch.zeros(12),
        }["median" if centring == "published" else centring]
        centred = [states - middles(states[inside]) for states in (no, yes)]
        trained = [states[inside] for states in centred]
        if centring == "published":
            trained = [states - states.mean(dim=0) for states in trained]
        best, _ = min(plain_ccs(*trained, begin.weights, begin.biases, steps=60), key=lambda probe: probe[1])
        with torch.no_grad():
            for side, held in ((0, found.no), (1, found.yes)):
                expected = torch.sigmoid(best(centred[side][~inside]))[:, 0].numpy()
                np.testing.assert_allclose(held[~inside.numpy()], expected, atol=1e-3)


def test_the_median_of_an_even_number_of_rows_is_the_mean_of_the_middle_two() -> None:
    """As in the published code, which takes numpy's; torch's own is the lower of the two."""
    no = torch.tensor([[0.0], [0.0], [1.0], [1.0], [4.0], [7.0]])
    given = prepare(no, no + 1, np.array([0, 1, 1]), l2=False, centring="median")
    # Fold 0 trains on pairs 1 and 2, rows 1, 1, 4, 7: their median is 2.5, not 1. Fold 1 trains on pair 0; all: 1.
    middle = float(no.mean() + (no + 1).mean()) / 2
    assert (given.offsets[0, :, 0] + middle).tolist() == pytest.approx([2.5, 0.0, 1.0])
    assert (given.offsets[1, :, 0] + middle).tolist() == pytest.approx([3.5, 1.0, 2.0])


def test_several_blocks_at_once_are_trained_as_one_at_a_time() -> None:
    given = [
        prepare(*simulated("harm", pairs=60, width=16, seed=seed, size=1.0)[:2], folds(60), l2=True, centring="mean")
        for seed in range(3)
    ]
    together = search(given, Training(steps=80), restarts=2, seed=0)
    assert len(together) == 3
    for each, found in zip(given, together, strict=True):
        (alone,) = search([each], Training(steps=80), restarts=2, seed=0)
        np.testing.assert_allclose(found.no, alone.no, atol=1e-4)
        np.testing.assert_allclose(found.restarts.losses, alone.restarts.losses, atol=1e-5)
    assert np.abs(together[0].no - together[1].no).max() > 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_finds_what_the_cpu_finds() -> None:
    """All blocks in one product; 80 steps in another order of sums leave 1e-3 of a probability."""
    given = [
        prepare(*simulated("harm", pairs=60, width=16, seed=seed, size=1.0)[:2], folds(60), l2=True, centring="mean")
        for seed in range(3)
    ]
    options = {"restarts": 2, "seed": 0}
    on_gpu = search(given, Training(steps=80), device=torch.device("cuda"), **options)
    for found, each in zip(on_gpu, search(given, Training(steps=80), **options), strict=True):
        np.testing.assert_allclose(found.no, each.no, atol=1e-3)


def test_a_test_pair_never_bears_on_its_own_verdict() -> None:
    """Labels and states of one fold are spoiled: its own probes and offsets stay as they are."""
    no, yes, _ = simulated("harm", pairs=60, width=16, size=2.0)
    fold = folds(60)
    own = np.repeat(fold == 0, 2)
    given = prepare(no, yes, fold, l2=True, centring="mean")
    for reference in REFERENCES.values():
        before = referred(given, reference)
        turned = prepare(no, yes, fold, l2=True, centring="mean")
        turned.harmful[own] = ~turned.harmful[own]
        after = referred(turned, reference)
        np.testing.assert_array_equal(before.scores[own], after.scores[own])
    spoiled = prepare(no + 5 * torch.from_numpy(own)[:, None], yes, fold, l2=True, centring="mean")
    shift = (spoiled.no - spoiled.offsets[0, 0]) - (given.no - given.offsets[0, 0])
    np.testing.assert_allclose(shift[~own].numpy(), 0, atol=1e-5)  # others' rows, as their own fold sees them
    assert np.abs(shift[own].numpy()).max() > 0.1


def test_supervised_probes_and_the_first_component_find_the_feature() -> None:
    no, yes, _ = simulated("harm", pairs=150, width=64, size=1.5)
    given = prepare(no, yes, folds(150), l2=True, centring="mean")
    for name, reference in REFERENCES.items():
        found = referred(given, reference)
        scores = found.scores.reshape(-1, 2)
        assert auroc(scores[:, 1:], scores[:, :1])[0] > 0.97, name
        assert right_of(found).mean() / 2 > 0.9, name
    chance = (random_verdicts(given, 200, 0) == given.harmful[:, None]).mean(axis=0)
    assert 0.45 < np.median(chance) < 0.55


def test_supervised_probes_find_nothing_where_nothing_is() -> None:
    no, yes, _ = simulated("none", pairs=300, width=64)
    given = prepare(no, yes, folds(300), l2=True, centring="mean")
    for name, reference in REFERENCES.items():
        assert abs(right_of(referred(given, reference)).mean() / 2 - 0.5) < 0.1, name  # 600 statements: sd 0.02


def test_more_dimensions_than_statements_change_no_logistic_probe() -> None:
    """Fitted in the span of the rows; against scikit-learn in all dimensions."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    rows, harmful = rng.standard_normal((40, 90)), np.arange(40) % 2 == 1
    rows[harmful] += 0.3
    weights, threshold = REFERENCES["logistic"].fit(rows, harmful)
    scaled = (rows - rows.mean(axis=0)) / np.sqrt(np.square(rows - rows.mean(axis=0)).mean())
    plain = LogisticRegression(C=1.0, max_iter=1000, class_weight="balanced", tol=1e-8).fit(scaled, harmful)
    ours, theirs = rows @ weights - threshold, plain.decision_function(scaled)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9999
    assert ((ours > 0) == (theirs > 0)).all()
