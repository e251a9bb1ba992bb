"""Extraction against planted truth: a known shift is found, with the right sign, scale and separation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.extraction.controls import random_control
from steering.extraction.extract import default_block, extract
from steering.extraction.fitting import AlikeSidesError
from steering.extraction.mean_difference import MeanDifference
from steering.extraction.pairwise_pca import PairwisePCA
from steering.texts.contrast import ContrastSet
from steering.writes.operations import Erase


BLOCKS, WIDTH, PAIRS = 3, 24, 40


def planted(noise: float, seed: int = 0):
    """Pairs whose positive side is shifted by 2 along a known direction, with a shared nuisance that varies far
    more.
    """
    generator = torch.Generator().manual_seed(seed)
    truth = torch.nn.functional.normalize(torch.randn(BLOCKS, WIDTH, generator=generator), dim=-1)
    shared = 5 * torch.randn(PAIRS, BLOCKS, WIDTH, generator=generator)
    jitter = noise * torch.randn(2, PAIRS, BLOCKS, WIDTH, generator=generator)
    return truth, shared + 2 * truth + jitter[0], shared + jitter[1]


def fit(fitter, positive, negative):
    for side, states in (("positive", positive), ("negative", negative)):
        for indices in torch.randperm(PAIRS, generator=torch.Generator().manual_seed(1)).split(7):
            fitter.update(side, indices, states[indices])
    return fitter.directions()


def clear(noise: float = 1.0, seed: int = 0):
    """As `planted`, but nothing shared varies: the shift is what varies most."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.nn.functional.normalize(torch.randn(BLOCKS, WIDTH, generator=generator), dim=-1)
    middle = 3 * torch.randn(BLOCKS, WIDTH, generator=generator)
    jitter = noise * torch.randn(2, PAIRS, BLOCKS, WIDTH, generator=generator)
    return truth, middle + 4 * truth + jitter[0], middle - 4 * truth + jitter[1]


CONTROLS = [name for name, method in METHODS.items() if method.control]
REAL = [name for name in METHODS if name not in CONTROLS]


@pytest.mark.parametrize("method", REAL)
def test_every_method_finds_a_planted_shift_with_its_sign(method) -> None:
    truth, positive, negative = clear()
    if method == "projected_difference":  # which leaves the negative mean's own direction alone
        truth = off_mean(truth, negative)
    directions = fit(METHODS[method].build(0), positive, negative)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(BLOCKS, dtype=torch.float64))
    cosines = (directions.float() * truth).sum(dim=-1)
    # Means of 40 states with unit noise err by 0.22 in each of 23 other dimensions, against a shift of 8.
    # LEACE inverts a covariance of 80 states in 24 dimensions as it is, which errs by sqrt(24 / 80).
    least = 0.75 if method == "leace" else 0.95
    assert cosines.min() > least
    if method == "projected_difference":
        truth = off_mean(truth, positive)
    flipped = fit(METHODS[method].build(0), negative, positive)
    assert (flipped.float() * truth).sum(dim=-1).max() < -least + 0.05


