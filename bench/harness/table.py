"""Rows as a page of Markdown: which aims are met, which are missed by how much and why, and a table a section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.harness.row import BenchRow


LEGEND = """\
A ratio is the opponent's time as a multiple of the workbench's, so above 1 the workbench is faster: the median over
pairs taken in turns (A B A B), with the quartiles in brackets and the number of pairs behind them. *Computing* is the
same of the processors' own time, which other programs on the machine disturb less; no aim is held against it. *Load* is
the load average when the row was finished: above the number of cores, times are those of a busy machine."""
MOST_LOAD = 1.3
"""Programs a core from which on a machine is called busy."""


def page(rows: Sequence[BenchRow], machine: Mapping[str, str], *, cores: int) -> str:
    """The whole page.

    Args:
        rows: In the order of the page.
        machine: As `machine.describe` tells.
        cores: How many the machine has, which the load is held against.
    """
    parts = [
        "# Results",
        f"Written by the harness, not by hand: {_how(rows)} What each row does stands in [README.md](README.md).",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in machine.items())]),
        LEGEND,
        _aims(rows, cores),
    ]
    for section, own in _sections(rows).items():
        parts += [f"## {section}", _table(own)]
    return "\n\n".join(parts) + "\n"


def _how(rows: Sequence[BenchRow]) -> str:
    short = [section for section, own in _sections(rows).items() if any(row.short for row in own)]
    if len(short) == len(_sections(rows)):
        return "a short run (`make bench QUICK=1`)."
    return f"whole runs (`make bench`){', but short ones for ' * bool(short)}{'; '.join(short)}."


def _sections(rows: Sequence[BenchRow]) -> dict[str, list[BenchRow]]:
    """The rows by their table."""
    found: dict[str, list[BenchRow]] = {}
    for row in rows:
        found.setdefault(row.section, []).append(row)
    return found


def _aims(rows: Sequence[BenchRow], cores: int) -> str:
    told = [row for row in rows if row.met is not None]
    missed = [row for row in told if not row.met]
    lines = [f"**{len(told) - len(missed)} of {len(told)} aims met.**"]
    busy = sum(row.load is not None and row.load > MOST_LOAD * cores for row in rows)
    if busy:
        lines[0] += f" {busy} of {len(rows)} rows were measured while other programs kept the {cores} cores busy."
    if missed:
        lines += ["", "Missed:", "", *(f"- {miss(row)}" for row in missed)]
    unmeasured = [row for row in rows if row.status in ("wrong", "failed", "skipped")]
    if unmeasured:
        lines += ["", "Not measured:", "", *(f"- {_head(row)} ({row.status}): {row.note}" for row in unmeasured)]
    return "\n".join(lines)


def miss(row: BenchRow) -> str:
    """A missed aim in a sentence: what was measured, by how much it is missed, and why."""
    assert row.aim is not None
    assert row.value is not None
    share = row.aim.missed_by(row.value)
    why = f" {row.why}" if row.why else ""
    if row.profile:
        why += f" Its time: {', '.join(f'{where} {share:.0%}' for where, share in row.profile)}."
    return f"{_head(row)}: {figure(row.value, row.unit)}, aim {aim_text(row)}, missed by {share:.0%}.{why}"


def _head(row: BenchRow) -> str:
    against = f" against {row.opponent}" if row.opponent else ""
    return f"{row.section}, {row.name}{against}"


def _table(rows: Sequence[BenchRow]) -> str:
    lines = [
        "| what | workbench | against | ratio or value | computing | aim | met | load | note |",
        "|---|---|---|---:|---:|---:|:---:|---:|---|",
    ]
    for row in rows:
        cells = (
            row.name,
            row.ours,
            row.opponent or "–",
            _value(row),
            "–" if row.computing is None else figure(row.computing, row.unit),
            aim_text(row) or "–",
            {True: "yes", False: "**no**", None: "–"}[row.met],
            "–" if row.load is None else f"{row.load:.1f}",
            row.note,
        )
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines)


def _value(row: BenchRow) -> str:
    if row.value is None:
        return row.status
    if row.low is None or row.high is None or row.rounds < 2:
        return figure(row.value, row.unit)
    low, high = (figure(each, row.unit) for each in (row.low, row.high))
    return f"{figure(row.value, row.unit)} [{low} – {high}], n = {row.rounds}"


def figure(value: float, unit: str) -> str:
    """A number with its unit, to three digits."""
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"
    return f"{digits}×" if unit == "x" else f"{digits} {unit}"


def aim_text(row: BenchRow) -> str:
    """The aim with its sign; "" where there is none."""
    if row.aim is None:
        return ""
    return f"{'≥' if row.aim.least else '≤'} {figure(row.aim.bound, row.unit)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
