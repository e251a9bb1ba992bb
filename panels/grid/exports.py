"""Files for download: written into the workspace, one place that the server may serve."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from panels.grid.markup import Cells, grid_page
from steering.model.host import Host
from steering.model.outcome import marked
from steering.studies.grid import Grid, cell_table
from steering.vectors.vector import SteeringVector
from workbench.workspace import Workspace


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for the beginning of a formula, full-width signs included."""


def spreadsheet(table: pd.DataFrame, warnings: Collection[str] = ()) -> str:
    """A table as CSV whose texts no spreadsheet takes for formulas: an apostrophe stands before = + - @ and such.

    Args:
        table: What is written.
        warnings: Of the model that it comes from, as a last column.
    """
    table = marked(table, warnings)
    texts = [column for column in table.columns if not pd.api.types.is_numeric_dtype(table[column])]
    safe = table.assign(**{str(column): table[column].map(_plain) for column in texts})
    # Lines end as RFC 4180 has it; only then is a text with a carriage return in it quoted.
    return safe.rename(columns=_plain).to_csv(index=False, lineterminator="\r\n")


def _plain(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


def export_grid(
    workspace: Workspace, host: Host, grid: Grid, cells: Cells, first: SteeringVector | None = None
) -> tuple[Path, Path]:
    """A grid as a CSV and as an HTML file that needs nothing else; `first` as `panels.grid.markup.grid_html` takes it.

    Returns:
        The paths of both.
    """
    stamp = datetime.now(UTC)
    table = pd.DataFrame(cell_table(grid, list(cells.values())))
    name = f"grid {stamp:%Y-%m-%d %H%M%S}"
    page = grid_page(grid, cells, host.name, f"{stamp:%Y-%m-%d %H:%M} UTC", host.warnings, first)
    return (
        workspace.export(f"{name}.csv", spreadsheet(table, host.warnings)),
        workspace.export(f"{name}.html", page),
    )
