"""What `workbench demo check` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from steering.demo.bars import shown
from steering.demo.card import record_bars
from steering.demo.check import Verdict, check, members
from steering.resources import resource
from workbench.cli.console import ERR, OUT, table


_COLOURS = {"met": "green", "missed": "bold red", "missing": "bold red", "reported": "dim"}


def run_check(*, quick: bool, as_json: bool, record: bool = False, folder: Path | None = None) -> bool:
    """Measure the family, print the table beside its bars, and say whether all are met.

    Args:
        quick: A fixed subset with fewer prompts.
        as_json: Print the rows for programs instead of the table.
        record: Write what was measured into the members' cards.
        folder: Where the members are, a folder each; the shipped ones without it.
    """
    with ERR.status("Checking the demo models") as status:
        rows = check(
            members(folder), quick=quick, progress=lambda share, line: status.update(f"{100 * share:.0f} %  {line}")
        )
    if record:
        _record(rows, folder or resource("assets", "models"))
    if as_json:
        print(json.dumps([{**asdict(row), "outcome": row.outcome} for row in rows], ensure_ascii=False))
    else:
        _print(rows, quick)
    return all(row.met for row in rows)


def _record(rows: Sequence[Verdict], home: Path) -> None:
    for name in sorted({row.model for row in rows}):
        if name and (home / name / "card.json").exists():
            record_bars(home / name, rows)


def _print(rows: Sequence[Verdict], quick: bool) -> None:
    OUT.print(table(pd.DataFrame([_line(row) for row in rows]), "The demo models beside their bars"))
    for row in rows:
        if row.note:
            OUT.print(f"{row.model} {row.name}: {row.note}".strip(), style="dim", markup=False, highlight=False)
    short = [row for row in rows if not row.met]
    OUT.print(f"\n{len(rows) - len(short)} of {len(rows)} as they should be.", highlight=False)
    if quick and short:
        OUT.print("With few prompts a narrow miss can be chance: run it without --quick to be sure.")


def _line(row: Verdict) -> dict[str, str]:
    measured = "–" if row.value is None else shown(row.value, row.unit)
    if row.low is not None and row.high is not None:
        measured += f" [{_bare(row.low, row)}, {_bare(row.high, row)}]"
    return {
        "model": row.model,
        "what": row.name,
        "measured": measured,
        "n": "–" if row.n is None else str(row.n),
        "bar": row.bar,
        "outcome": f"[{_COLOURS[row.outcome]}]{row.outcome}[/]",
    }


def _bare(value: float, row: Verdict) -> str:
    return shown(value, row.unit).partition(" ")[0]
