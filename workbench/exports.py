"""Files for download: written into the workspace, one place that the server may serve."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from steering.host import Host
from steering.studies.grid import Grid, cell_table
from workbench.grid_markup import Cells, grid_page
from workbench.workspace import Workspace


def export_grid(workspace: Workspace, host: Host, grid: Grid, cells: Cells) -> tuple[Path, Path]:
    """A grid as a CSV and as an HTML file that needs nothing else.

    Returns:
        The paths of both.
    """
    stamp = datetime.now(UTC)
    table = pd.DataFrame(cell_table(grid, list(cells.values())))
    name = f"grid {stamp:%Y-%m-%d %H%M%S}"
    page = grid_page(grid, cells, host.name, f"{stamp:%Y-%m-%d %H:%M} UTC")
    return (
        workspace.export(f"{name}.csv", table.to_csv(index=False)),
        workspace.export(f"{name}.html", page),
    )
