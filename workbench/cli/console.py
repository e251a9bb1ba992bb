"""The terminal: progress of jobs, tables, and one error message with an exit code."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pandas as pd
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from steering.errors import SteeringError
from steering.lane import Job, Stopped
from steering.lane import Progress as JobProgress
from steering.statistics import Estimate
from steering.waiting import Interrupted, interrupted


T = TypeVar("T")

_WORD = 18
"""Letters of a text that are kept in one line."""
_NOTHING = 5e-5
_WIDE = 160
"""Columns of a file or a pipe, which wrap nothing."""
OUT = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)
ERR = Console(stderr=True)
FAILED = 1
"""Exit code of a mistake that the user can mend. Typer's own is 2 for wrong usage; 130 is an interrupt."""
INTERRUPTED = 130


@contextmanager
def reported() -> Iterator[None]:
    """Turn a `SteeringError` into one message on standard error and exit code 1, an interrupt into 130."""
    try:
        yield
    except SteeringError as error:
        ERR.print("[bold red]Error:[/] ", end="")
        ERR.print(error.given, markup=False, highlight=False)
        for label, text in (("Expected", error.expected), ("To do", error.remedy)):
            if text:
                ERR.print(f"  [dim]{label}:[/] ", end="")
                ERR.print(text, markup=False, highlight=False)
        raise typer.Exit(FAILED) from error
    except (KeyboardInterrupt, Stopped) as error:
        ERR.print("Stopped. What was finished is kept; the same command goes on from there.")
        raise typer.Exit(INTERRUPTED) from error


def follow(job: Job[T], on_item: Callable[[Any], None] | None = None) -> T:
    """Show a job's progress bar until it ends and return its result; Ctrl-C stops the job.

    Args:
        job: The job.
        on_item: Called with every item the job emits that is no progress.
    """
    columns = (TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
    try:
        with Progress(*columns, TimeRemainingColumn(), console=ERR, transient=True) as bar:
            task = bar.add_task(job.title, total=None, unit="")
            for event in job.events():
                if isinstance(event, JobProgress):
                    bar.update(task, completed=event.done, total=event.total, unit=event.message)
                elif event is not None and on_item:
                    on_item(event)
        return job.result()
    except Interrupted:
        raise
    except KeyboardInterrupt:
        # The interpreter must not end while the model thread is inside torch, which would abort the process.
        raise interrupted(job) from None


def table(frame: pd.DataFrame, title: str = "") -> Table:
    """A data frame as a terminal table; numbers to three digits, missing ones as a dash.

    A value, its `_low` and its `_high` become one column with the interval in brackets: a terminal is narrow.
    """
    frame = _with_intervals(frame)
    wide = len(frame.columns) > 7
    shown = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    shown.padding = (0, 1, 0, 0) if wide else (0, 2)
    for column in frame.columns:
        numeric = pd.api.types.is_numeric_dtype(frame[column])
        name = str(column).replace("_", " ")
        # A header may stand in several lines, but no word is broken, and no number either.
        cells = [_cell(value) for value in frame[column]] if numeric or f"{column}_low" in frame.attrs else []
        words = [] if cells else [str(value)[:_WORD] for value in frame[column]]
        least = max(map(len, [*name.split(), *cells, *words]), default=1)
        width = least if wide and cells else None
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold", min_width=least, width=width)
    for row in frame.itertuples(index=False):
        shown.add_row(*(_cell(value) for value in row))
    return shown


def _with_intervals(frame: pd.DataFrame) -> pd.DataFrame:
    ends = [column for column in frame.columns if str(column).endswith(("_low", "_high"))]
    folded = frame.drop(columns=ends)
    for column in folded.columns:
        low, high = f"{column}_low", f"{column}_high"
        if low in ends and high in ends:
            parts = zip(frame[column], frame[low], frame[high], strict=True)
            folded[column] = ["–" if math.isnan(v) else _spread(v, a, b) for v, a, b in parts]
            folded.attrs[low] = True  # so that its cells are kept in one line
    return folded


def _spread(value: float, low: float, high: float) -> str:
    small = _NOTHING <= abs(value) < 0.01  # a KL of a few thousandths is no zero, rounding is
    digits, value = (4, value) if small else (2, 0.0 if abs(value) < _NOTHING else value)
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:#.3g}"
    return str(value)


def interval(estimate: Estimate, digits: int = 2) -> str:
    """A value with its 95 % interval, such as `0.93 [0.70, 0.99]`."""
    return f"{estimate.value:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"
