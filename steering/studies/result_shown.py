"""A result as a notebook shows it: what has to be known first, measures, figures, the first table, what was said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pandas as pd

from steering.figures.plain import plain
from steering.forms.markup import (
    facts,
    figure,
    fold,
    head,
    heading,
    inner,
    listed,
    note,
    output,
    table,
    verbatim,
    warned,
)
from steering.forms.tables import cut_text
from steering.names import short_name
from steering.numbers import counted
from steering.recipes.recipe import Recipe
from steering.recipes.words import in_words
from steering.studies.measure import Measure
from steering.studies.texts_shown import TEXTS, asked_html, replies_html, snippets_html, texts_html


if TYPE_CHECKING:
    import plotly.graph_objects as go

    from steering.studies.result import Result
    from steering.vectors.vector import SteeringVector

_MOST_MEASURES = 12
_PLACES = frozenset({"kept", "vectors", "states", "dictionaries"})
"""Settings that are files and folders of whoever ran it."""
_ASKED = frozenset({"user", "turns"})
"""Those that stand above the texts that answer them."""


def result_html(result: Result) -> str:
    """A whole output."""
    return output(result_inner(result, nested=False))


def result_inner(result: Result, *, nested: bool = True) -> str:
    """What is shown of it, in a wrapper of its own where it stands in another output."""
    parts = [
        head(f"Result of {result.study}", _model(result)),
        warned(result.warnings),
        listed(_notes(result)),
        asked_html(result),
        texts_html(result),
        *_figures(result),
        _measures(result.measures),
        _headline(result),
        heading("What it depends on"),
        facts(_facts(result)),
        replies_html(result),
        snippets_html(result),
        fold("Everything that was set", verbatim(_settings(result))),
    ]
    return inner(*parts) if nested else "".join(parts)


def result_text(result: Result) -> str:
    """The same in plain text, without figures and replies."""
    rows = [f"{name}: {value}" for name, value in _facts(result) if value]
    measured = [str(each) for each in result.measures[:_MOST_MEASURES]]
    left = len(result.measures) - len(measured)
    more = [f"… {left} more measures"] if left > 0 else []
    said = [f"Note: {each}" for each in (*result.warnings, *_notes(result))]
    title = f"Result of {result.study} on {_model(result)}"
    return "\n  ".join([title, *rows, *measured, *more, *said])


def result_line(result: Result) -> str:
    """A result in a line."""
    has = [counted(len(result.measures), "measure"), counted(len(result.tables), "table")]
    return f"<Result of {result.study} on {_model(result)}: {', '.join(has)}>"


def _model(result: Result) -> str:
    return short_name(str(result.model.get("name", "")))


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    model, settings = result.model, result.settings
    told = (model.get("architecture"), model.get("dtype"), model.get("device"))
    yield "model", ", ".join(str(each) for each in (model.get("name"), *told) if each)
    yield "revision", str(model.get("revision") or "")
    given = [name for name in result.given if name not in _PLACES | _ASKED]
    yield (
        "what was set",
        "; ".join(f"{name}: {cut_text(_value(settings.get(name), result.vectors), 200)}" for name in given),
    )
    yield "seeds", ", ".join(dict.fromkeys(_seeds(settings)))
    yield "judges", _judges(result)
    floor = settings.get("random")
    yield "floor", f"{counted(floor, 'random direction')} of equal norm" if isinstance(floor, int) and floor else ""
    tables = [f"{name} ({counted(len(table), 'row')})" for name, table in result.tables.items()]
    yield "tables", ", ".join(tables)
    yield "vectors", ", ".join(result.vectors)
    yield "files", ", ".join(result.files)


def _value(value: Any, vectors: Mapping[str, SteeringVector]) -> str:
    """A setting in words: a recipe by what it does."""
    if isinstance(value, list | tuple):
        return ", ".join(_value(each, vectors) for each in value) or "none"
    if isinstance(value, dict) and "interventions" in value:
        with suppress(ValueError):  # a mode of a package that is not installed
            return "; ".join(in_words(Recipe.model_validate(value), vectors)) or "nothing is written"
    return str(value) if value not in ("", None) else "none"


def _seeds(given: Any, name: str = "") -> Iterator[str]:
    """Every seed among settings, those of recipes too."""
    if isinstance(given, dict):
        for key, value in given.items():
            yield from _seeds(value, str(key))
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _seeds(each)
    elif name == "seed":
        yield str(given)


def _judges(result: Result) -> str:
    """Who says what a reply is, where anybody does."""
    items, replies = result.tables.get("items"), result.tables.get("replies")
    if items is not None and "judge" in items:
        return ", ".join(map(str, items["judge"].unique()))
    if replies is None or "content" not in replies:
        return ""
    further = [str(result.settings[name]) for name in ("classifier", "judge") if result.settings.get(name)]
    odds = ["log-odds of refusal tokens"] if "log_odds" in replies and replies["log_odds"].notna().any() else []
    return ", ".join(["rules on what a reply says", *odds, *further])


def _measures(measures: Sequence[Measure]) -> str:
    if not measures:
        return ""
    shown = [
        {
            "measure": each.name,
            "value": each.value,
            "value_low": float("nan") if each.low is None else each.low,
            "value_high": float("nan") if each.high is None else each.high,
            "unit": each.unit,
            "n": each.n,
        }
        for each in measures
    ]
    few, rest = pd.DataFrame(shown[:_MOST_MEASURES]), pd.DataFrame(shown[_MOST_MEASURES:])
    more = fold(f"{counted(len(rest), 'more measure')}", table(rest, most=len(rest))) if len(rest) else ""
    return heading("Measures, with 95 % intervals") + table(few) + more


def _figures(result: Result) -> Iterator[str]:
    """The result's own figures, and those that its tables give."""
    from steering.studies.drawn import drawn  # Plotly takes long to load

    for title, made in result.figures.items():
        yield _figure(title, made, "")
    try:
        for title, made, caption in drawn(result):
            yield _figure(title, made, caption)
    except (LookupError, TypeError, ValueError) as error:
        yield note(f"No figure: the tables are not those that this study writes ({type(error).__name__}: {error}).")


def _figure(title: str, made: go.Figure, caption: str) -> str:
    try:
        return figure(plain(made), title, caption)
    except ValueError as error:
        return heading(title) + note(f"This figure is not drawn here: {error}")


def _headline(result: Result) -> str:
    """The table to show first, unless it is shown as texts."""
    found = result.tables.get(result.headline)
    if found is None or result.study in TEXTS:
        return ""
    return heading(f"Table “{result.headline}”") + table(found, f'result.tables["{result.headline}"]')


def _notes(result: Result) -> list[str]:
    return [each for each in result.notes if each not in result.warnings]


def _settings(result: Result) -> str:
    shown = {name: each for name, each in result.settings.items() if name not in _PLACES}
    return json.dumps(shown, indent=2, ensure_ascii=False, default=str)
