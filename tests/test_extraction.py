"""Extraction against planted truth: a known shift is found, with the right sign, scale and separation."""

from __future__ import annotations

import pytest
import torch

from steering.contrast import ContrastSet
from steering.controls import random_control
from steering.errors import SteeringError
from steering.extraction import METHODS
from steering.extraction.extract import FEW_NOTE, default_block, extract
from steering.extraction.mean_difference import MeanDifference
from steering.extraction.pairwise_pca import PairwisePCA


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


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_a_planted_shift_with_its_sign(method) -> None:
    truth, positive, negative = planted(noise=0.3)
    directions = fit(METHODS[method].build(), positive, negative)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(BLOCKS, dtype=torch.float64))
    cosines = (directions.float() * truth).sum(dim=-1)
    assert cosines.min() > 0.95
    flipped = fit(METHODS[method].build(), negative, positive)
    assert (flipped.float() * truth).sum(dim=-1).max() < -0.95


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
    from steering.activations import read_states
    from steering.prompts import render

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


def test_a_vector_that_separates_nothing_says_so() -> None:
    scores = torch.tensor([0.48, 0.55, 0.5])
    assert "chance" in default_block(scores, 3, lowest=scores - 0.1)[1]
    assert "chance" not in default_block(scores + 0.3, 3, lowest=scores + 0.2)[1]


def test_few_held_out_prompts_are_noted(tiny_host, tmp_path) -> None:
    from steering.studies import find_study

    study, host = find_study("extract"), tiny_host("llama")
    path = tmp_path / "few.csv"
    path.write_text("positive,negative\n" + "\n".join(f"good day {i},bad day {i}" for i in range(10)))
    for contrast, noted in ((str(path), True), ("sentiment", False)):
        result = study.start(host, study.parse({"contrast": contrast})).result()
        assert (FEW_NOTE in result.notes) == noted


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
