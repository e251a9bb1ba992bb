"""A stop is felt in work that asks no model: fits and bootstraps look for it between their pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import sklearn.pipeline
import torch

from steering import statistics
from steering.extraction import METHODS, leace
from steering.lane import Job, Lane, Stopped
from steering.studies.probing import ccs, cues
from steering.studies.tradeoff import fits


def _method(name: str) -> Callable[[], Any]:
    def work() -> Any:
        fitter = METHODS[name].build(0)
        generator = torch.Generator().manual_seed(0)
        for side in ("positive", "negative"):
            fitter.update(side, torch.arange(12), torch.randn(12, 6, 8, generator=generator) + (side == "positive"))
        return fitter.directions()

    return work


def _ccs() -> Any:
    no, yes = torch.randn(2, 9, 5, generator=torch.Generator().manual_seed(0))
    return ccs.train(no, yes, ccs.starts(5, 3, 0))


def _bootstrap() -> Any:
    scores = np.random.default_rng(0).normal(size=(2, 20, 6))
    return statistics.auroc_intervals(scores[0], scores[1], paired=True)


def _curve() -> Any:
    return fits.tanh_fit(np.linspace(-2, 2, 9), np.tanh(np.linspace(-2, 2, 9) + 0.3))


def _words() -> Any:
    texts = [f"word {n} and {'good' if n % 2 else 'bad'} thing" for n in range(30)]
    return cues.bag_of_words(texts, np.arange(30) % 2 == 0, np.arange(30) // 5)


# What each piece calls, and the work.
PIECES: dict[str, tuple[Any, str, Callable[[], Any]]] = {
    "leace": (leace.LeaceFitter, "update", _method("leace")),
    "logistic": (METHODS["logistic"].build, "_weights", _method("logistic")),
    "lda": (METHODS["lda"].build, "_weights", _method("lda")),
    "centred_pca": (METHODS["centred_pca"].build, "rows", _method("centred_pca")),
    "ccs": (ccs, "_adamw", _ccs),
    "bootstrap": (statistics, "_wins", _bootstrap),
    "curve": (scipy.optimize, "least_squares", _curve),
    "words": (sklearn.pipeline, "make_pipeline", _words),
}


@pytest.mark.parametrize("name", PIECES)
def test_a_stop_ends_it_between_two_pieces(name, monkeypatch) -> None:
    """The work itself asks for a stop at its third call of one of its own parts, as somebody beside it would."""
    owner, part, work = PIECES[name]
    own, calls, asked = getattr(owner, part), [], [10**9]
    jobs: list[Job[Any]] = []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(None)
        if len(calls) == asked[0]:
            jobs[-1].stop()
        return own(*args, **options)

    monkeypatch.setattr(owner, part, counted)
    lane = Lane()

    def run() -> int:
        calls.clear()

        def inside(job: Job[Any]) -> None:
            jobs.append(job)
            work()

        lane.run(inside, title=name)
        return len(calls)

    whole = run()
    assert whole > 5, "there is something to stop"
    asked[0] = 3
    with pytest.raises(Stopped):
        run()
    assert len(calls) < min(whole, 25), "CCS looks every ten steps of two calls"
    lane.close()
