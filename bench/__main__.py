"""`python -m bench`: measure everything, and write `results.json` and `RESULTS.md` beside this file."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.harness.machine import describe
from bench.harness.row import BenchRow
from bench.harness.run import MODULES, failed_section, modules, rows_of
from bench.harness.table import figure, page
from bench.models import about
from bench.opponents.environments import versions


HERE = Path(__file__).parent
TOOK = "took"
PASSING = ("load at the start", TOOK)
"""What may differ between two runs on one machine."""


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="fewer rounds and settings: ten minutes")
    arguments.add_argument("--only", nargs="+", choices=MODULES, default=(), help="these benchmarks alone")
    arguments.add_argument(
        "--out", type=Path, help="the folder that gets results.json and RESULTS.md; this one, where nothing is left out"
    )
    arguments.add_argument(
        "--merge", action="store_true", help="keep the other tables of the results that are there, of the same machine"
    )
    given = arguments.parse_args()
    held = {f"others, {name}": packages for name, packages in versions().items()}
    machine, rows = {**describe(), **held, **{name: about(name) for name in ("demo", "random 100 M")}}, []
    folder = given.out or (None if given.only and not given.merge else HERE)
    started = time.perf_counter()
    for name in modules(tuple(given.only)):
        began = time.perf_counter()
        for row in rows_of(name, quick=given.quick):
            rows.append(row)
            print(_line(row), flush=True)
        print(f"  ({name}: {time.perf_counter() - began:.0f} s)", flush=True)
        machine[TOOK] = f"{(time.perf_counter() - started) / 60:.0f} minutes"
        if folder is not None and not given.merge:
            write(rows, machine, folder)  # a run that is ended keeps what it has
    if given.merge and folder is not None:
        before = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        rows, machine = merged(before, rows, machine, modules(tuple(given.only)))
        write(rows, machine, folder)


def merged(
    before: dict[str, Any], rows: list[BenchRow], machine: dict[str, str], names: Iterable[str]
) -> tuple[list[BenchRow], dict[str, str]]:
    """Earlier rows with new ones in place of the tables that those belong to, and what is told of the machine.

    Args:
        before: As `results.json` has it.
        rows: The new ones.
        machine: On which.
        names: The benchmarks that were run anew: that one failed before is forgotten.

    Raises:
        SystemExit: The earlier ones are of another machine or of other versions.
    """
    told = {name: said for name, said in before["machine"].items() if name != TOOK}
    other = [name for name in machine if name not in PASSING and machine[name] != told.get(name)]
    if other:
        raise SystemExit(f"The results that are there are of another machine or version: {', '.join(other)}.")
    old, again = [BenchRow.of_data(each) for each in before["rows"]], {row.section for row in rows}
    again |= {failed_section(name) for name in names}
    sections = dict.fromkeys([row.section for row in old] + [row.section for row in rows])
    kept = [row for row in old if row.section not in again] + rows
    return [row for section in sections for row in kept if row.section == section], told


def write(rows: list[BenchRow], machine: dict[str, str], folder: Path) -> None:
    """Both files."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"machine": machine, "rows": [row.as_data() for row in rows]}
    (folder / "results.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = page(rows, machine, cores=os.cpu_count() or 1)
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")


def _line(row: BenchRow) -> str:
    """A row as it is printed while the rest goes on."""
    against = f" against {row.opponent}" if row.opponent else ""
    value = row.status if row.value is None else figure(row.value, row.unit)
    met = {True: "", False: "  MISSED", None: ""}[row.met]
    return f"{row.section}, {row.name}{against}: {value}{met}{'  ' + row.note if row.note else ''}"


if __name__ == "__main__":
    main()
