"""Best of n: what it takes, how far that is from the model, and its curve on the trade-off."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steering.judges import judge_lexicon
from steering.model.host import Host
from steering.studies import find_study
from steering.studies.tradeoff import Comparison, picture_of, result_of
from steering.studies.tradeoff.best_of import closed, closed_forward, counts_to, measured, sample
from steering.studies.tradeoff.curves import UNSTEERED


def test_the_closed_form_is_reached_where_no_two_replies_are_judged_alike() -> None:
    assert closed(4) == pytest.approx(math.log(4) - 3 / 4)
    assert closed_forward(4) == pytest.approx(3 - math.log(4))
    rng = np.random.default_rng(0)
    many = rng.permutation(4000).tolist()
    for n in (2, 4, 8):
        kl, forward = measured(many, n)
        assert kl == pytest.approx(closed(n), abs=5e-3)
        assert forward == pytest.approx(closed_forward(n), rel=0.02)  # its tail lies where few samples are
    assert measured(many, 1) == pytest.approx((0, 0), abs=1e-12)


def test_what_is_judged_alike_costs_nothing_and_two_values_cost_what_arithmetic_says() -> None:
    assert measured([1.0] * 9, 8) == pytest.approx((0, 0))
    # A quarter of the replies is good: best of two takes a good one with the probability 1 - (3/4)^2.
    good = 1 - 0.75**2
    kl, forward = measured([0, 0, 0, 1], 2)
    assert kl == pytest.approx(good * math.log(good / 0.25) + (1 - good) * math.log((1 - good) / 0.75))
    assert forward == pytest.approx(0.25 * math.log(0.25 / good) + 0.75 * math.log(0.75 / (1 - good)))
    assert kl < closed(2)
    assert counts_to(6) == [1, 2, 4, 6]


@pytest.fixture(scope="module")
def found(demo: Host) -> Comparison:
    settings = {
        "alignment": "formality",
        "alignment_by": "judged",
        "compare": ["best_of"],
        "best_of": 4,
        "also": ["sums"],
        "n": 4,
        "n_replies": 8,
        "reply_tokens": 24,
        "random": 0,
        "strengths": "0, 0.5",
        "recipes": ["formality"],
    }
    compared = Comparison(demo, find_study("tradeoff").parse(settings), {})
    demo.run(lambda job: list(compared.run(job)), title="trade-off")
    return compared


def test_the_judge_takes_the_best_of_the_samples_and_every_n_has_the_ones_before(found: Comparison) -> None:
    curve = found.curves.curves[-1]
    assert (curve.key, curve.strengths) == ("best_of", (0, 1, 2, 4))
    judged = found.judged_samples()
    assert judged.shape == (8, 4)
    assert len(np.unique(judged)) > 2, "samples differ"
    values = found.values("alignment", curve)
    for row, n in enumerate((1, 2, 4), start=1):
        np.testing.assert_allclose(values[row], judged[:, :n].max(axis=1))
    assert values[3].mean() > values[1].mean()
    texts = [seen["text"] for _, seen, _ in found.seen("alignment", curve.treatments[3])]
    assert [judge_lexicon(text, "formality").score("formal") for text in texts] == pytest.approx(values[3])
    first = [seen["text"] for _, seen, _ in found.seen("sums", sample(1))]
    assert [seen["text"] for _, seen, _ in found.seen("sums", curve.treatments[1])] == first, "one sample is itself"


def test_letters_stay_and_kl_is_the_closed_form(found: Comparison) -> None:
    curve = found.curves.curves[-1]
    letters = found.values("helpfulness", curve)
    np.testing.assert_array_equal(letters[3], found.unsteered("helpfulness"))
    for treatment, n in zip(curve.treatments[1:], (1, 2, 4), strict=True):
        for item, seen, _ in found.seen("kl", treatment):
            assert sum(seen["kl"]) == pytest.approx(closed_forward(n))
            assert len(seen["kl"]) == len(item.own) + 1
    assert found.divergence(UNSTEERED).max() == 0


def test_the_table_has_both_and_the_measured_one_is_no_more(found: Comparison) -> None:
    table = result_of(picture_of(found)).tables["best_of"].set_index("n")
    assert list(table.index) == [1, 2, 4]
    assert (table["kl"] <= table["kl_closed"] + 1e-9).all()
    assert table.loc[4, "kl"] > table.loc[2, "kl"] > 0
    assert table.loc[4, "requests"] == 8


def test_without_judged_replies_it_is_left_out_and_said(demo: Host) -> None:
    settings = {"compare": ["best_of"], "strengths": "0, 1", "n": 2, "also": [], "random": 0}
    compared = Comparison(demo, find_study("tradeoff").parse(settings), {})
    demo.run(lambda job: compared.prepare(), title="trade-off")
    assert any("Left out: best of n" in note and "alignment_by=judged" in note for note in compared.notes)
