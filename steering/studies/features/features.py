"""The study that finds features of a dictionary: by contrast set, prompt, vector, number and effect, in one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.loading import why_read_only
from steering.errors import SteeringError
from steering.extraction.features import vector_of_feature
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.model.prompts import Prompt, render_text
from steering.studies.features.chosen import dictionary_of, source_of
from steering.studies.features.finding import find, texts_words
from steering.studies.features.findings import findings, told_findings
from steering.studies.features.found import Found, Made
from steering.studies.features.output_score import TOKENS, input_scores, output_scores
from steering.studies.features.promoted import promoted
from steering.studies.features.replies import groups_of, replies_or_why, works_of
from steering.studies.features.settings import FeaturesSettings
from steering.studies.features.snippets import snippet_table
from steering.studies.features.sources import Sources
from steering.studies.features.tables import (
    decomposition_table,
    feature_table,
    joined,
    map_table,
    prompt_table,
    set_names,
)
from steering.studies.measure import Measure
from steering.studies.size import Size, Work, tokens_of
from steering.studies.study import Result, Study, origin
from steering.vectors.vector import SteeringVector


_LOOKED_AT = "So its features become no vectors, have no output scores, and are not changed in replies."


@dataclass(frozen=True, eq=False)
class _Part:
    """What was found by one contrast set; by all else that the settings name, too, of the first one."""

    found: Found
    rows: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    said: tuple[str, ...]
    """The two sentences that matter most first."""
    more: tuple[str, ...]
    """How it was read."""
    vectors: Mapping[str, SteeringVector]


def run(host: Host, settings: FeaturesSettings, job: Job[Result]) -> Result:
    """Read the texts, look by every way that the settings name, and tabulate what is known of each feature found."""
    host = host.under(settings.chat)
    dictionary, known = dictionary_of(host, settings.dictionary)
    if dictionary.read_only:
        known = (f"{known[0]} {_LOOKED_AT}", *known[1:])
    parts: list[_Part] = []
    for each in _by_set(settings):
        parts.append(_part(host, dictionary, each, job, parts))
    notes = [*(line for part in parts for line in part.said[:2]), *(line for part in parts for line in part.said[2:])]
    vectors: dict[str, SteeringVector] = {}
    for part in parts:
        for name, vector in part.vectors.items():
            vectors.setdefault(name, vector)  # a feature of both sets is as long as the first one's texts say
    return Result(
        **origin("features", host, settings),
        measures=tuple(_measures(parts)),
        tables=joined(dict(zip(set_names(map(_name, parts)), (part.tables for part in parts), strict=True))),
        headline="features",
        notes=tuple(
            dict.fromkeys((*notes, *known, *(line for part in parts for line in part.more), *chat_notes(host)))
        ),
        vectors=vectors,
    )


def _by_set(settings: FeaturesSettings) -> list[FeaturesSettings]:
    """The settings, and those by which the features of the other contrast set are found."""
    if settings.also in ("", settings.contrast):
        return [settings]
    alone = {"contrast": settings.also, "also": "", "prompt": "", "vector": "", "features": (), "own_texts": ""}
    return [settings, settings.model_copy(update=alone)]


def _part(
    host: Host, dictionary: Dictionary, settings: FeaturesSettings, job: Job[Result], before: Sequence[_Part]
) -> _Part:
    """What one contrast set finds, without what was said and shown before."""
    sources = settings.sources(host)
    end = render_text(host, settings.effect_prompt) if settings.effect else None
    found, place, cut = find(host, dictionary, sources, settings, job)
    shown = {feature for part in before for feature in part.found.chosen}
    found = replace(found, chosen={each: ways for each, ways in found.chosen.items() if each not in shown})
    tokens = promoted(host, found.directions[list(found.chosen)], TOKENS)
    scores, unscored = _scores(host, found, tokens, end, settings.effect_factor, job)
    rows = feature_table(host, found, tokens, scores, settings.seed)
    vectors, left_out = _vectors(host, found, settings)
    tables = _tables(host, found, rows, settings)
    said = [*(told_findings if before else findings)(found, rows, settings)]
    if settings.replies and found.told is not None and not dictionary.read_only:
        tables["replies"], words = replies_or_why(host, found, settings)
        said.append(words)
    more = (*(() if before else (place.says, *unscored)), *left_out, *sources.notes, *cut)
    return _Part(found, rows, tables, tuple(said), more, vectors)


def _name(part: _Part) -> str:
    return part.found.sources.contrast.name if part.found.sources.contrast else ""


def _scores(
    host: Host, found: Found, tokens: Tensor, end: Prompt | None, factor: float, job: Job[Result]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Output and input scores of the features shown, and why there are none."""
    features = list(found.chosen)
    scores = {"input_score": input_scores(found.reading, features, tokens)}
    if end is None or not features:
        return scores, ()
    if found.dictionary.read_only:
        return scores, ()
    if found.dictionary.why_not_edited:
        return scores, (f"No output scores: {found.dictionary.why_not_edited}",)
    return {"output_score": output_scores(job, host, found.dictionary, features, tokens, end, factor), **scores}, ()


