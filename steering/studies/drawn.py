"""Figures of a result from its tables and vectors alone, so that a run of last year has them too, by its study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from steering.studies.axbench.figures import axbench_figures
from steering.studies.dictionaries.figures import crosscoder_figures, training_figures
from steering.studies.features.attribution_figures import attribution_figures
from steering.studies.features.cause_figures import cause_figures
from steering.studies.features.figures import feature_figures
from steering.studies.features.health_figures import health_figures
from steering.studies.features.two_models_figures import shift_figures
from steering.studies.figures import Drawn
from steering.studies.overoptimisation.figures import overoptimisation_figures
from steering.studies.preferences.figures import making_figures, rewarding_figures, worth_figures
from steering.studies.probing.drawn import probe_drawn
from steering.studies.refusal.drawn import refusal_drawn
from steering.studies.tradeoff.drawn import tradeoff_drawn
from steering.studies.training.figures import train_figures
from steering.studies.vectors_drawn import extract_drawn, methods_drawn


if TYPE_CHECKING:
    from steering.studies.result import Result

__all__ = ["Drawn", "drawn"]


def drawn(result: Result) -> Iterator[Drawn]:
    """The figures of a result; none of a study that has no curves, such as Steer.

    Raises:
        KeyError, IndexError, TypeError, ValueError: Its tables are not those that its study writes.
    """
    draw = _BY_STUDY.get(result.study)
    if draw is not None:
        yield from draw(result)


_BY_STUDY: dict[str, Callable[[Result], Iterator[Drawn]]] = {
    "extract": extract_drawn,
    "methods": methods_drawn,
    "refusal": refusal_drawn,
    "tradeoff": tradeoff_drawn,
    "probe": probe_drawn,
    "pairs": lambda result: making_figures(result.tables),
    "train": lambda result: train_figures(result.tables, result.settings.get("budget")),
    "pair_worth": lambda result: worth_figures(result.tables),
    "self_rewarding": lambda result: rewarding_figures(result.tables),
    "axbench": lambda result: axbench_figures(result.tables),
    "overoptimisation": lambda result: overoptimisation_figures(result.tables),
    "features": lambda result: feature_figures(result.tables),
    "dictionary_health": lambda result: health_figures(result.tables),
    "sae": lambda result: training_figures(result.tables),
    "transcoder": lambda result: training_figures(result.tables),
    "crosscoder": lambda result: crosscoder_figures(result.tables),
    "feature_cause": lambda result: cause_figures(result.tables),
    "feature_attribution": lambda result: attribution_figures(result.tables),
    "feature_shift": lambda result: shift_figures(result.tables),
}
