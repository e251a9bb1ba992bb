"""The share of a behaviour that runs through chosen features of a dictionary, beside random features of equal activity.

Features are switched off where the behaviour is, and turned up where it is not, alone and together, as rows of shared
batches. What a feature does is foretold first, from weights and gradients, and measured second, side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan

from steering.extraction.features import vector_of_feature
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.recipes.recipe import Intervention, Recipe
from steering.statistics import Estimate, mean_interval
from steering.studies.features.cause_effects import Effect
from steering.studies.features.cause_findings import findings
from steering.studies.features.cause_found import Found, find, moving
from steering.studies.features.cause_settings import CauseSettings
from steering.studies.features.cause_size import size_of
from steering.studies.features.cause_tables import agreement_table, shares, tables_of
from steering.studies.features.chosen import dictionary_of
from steering.studies.study import Measure, Result, Study
from steering.vectors.vector import SteeringVector


__all__ = ["STUDY", "CauseSettings"]


def run(host: Host, settings: CauseSettings, job: Job[Result]) -> Result:
    """Measure everything and put it into tables, measures and sentences."""
    host = host.under(settings.chat)
    settings.check(host)
    dictionary, said = dictionary_of(host, settings.dictionary)
    found = find(job, host, settings, dictionary)
    vectors = _vectors(found)
    return Result.of(
        "feature_cause",
        host,
        settings,
        measures=_measures(found),
        tables=dict(tables_of(found)),
        notes=(*findings(found), *said, *chat_notes(host)),
        vectors=vectors,
        files={"recipe.json": _switched_off(found, vectors)} if vectors else {},
    )


def _vectors(found: Found) -> dict[str, SteeringVector]:
    """The chosen features as vectors, each as long as what it adds at its typical maximum; without those that are never
    active.
    """
    read_on = f"training prompts, {found.requests.target_label} and {found.requests.control_label}"
    made = (
        vector_of_feature(
            found.host, found.dictionary, feature, maximum=float(found.known.maximum[feature]), read_on=read_on
        )
        for feature in moving(found.dictionary, found.chosen, found.known)
    )
    return {vector.name: vector for vector in made}


def _switched_off(found: Found, vectors: Mapping[str, SteeringVector]) -> str:
    """The recipe that switches all of them off, for other panels."""
    first, *others = vectors
    off = Recipe(interventions=(Intervention(vector=first, mode="feature_off", others=tuple(others)),))
    return off.stamped(found.host).model_dump_json(indent=2)


def _measures(found: Found) -> Iterator[Measure]:
    """Of what is done with all features together first; without what could not be measured."""
    return (each for each in _all_measures(found) if not isnan(each.value))


def _all_measures(found: Found) -> Iterator[Measure]:
    seed = found.settings.seed
    for done, effects in found.effects.items():
        for each in effects[:2]:
            yield from _of(each, seed)
        for name, share in shares(found, done, effects[1]).items():
            words = "refusals" if name == "refusal" else "logit difference"
            yield _measure(f"share of {words} through the features", share, len(effects[1].differences))
    for row in agreement_table(found).to_dict("records"):
        value = Estimate(row["rank_correlation"], row["rank_correlation_low"], row["rank_correlation_high"])
        name = f"agreement of {row['by']} with measured, {row['done']}"
        yield _measure(name, value, row["features"], "rank correlation")
    for effects in found.effects.values():
        for each in effects[2:]:
            yield from _of(each, seed)


def _of(effect: Effect, seed: int) -> Iterator[Measure]:
    name = f"{effect.group}: {effect.change.title}"
    if effect.rates is not None:
        yield _measure(f"refusal, {name}", effect.rates.refusal, effect.rates.n)
    difference = mean_interval(effect.differences, seed=seed)
    yield _measure(f"logit difference, {name}", difference, len(effect.differences), "logits")


def _measure(name: str, value: Estimate, n: int, unit: str = "") -> Measure:
    return Measure(name, value.value, value.low, value.high, n, unit)


STUDY = Study(
    name="feature_cause",
    title="Cause of a behaviour",
    summary="Switch chosen features of a dictionary off, and turn them up, beside random ones: what runs through them.",
    settings=CauseSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={"n_test": 16, "random_sets": 2, "each": False, "reply_tokens": 24},
)
