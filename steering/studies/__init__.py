"""Experiments that run without a screen.

A study is typed settings and a function from a host, settings and a job to a `Result`. To add one, write a module that
ends in a `Study` and name it in `STUDIES`; a package offers a `Study`, or a panel, whose headless run is one, too.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BaseModel

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.plugins import Plugin, Registry, fetched, found, of_class, offered
from steering.studies.axbench import STUDY as AXBENCH_STUDY
from steering.studies.dictionaries import CROSSCODER, SAE, TRANSCODER
from steering.studies.extract import EXTRACT
from steering.studies.features.attribution_study import STUDY as ATTRIBUTION_STUDY
from steering.studies.features.cause import STUDY as CAUSE_STUDY
from steering.studies.features.features import FEATURES
from steering.studies.features.health import HEALTH
from steering.studies.features.two_models import STUDY as SHIFT_STUDY
from steering.studies.grid import GRID
from steering.studies.methods import METHODS_STUDY
from steering.studies.overoptimisation import STUDY as OVEROPTIMISATION_STUDY
from steering.studies.preferences.making import MAKING
from steering.studies.preferences.rewarding import REWARDING
from steering.studies.preferences.worth import WORTH
from steering.studies.probing import STUDY as PROBE_STUDY
from steering.studies.refusal import STUDY as REFUSAL_STUDY
from steering.studies.setting_kinds import NoSettings
from steering.studies.steer import STEER
from steering.studies.study import Result, Study
from steering.studies.tradeoff import STUDY as TRADEOFF_STUDY
from steering.studies.training import STUDY as TRAIN_STUDY


class Studies(Registry[Study]):
    """Every study by its name, behind them the headless runs of packages' panels."""

    def _loaded(self) -> dict[str, tuple[Study, Plugin]]:
        with self._lock:
            begun = self._others is not None
            others = super()._loaded()
            if begun:
                return others
            for plugin in found("panel"):
                try:
                    panel = offered(fetched(plugin.source, plugin.point.load, "panel"), "panel")
                    study = fetched(plugin.source, partial(study_of, panel), "panel")
                except SteeringError:
                    continue  # said where panels are found
                if study.name not in self.own:
                    others.setdefault(study.name, (study, plugin))
            return others


def study_of(panel: Any) -> Study:
    """The headless run of a panel as a study: with a size, code, a YAML file and a place in the command line.

    Args:
        panel: A `workbench.panel.Panel`, which this library does not know.
    """

    def run(host: Host, settings: BaseModel, job: Job[Result]) -> Result:
        result: Result = panel.run(host, settings if panel.settings else None, job)
        return result

    return Study(panel.id, panel.title, panel.summary, panel.settings or NoSettings, run, size=panel.size)


def _read(name: str, given: Any) -> Study:
    """What a package offers as a study.

    Raises:
        SteeringError: It is none, or has another name than its entry point.
    """
    study = of_class("study", Study)(name, given)
    if study.name != name:
        raise SteeringError(
            f"The study of the entry point '{name}' is named '{study.name}'.", "the same name.", "Mend the package."
        )
    return study


_STEERED = (EXTRACT, METHODS_STUDY, STEER, GRID, REFUSAL_STUDY, TRADEOFF_STUDY, PROBE_STUDY)
_FEATURES = (HEALTH, FEATURES, CAUSE_STUDY, ATTRIBUTION_STUDY, SHIFT_STUDY)
_TRAINED = (MAKING, WORTH, REWARDING, TRAIN_STUDY, OVEROPTIMISATION_STUDY)
_OWN = (*_STEERED, AXBENCH_STUDY, *_TRAINED, *_FEATURES, SAE, TRANSCODER, CROSSCODER)
STUDIES: Studies = Studies("study", _read, {study.name: study for study in _OWN})


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
