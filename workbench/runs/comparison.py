"""Two to four runs side by side: what was set otherwise, what they measured, and their texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from steering.errors import SteeringError
from steering.studies.comparison import MeasureRow, measure_rows
from steering.studies.study import Result
from workbench.runs.contents import PLACES
from workbench.runs.run import Run
from workbench.runs.runs import Runs


FEWEST, MOST = 2, 4
MOST_TEXTS = 60
"""Rows of texts that are set side by side."""
_MODEL = ("name", "revision", "dtype", "device", "weights_digest", "template_digest", "chat")
_LONGEST = 400


@dataclass(frozen=True)
class Setting:
    """Something on which the runs depend and that is not the same in all of them."""

    what: str
    """settings, model, vectors, data or versions."""
    name: str
    values: tuple[str, ...]
    """Of each run; "–" where it has none."""


@dataclass(frozen=True)
class TextRow:
    """Texts of several runs at the same place."""

    place: str
    texts: tuple[str | None, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs with what they found, the first one being what the others are compared with."""

    runs: tuple[Run, ...]
    results: tuple[Result | None, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """What they are called in tables and figures."""
        return tuple(f"run {n}" for n, _ in enumerate(self.runs, 1))

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """All that is not the same."""
        return tuple(_differing(self.runs))

    @cached_property
    def measures(self) -> tuple[MeasureRow, ...]:
        """Measures side by side, with the differences from the first run."""
        return tuple(measure_rows(self.results))

    @property
    def same_data(self) -> bool:
        """Whether they are of one study and read the same data, as far as its digests are known."""
        data = [run.about.get("data") or {} for run in self.runs]
        return len({run.kind for run in self.runs}) == 1 and bool(data[0]) and all(each == data[0] for each in data)

    @cached_property
    def texts(self) -> tuple[TextRow, ...]:
        """Replies side by side, where the main table of each has texts at the same places."""
        return tuple(_texts(self.results))


def compare(runs: Runs, ids: Sequence[str]) -> Comparison:
    """Runs side by side.

    Args:
        runs: Of a workspace.
        ids: Two to four.

    Raises:
        SteeringError: Fewer or more, there is no such run, or its files are damaged.
    """
    chosen = list(dict.fromkeys(ids))
    if not FEWEST <= len(chosen) <= MOST:
        raise SteeringError(f"{len(chosen)} runs were chosen.", f"{FEWEST} to {MOST}.", "Choose that many to compare.")
    found = tuple(runs.get(id) for id in chosen)
    return Comparison(found, tuple(runs.result(run.id) for run in found))


def _differing(runs: Sequence[Run]) -> Iterator[Setting]:
    parts = [_parts(run) for run in runs]
    for what in parts[0]:
        several = [part[what] for part in parts]
        for name in dict.fromkeys(name for each in several for name in each):
            values = [each.get(name) for each in several]
            if any(value != values[0] for value in values):
                yield Setting(what, name, tuple(map(_shown, values)))


def _parts(run: Run) -> dict[str, dict[str, Any]]:
    """All on which a run depends, flat: group -> name -> value."""
    about = run.about
    settings = {name: value for name, value in about.get("settings", {}).items() if name not in PLACES}
    model = {name: value for name, value in about.get("model", {}).items() if name in _MODEL}
    flat = {"settings": dict(_flat(settings)), "model": dict(_flat(model))}
    return {
        "run": {"kind": run.kind},
        **flat,
        **{name: dict(about.get(name) or {}) for name in ("vectors", "data", "versions")},
    }


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values by dotted names; lists of plain values stay whole."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for n, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{n}")
    else:
        yield name, value


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _texts(results: Sequence[Result | None]) -> Iterator[TextRow]:
    tables = [result.tables.get(result.headline) if result is not None else None for result in results]
    if any(table is None or "text" not in table.columns for table in tables):
        return
    found = []
    for table in tables:
        assert table is not None
        places = list(table.columns[: list(table.columns).index("text")])
        rows = table.to_dict("records")
        found.append({", ".join(f"{name} {row[name]}" for name in places): str(row["text"]) for row in rows})
    for place in list(dict.fromkeys(place for each in found for place in each))[:MOST_TEXTS]:
        yield TextRow(place, tuple(each.get(place) for each in found))