def off_mean(directions: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    along = torch.nn.functional.normalize(states.mean(dim=0), dim=-1)
    return torch.nn.functional.normalize(directions - (directions * along).sum(-1, keepdim=True) * along, dim=-1)


def test_controls_point_nowhere_on_average_and_depend_on_the_seed() -> None:
    truth, positive, negative = clear()
    assert CONTROLS == ["random", "shuffled", "unrelated"]
    for name in ("random", "shuffled"):
        found = torch.stack([fit(METHODS[name].build(seed), positive, negative).float() for seed in range(30)])
        cosines = (found * truth).sum(dim=-1)
        # Standard deviation 1 / sqrt(24) each over 90 draws of a random direction; shuffling leaves no shift at all.
        assert cosines.mean().abs() < 0.1, name
        assert cosines.abs().max() < 0.85, name
        assert torch.equal(found[3], fit(METHODS[name].build(3), positive, negative).float())
        assert not torch.equal(found[3], found[4])


def test_projected_difference_leaves_the_negative_mean_alone() -> None:
    _, positive, negative = clear()
    mean = negative.double().mean(dim=0)
    plain = fit(MeanDifference(), positive, negative)
    assert (plain * mean).sum(dim=-1).abs().min() > 0.3
    found = fit(METHODS["projected_difference"].build(0), positive, negative)
    torch.testing.assert_close((found * mean).sum(dim=-1), torch.zeros(BLOCKS, dtype=torch.float64), atol=1e-10, rtol=0)


def test_lda_is_the_shrunk_formula_written_out() -> None:
    from sklearn.covariance import oas

    _, positive, negative = planted(noise=1.0)
    found = fit(METHODS["lda"].build(0), positive, negative)
    for block in range(BLOCKS):
        sides = [states[:, block].double() for states in (positive, negative)]
        within = torch.cat([side - side.mean(dim=0) for side in sides]).numpy()
        covariance, shrinkage = oas(within, assume_centered=True)
        assert 0.01 < shrinkage < 0.99
        weights = np.linalg.solve(covariance, (sides[0].mean(dim=0) - sides[1].mean(dim=0)).numpy())
        np.testing.assert_allclose(found[block].numpy(), weights / np.linalg.norm(weights), atol=1e-8)


def test_lda_works_with_fewer_prompts_than_dimensions_and_refuses_states_that_never_vary() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(2, 6, 1, 400, generator=generator)
    fitter = METHODS["lda"].build(0)
    for side, states in zip(("positive", "negative"), wide, strict=True):
        fitter.update(side, torch.arange(6), states)
    assert torch.isfinite(fitter.directions()).all()
    same = METHODS["lda"].build(0)
    for side, states in zip(("positive", "negative"), wide, strict=True):
        same.update(side, torch.arange(6), states[:1].expand(6, -1, -1))
    with pytest.raises(SteeringError, match="block 0 all prompts of a side have the same state"):
        same.directions()


def test_logistic_and_leace_separate_what_a_nuisance_hides_from_the_mean_difference() -> None:
    """One dimension varies much and says nothing of the side, but the sample's means differ in it."""
    generator = torch.Generator().manual_seed(3)
    truth = torch.zeros(WIDTH)
    truth[0] = 1.0
    sides = [torch.randn(PAIRS, 1, WIDTH, generator=generator) * 0.3 + sign * truth for sign in (1, -1)]
    for side in sides:
        side[..., 1] *= 60
    nuisance = fit(MeanDifference(), *sides)[0, 1].abs()
    assert nuisance > 0.5
    for name in ("logistic", "lda", "leace"):
        assert fit(METHODS[name].build(0), *sides)[0, 1].abs() < 0.2 * nuisance, name


def test_after_leace_a_linear_probe_falls_to_the_majority_rate() -> None:
    from sklearn.linear_model import LogisticRegression

    _, positive, negative = clear(noise=2.0)
    negative = negative[:30]  # unequal sides: the majority rate is 4 in 7
    fitter = METHODS["leace"].build(0)
    for side, states in (("positive", positive), ("negative", negative)):
        fitter.update(side, torch.arange(len(states)), states)
    eraser, sides = fitter.eraser(), np.repeat([1, 0], [len(positive), len(negative)])
    for block in range(BLOCKS):
        states = torch.cat([positive, negative])[:, block]
        erase = Erase(eraser.left[block][:, None], eraser.right[block][None], eraser.mean[block])
        before, after = (
            LogisticRegression(C=1e3, max_iter=5000).fit(x.numpy(), sides).score(x.numpy(), sides)
            for x in (states, erase(states))
        )
        assert before > 0.95
        assert after == pytest.approx(40 / 70, abs=1e-9)
        # The map moves states no further than it must: along one direction.
        assert int((torch.linalg.svdvals(erase(states) - states) > 1e-3).sum()) == 1


def test_pca_says_how_much_it_explains() -> None:
    _, positive, negative = clear()
    for name in ("pairwise_pca", "centred_pca"):
        fitter = METHODS[name].build(0)
        fit(fitter, positive, negative)
        explained = fitter.explained()
        assert explained.shape == (BLOCKS,)
        # The shift of 8 or of 4 about the middle, against unit noise of twice or once the variance in 24 dimensions.
        assert 0.35 < float(explained.min()) < float(explained.max()) < 0.75
    assert MeanDifference().explained() is None


def test_pairwise_pca_is_not_centred() -> None:
    """With equal pair differences, centring leaves nothing but noise; the uncentred component is the shift itself."""
    truth, positive, negative = planted(noise=0.01)
    found = fit(PairwisePCA(), positive, negative)
    assert (found.float() * truth).sum(dim=-1).min() > 0.999
    differences = (positive - negative)[:, 0]
    centred = torch.linalg.svd(differences - differences.mean(dim=0)).Vh[0]
    assert abs(float(centred @ truth[0])) < 0.6  # what a library's default PCA would have given


def test_mean_difference_equals_the_full_formula_in_float64() -> None:
    _, positive, negative = planted(noise=1.0)
    difference = positive.double().mean(dim=0) - negative.double().mean(dim=0)
    expected = difference / difference.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(fit(MeanDifference(), positive, negative), expected, rtol=1e-12, atol=1e-14)


def sets() -> ContrastSet:
    things = ["hotel", "cafe", "film", "book", "park", "train", "garden", "museum", "song", "boat"]
    return ContrastSet.of(
        [f"Write a cheerful review of the {t}." for t in things], [f"Write a gloomy review of the {t}." for t in things]
    )


def test_a_vector_carries_scale_norm_and_provenance_measured_on_its_own_prompts(tiny_host) -> None:
    from steering.model.prompts import render
    from steering.passes.activations import read_states

    host, contrast = tiny_host("llama"), sets()
    vector = extract(host, contrast, name="tone", token_budget=40)
    states = {
        side: read_states(host, [render(host, e.messages) for e in contrast.side(side, "train")]).double()
        for side in ("positive", "negative")
    }
    difference = states["positive"].mean(dim=0) - states["negative"].mean(dim=0)
    torch.testing.assert_close(vector.mean_differences.double(), difference.norm(dim=-1), rtol=1e-4, atol=1e-5)
    residual = torch.cat(list(states.values())).norm(dim=-1).mean(dim=0)
    torch.testing.assert_close(vector.residual_norms.double(), residual, rtol=1e-4, atol=1e-5)
    provenance = vector.provenance
    assert provenance.contrast_digest == contrast.digest
    assert (provenance.n_train, provenance.n_validation) == ((6, 6), (2, 2))
    assert (provenance.model, provenance.method, provenance.pooling) == (host.name, "mean_difference", "last_token")
    assert provenance.template_digest == host.info.template_digest
    assert extract(host, contrast, name="tone", token_budget=4000).digest != ""
    cosine = (vector.directions * extract(host, contrast, token_budget=4000).directions).sum(dim=-1)
    assert cosine.min() > 0.9999  # the size of the batches does not matter


def test_auroc_is_measured_on_validation_prompts_only_and_absent_without_them(tiny_host) -> None:
    host = tiny_host("llama")
    with_validation = extract(host, sets())
    assert with_validation.auroc is not None
    assert (
        (with_validation.auroc_low <= with_validation.auroc) & (with_validation.auroc <= with_validation.auroc_high)
    ).all()
    few = ContrastSet.of(["good day", "good food"], ["bad day", "bad food"])
    assert few.counts["validation"] == (0, 0)
    without = extract(host, few)
    assert without.auroc is None
    assert "no validation prompts" in without.default_block_reason


def test_the_default_block_is_the_one_nearest_the_middle_among_the_best() -> None:
    assert default_block(torch.tensor([0.5, 0.9, 1.0, 1.0, 0.995, 1.0]), 6)[0] == 2
    assert default_block(torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9, 1.0]), 6)[0] == 5
    assert default_block(None, 6)[0] == 2
    # A trace in early blocks does not count where the difference is still to grow.
    early = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    block, reason = default_block(early, 6, shares=torch.tensor([0.02, 0.02, 0.1, 0.3, 0.9, 1.0]))
    assert block == 4
    assert "among blocks 4, 5, within" in reason
    assert "at least 40% of the largest share of the state" in reason


