"""Kept runs as a notebook shows them: one with its result, and the list of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from steering.errors import SteeringError
from steering.forms.markup import facts, fold, head, note, output, said, table, warned
from steering.numbers import counted
from steering.studies.result_shown import result_inner, result_text
from steering.vectors.shown import vector_inner


if TYPE_CHECKING:
    from steering.studies.study import Result
    from workbench.runs.kept_run import KeptRun
    from workbench.runs.run import Run
    from workbench.runs.runs import Runs

LATEST = 12
"""Runs of a list that are shown."""


def run_html(kept: KeptRun) -> str:
    """A whole output."""
    result, damaged = _result(kept)
    run = kept.run
    used = "" if damaged else "".join(vector_inner(vector) for vector in kept.vectors.values())
    return output(
        head(run.title, f"run {run.id}"),
        warned(filter(None, (run.error, damaged))),
        facts(_facts(run)),
        said(run.note),
        result_inner(result) if result is not None else note("It left no result."),
        fold("Vectors that it used", used),
    )


def run_text(kept: KeptRun) -> str:
    """The same in plain text."""
    result, damaged = _result(kept)
    rows = [f"{name}: {value}" for name, value in _facts(kept.run) if value]
    rows += [f"Note: {each}" for each in (kept.run.error, damaged, kept.run.note) if each]
    told = result_text(result) if result is not None else "It left no result."
    return "\n  ".join([f"Run {kept.run.id}: {kept.run.title}", *rows]) + f"\n{told}"


def runs_html(runs: Runs) -> str:
    """A whole output."""
    found, n = runs.find(limit=LATEST), runs.count()[0]
    left = f"The latest {LATEST}; runs.find(limit=…) gives more." if n > len(found) else ""
    how = note(f'{left} runs["ID"].result is what one found.'.strip())
    return output(head("Runs", counted(n, "kept run")), table(_rows(found), most=LATEST) if found else "", how)


def runs_text(runs: Runs) -> str:
    """The same in plain text."""
    found, n = runs.find(limit=LATEST), runs.count()[0]
    lines = [f"{run.id}  {when(run.begun)}  {run.state:<11} {run.kind}: {run.title}" for run in found]
    left = [f"… {n - len(found)} more"] if n > len(found) else []
    return "\n  ".join([f"Runs: {n}", *lines, *left])


def when(iso: str) -> str:
    """A moment to the minute, in UTC."""
    return iso[:16].replace("T", " ")


def _result(kept: KeptRun) -> tuple[Result | None, str]:
    """What it found, and why that cannot be read."""
    try:
        return kept.result, ""
    except SteeringError as error:
        return None, str(error)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    yield "study", run.kind
    yield "model", run.model
    yield "state", run.state
    yield "begun", f"{when(run.begun)} UTC" if run.begun else ""
    yield "ended", f"{when(run.ended)} UTC" if run.ended else ""
    yield "tags", ", ".join(run.tags)


def _rows(runs: Sequence[Run]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "id": run.id,
                "run": f"{'★ ' * run.favourite}{run.title}",
                "study": run.kind,
                "model": run.model,
                "begun, UTC": when(run.begun).replace(" ", "\u00a0"),
                "state": run.state,
            }
            for run in runs
        ]
    )