def _tables(host: Host, found: Found, rows: pd.DataFrame, settings: FeaturesSettings) -> dict[str, pd.DataFrame]:
    contrast = found.sources.contrast
    labels = (contrast.positive_label, contrast.negative_label) if contrast else ("", "")
    snippets = snippet_table(found.reading, found.sources.texts, list(found.chosen), settings.snippets, labels)
    tables = {"features": rows, "snippets": snippets}
    if found.prompted is not None:
        tables["prompt"] = prompt_table(found, found.prompted)
        tables["map"] = map_table(found, found.prompted, found.prompted.best(settings.n))
    if found.made is not None:
        tables["decomposition"] = decomposition_table(host, found.made, _parts(host, found, found.made))
    return tables


def _parts(host: Host, found: Found, made: Made) -> Tensor:
    """What every feature that a vector is made of promotes, and behind them what is left of the vector."""
    parts = made.decomposition
    return promoted(host, torch.cat([found.directions[list(parts.features)], parts.remainder[None]]), TOKENS)


def _vectors(host: Host, found: Found, settings: FeaturesSettings) -> tuple[dict[str, SteeringVector], tuple[str, ...]]:
    """The first features as vectors and those that are changed in replies, without those that never are active on what
    was read.
    """
    if found.dictionary.read_only:
        return {}, ()
    vectors: dict[str, SteeringVector] = {}
    notes: list[str] = []
    read_on = texts_words(found.sources)
    together = [feature for group in groups_of(found) for feature in group.features] if settings.replies else []
    for feature in dict.fromkeys([*list(found.chosen)[: settings.keep], *(together if settings.keep else ())]):
        maximum = float(found.maxima[feature])
        if not maximum > 0:
            notes.append(
                f"Feature {feature} is no vector: it is active on none of the texts, and has no typical maximum."
            )
            continue
        try:
            vector = vector_of_feature(host, found.dictionary, feature, maximum=maximum, read_on=read_on)
        except SteeringError as error:
            notes.append(error.left_out(f"the vector of feature {feature}."))
            continue
        vectors[vector.name] = vector
    return vectors, tuple(notes)


def _measures(parts: Sequence[_Part]) -> Iterator[Measure]:
    """Of the first set; of the other one with its name behind each."""
    for part in parts:
        of = "" if part is parts[0] else f", {_name(part)}"
        yield from (replace(each, name=each.name + of) for each in _measures_of(part.found, part.rows))


def _measures_of(found: Found, rows: pd.DataFrame) -> Iterator[Measure]:
    told, made, shown = found.told, found.made, rows.to_dict("records")
    for best in told.best(1) if told is not None else ():
        assert told is not None
        row = next((row for row in shown if row["feature"] == best), None)
        if row is None:  # shown with another set's features
            continue
        value, low, high = (float(row[name]) for name in ("auroc", "auroc_low", "auroc_high"))
        yield Measure(f"AUROC of feature {best}", value, low, high, sum(told.n_held_out))
        sure = int((told.p < 0.05).sum())
        yield Measure("features that tell the sides apart, p < 0.05", sure, None, None, len(told.tested))
    if found.floor is not None:
        sure = int((found.floor.p < 0.05).sum())
        yield Measure("random directions that tell them apart, p < 0.05", sure, None, None, len(found.floor.tested))
    if made is not None:
        n = len(made.decomposition.features)
        yield Measure(f"share of '{made.vector.name}' explained", made.decomposition.share, None, None, n)
        chance = made.chance[:, -1]
        yield Measure("share of random vectors explained", float(chance.mean()), None, None, len(chance))
    if shown and "output_score" in rows:
        top = max(shown, key=lambda row: float(row["output_score"]))
        yield Measure(f"output score of feature {top['feature']}", float(top["output_score"]), None, None, len(shown))


def size_of(host: Host, settings: FeaturesSettings) -> Size:
    """A reading of every text, and one of a prompt for every feature that may be shown.

    Raises:
        SteeringError: There is no such dictionary, or as `sources_of`.
    """
    settings.check(host)
    looked_at = bool(why_read_only(source_of(host, settings.dictionary)))
    works: list[Work] = []
    for each in _by_set(settings):
        sources = each.sources(host)
        times = 3 if each.contrast and each.beside_random else 1
        works.append(Work("readings", times * len(sources.texts), tokens_of(_words(sources))))
        ways = sum(map(bool, (each.contrast, each.vector, each.prompt.strip())))
        if each.effect and not looked_at:
            works.append(Work("readings", ways * each.n + len(each.features), tokens_of([each.effect_prompt])))
        if each.contrast and each.replies and not looked_at:
            works += works_of(each)
    return Size(tuple(works))


def _words(sources: Sources) -> Sequence[str]:
    return [turn.content for each in sources.texts for turn in each.messages]


FEATURES = Study(
    name="features",
    title="Find features",
    summary="Features of a dictionary by contrast set, prompt, vector and effect, with the texts they are active on.",
    settings=FeaturesSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={"texts_n": 40, "n": 6, "permutations": 200, "keep": 2, "replies": 1},
)