def test_a_vector_that_separates_nothing_says_so() -> None:
    scores = torch.tensor([0.48, 0.55, 0.5])
    assert "chance" in default_block(scores, 3, lowest=scores - 0.1)[1]
    assert "chance" not in default_block(scores + 0.3, 3, lowest=scores + 0.2)[1]


def test_few_prompts_are_noted_before_and_after(tiny_host, tmp_path) -> None:
    from steering.studies import find_study
    from steering.texts.understanding import understand

    study, host = find_study("extract"), tiny_host("llama")
    path = tmp_path / "few.csv"
    fit, held, none = "Only {n} + {n} prompts to fit to", "Few held-out prompts", "None is held out"
    # Pairs -> what is said, and what is not: 2 are all for training, 10 are dealt 6 / 2 / 2, 25 as 15 / 5 / 5.
    for pairs, said, unsaid in (
        (2, (fit.format(n=2), none), (held,)),
        (10, (fit.format(n=6), held), (none,)),
        (25, (held,), ("to fit to", none)),
    ):
        path.write_text("positive,negative\n" + "\n".join(f"good day {i},bad day {i}" for i in range(pairs)))
        notes = " ".join(study.start(host, study.parse({"contrast": str(path)})).result().notes)
        before = " ".join(understand(str(path), "contrast").notes)
        assert all(each in notes and each in before for each in said)
        assert not any(each in notes or each in before for each in unsaid)
    notes = study.start(host, study.parse({"contrast": "sentiment"})).result().notes
    assert not any("prompts to fit to" in each or held in each for each in notes)


