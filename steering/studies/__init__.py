"""Experiments that run without a screen.

A study is typed settings and a function from a host, settings and a job to a `Result`. To add one, write a module that
ends in a `Study` and name it in `STUDIES`.
"""

from __future__ import annotations

from collections.abc import Mapping

from steering.errors import SteeringError
from steering.studies.extract import EXTRACT
from steering.studies.grid import GRID
from steering.studies.methods import METHODS_STUDY
from steering.studies.probing import STUDY as PROBE_STUDY
from steering.studies.refusal import STUDY as REFUSAL_STUDY
from steering.studies.steer import STEER
from steering.studies.study import Study
from steering.studies.tradeoff import STUDY as TRADEOFF_STUDY


STUDIES: Mapping[str, Study] = {
    study.name: study for study in (EXTRACT, METHODS_STUDY, STEER, GRID, REFUSAL_STUDY, TRADEOFF_STUDY, PROBE_STUDY)
}


def find_study(name: str) -> Study:
    """A study by name.

    Raises:
        SteeringError: There is none of that name.
    """
    if name not in STUDIES:
        raise SteeringError(
            f"The study '{name}' was asked for.", f"one of {', '.join(STUDIES)}.", "Choose one of these."
        )
    return STUDIES[name]
