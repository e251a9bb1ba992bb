"""Over-optimisation: best-of-n means against counting, where two judges part, and a run along n and a training."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies import find_study
from steering.studies.overoptimisation.judges import load_judge
from steering.studies.overoptimisation.parting import best_of_means, law, parting
from steering.studies.result import Result
from steering.studies.tradeoff.best_of import closed


def test_best_of_n_is_the_mean_over_all_choices_of_n() -> None:
    rng = np.random.default_rng(0)
    by, of = rng.normal(size=(2, 6)), rng.normal(size=(2, 6))
    found = best_of_means(by, of, [1, 2, 3, 6])
    for row in range(2):
        for column, n in enumerate((1, 2, 3, 6)):
            picked = [max(some, key=lambda place: by[row, place]) for some in combinations(range(6), n)]
            assert found[row, column] == pytest.approx(np.mean([of[row, place] for place in picked]))


def test_of_equals_each_is_taken_as_often() -> None:
    by, of = np.array([[0.0, 1.0, 1.0, 0.0]]), np.array([[9.0, 2.0, 4.0, 9.0]])
    # Of the six choices of two, five have a good one; the sixth takes one of the others.
    assert best_of_means(by, of, [2])[0, 0] == pytest.approx((5 * 3 + 9) / 6)


def curves(rise: float, *, requests: int = 40, noise: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """A judge that rises by 1 a point, and one that turns behind point 3 with a slope."""
    rng = np.random.default_rng(1)
    points = np.arange(7)
    held_out = np.where(points <= 3, points, 3 + rise * (points - 3)).astype(float)
    drawn = rng.normal(size=(2, requests, 7)) * noise
    return points + drawn[0], held_out + drawn[1]


def test_judges_part_where_the_held_out_one_turns_and_not_where_it_goes_on() -> None:
    found = parting(*curves(-1.0), resamples=300, seed=0)
    assert found.parted
    assert (found.place, found.low, found.high) == (3, 3, 3)
    assert found.held_out.value == pytest.approx(-3, abs=0.2)
    assert found.training.value == pytest.approx(3, abs=0.2)
    assert not parting(*curves(0.5), resamples=300, seed=0).parted
    both = parting(*(each[:, ::-1] for each in curves(0.5)), resamples=300, seed=0)
    assert not both.parted, "where both fall, nothing has been optimised"
    flat = [parting(*_noise(seed), resamples=200, seed=0).parted for seed in range(40)]
    assert sum(flat) <= 4, "the best of many points looks good by chance, and is tested on other requests"


def _noise(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(30, 8)), rng.normal(size=(30, 8))


def test_the_law_is_found_again() -> None:
    nats = [closed(n) for n in (1, 2, 4, 8, 16)]
    d = np.sqrt(nats)
    assert law(nats, (d * (2 - 0.5 * d)).tolist(), trained=False) == pytest.approx((2, 0.5))
    d = np.sqrt([0.0, 0.1, 1, 4])
    gains = [0.0, *(d[1:] * (1.5 - 0.3 * np.log(d[1:])))]
    assert law([0.0, 0.1, 1, 4], gains, trained=True) == pytest.approx((1.5, 0.3))
    assert np.isnan(law([0.0, 1.0], [0.0, 1.0], trained=False)).all()


def test_judges_count_words_and_know_the_grammar(demo: Host) -> None:
    texts = ["Esteemed cousin, I have the honour to write regarding the film.", "Kindly kindly kindly shall.", "Hey."]
    requests = [()] * 3
    assert load_judge(demo, "count:formal")(requests, texts)[1] == 4
    assert load_judge(demo, "grammar:formal")(requests, texts) == [1, 0, 0]
    for name in ("count:purple", "grammar:purple"):
        with pytest.raises(SteeringError, match="purple"):
            load_judge(demo, name)


@pytest.fixture(scope="module")
def result(demo: Host) -> Result:
    study = find_study("overoptimisation")
    settings = {"n_requests": 8, "samples": 4, "n_train": 8, "train_samples": 3, "steps": 12, "points": 2}
    settings |= {"reply_tokens": 32, "learning_rate": 0.4, "resamples": 200, "loss": "sft"}
    return study.start(demo, study.parse(settings)).result()


def test_what_is_optimised_rises_both_ways_and_kl_with_it(result: Result) -> None:
    table = result.tables["curve"]
    for along, places in (("n", [1, 2, 4]), ("steps", [0, 6, 12])):
        rows = table[table["along"] == along]
        assert rows["place"].tolist() == places
        assert rows["nats"].is_monotonic_increasing
        assert rows["training"].iloc[-1] > rows["training"].iloc[0]
        assert rows["training_gain"].iloc[0] == 0
    assert table[table["along"] == "n"]["nats"].tolist() == pytest.approx([closed(n) for n in (1, 2, 4)])
    assert "optimised" in result.vectors
    assert len(result.tables["replies"]) == 3 * 5
    assert len(result.notes) >= 2


def test_wrong_settings_are_refused(demo: Host, tiny_host) -> None:
    study = find_study("overoptimisation")
    with pytest.raises(SteeringError, match="No requests were named"):
        study.start(tiny_host("llama"), study.parse({})).result()
    with pytest.raises(SteeringError, match="magic"):
        study.start(demo, study.parse({"loss": "magic"})).result()
    with pytest.raises(SteeringError, match="such held-out requests"):
        study.start(demo, study.parse({"n_requests": 2000})).result()