def test_too_few_prompts_an_unknown_method_and_unpaired_lists_are_refused(tiny_host) -> None:
    host = tiny_host("llama")
    with pytest.raises(SteeringError, match="1 positive and 1 negative training prompts"):
        extract(host, ContrastSet.of(["good"], ["bad"]))
    with pytest.raises(SteeringError, match="one of mean_difference"):
        extract(host, sets(), method="magic")
    lists = ContrastSet.of(["good day", "fine day"] * 2, ["bad day", "poor day"] * 2, paired=False)
    with pytest.raises(SteeringError, match="contrast set of pairs"):
        extract(host, lists, method="pairwise_pca")


def test_two_sides_that_do_not_differ_are_refused(tiny_host) -> None:
    same = ["the same day"] * 5
    with pytest.raises(SteeringError, match=r"direction of block 0 has norm 0.*same texts"):
        extract(tiny_host("llama"), ContrastSet.of(same, same))


def test_a_random_control_has_the_same_scale_and_another_direction(tiny_host) -> None:
    vector = extract(tiny_host("llama"), sets())
    control = random_control(vector, seed=3)
    assert torch.equal(control.mean_differences, vector.mean_differences)
    torch.testing.assert_close(control.directions.norm(dim=-1), torch.ones(4))
    assert (control.directions * vector.directions).sum(dim=-1).abs().max() < 0.7  # width 32: standard deviation 0.18
    assert control.auroc is None
    assert torch.equal(control.directions, random_control(vector, seed=3).directions)
    assert not torch.equal(control.directions, random_control(vector, seed=4).directions)


def test_sides_that_look_alike_where_they_are_read_are_told_with_what_to_read_instead(tiny_host) -> None:
    host, contrast = tiny_host("llama"), ContrastSet.load("formality")
    with pytest.raises(AlikeSidesError, match=r"block 0, block_input, read at last_token.*mean_content.*block_output"):
        extract(host, contrast, site="block_input")
    whole = extract(host, contrast, site="block_input", pooling="mean_content")
    assert float(whole.mean_differences[0]) > 0
