"""A grid of replies over two axes of a recipe."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.paths import is_file
from steering.recipes.recipe import Recipe
from steering.store import kept_in
from steering.studies.grid.axes import KINDS, Asked, Axis, Kind, parse_axis
from steering.studies.grid.cells import (
    BATCH,
    Cell,
    Grid,
    cell_table,
    check_grid,
    run_cells,
    size_of_grid,
    with_methods,
)
from steering.studies.size import Size
from steering.studies.study import Result, Study, origin
from steering.vectors.files import load_vector
from steering.vectors.vector import SteeringVector


__all__ = [
    "BATCH",
    "GRID",
    "KINDS",
    "Asked",
    "Axis",
    "Cell",
    "Grid",
    "GridSettings",
    "Kind",
    "cell_table",
    "check_grid",
    "grid_result",
    "parse_axis",
    "run_cells",
    "size_of_grid",
    "with_methods",
]


class GridSettings(BaseModel):
    """What to vary, and around which recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user: str = Field("Write a note to my boss about the meeting.", description="The user's message.")
    system: str = Field("", description="The system message; none where empty.")
    recipe: Recipe = Field(
        Recipe.model_validate({"interventions": [{"vector": "formality"}]}),
        description="What is varied; axes of an intervention change its first one. Vectors by their names.",
    )
    x: str = Field(
        "strength: -0.8..0.8 step 0.4", description="Columns, as kind: values. Kinds: " + ", ".join(KINDS) + "."
    )
    y: str = Field("", description="Rows, as kind: values; a single row where empty.")
    vectors: str = Field("", description="Folder with the vectors' files, named as the recipe names them.")
    kept: str = Field("", description="File that keeps finished cells for another run; none where empty.")

    @property
    def grid(self) -> Grid:
        """The grid.

        Raises:
            SteeringError: An axis that cannot be read, or two of one kind.
        """
        y = parse_axis(self.y) if self.y.strip() else None
        return Grid(parse_axis(self.x), y, self.recipe, self.user, self.system)


def run(host: Host, settings: GridSettings, job: Job[Result]) -> Result:
    """Generate all cells; each is emitted as it is done."""
    grid = settings.grid
    vectors = load_vectors(grid.vectors, settings.vectors)
    cells = []
    for cell in run_cells(job, host, grid, vectors, kept_in(settings.kept)):
        job.emit(cell)
        cells.append(cell)
    return grid_result(host, settings, grid, cells)


def size_of(host: Host, settings: GridSettings) -> Size:
    """As `size_of_grid`, with the vectors of the settings' folder.

    Raises:
        SteeringError: As `GridSettings.grid`, and a vector's file that cannot be read.
    """
    grid = settings.grid
    return size_of_grid(host, grid, load_vectors(grid.vectors, settings.vectors), kept_in(settings.kept))


def grid_result(host: Host, settings: GridSettings, grid: Grid, cells: Iterable[Cell]) -> Result:
    """The cells as a table."""
    host = grid.recipe.on(host)
    return Result(
        **origin("grid", host, settings),
        measures=(),
        tables={"cells": pd.DataFrame(cell_table(grid, list(cells)))},
        headline="cells",
        notes=(
            "kl_p95_nats: 95th percentile over the reply's tokens of KL(unsteered || recipe), in nats.",
            *chat_notes(host),
        ),
    )


def load_vectors(names: Iterable[str], folder: str) -> dict[str, SteeringVector]:
    """Those of the named vectors that are files of a folder."""
    paths = {name: Path(folder) / f"{name}.safetensors" for name in sorted(names)}
    return {name: load_vector(path).renamed(name) for name, path in paths.items() if is_file(path)}


GRID = Study(
    name="grid",
    title="Grid of replies",
    summary="Replies over two axes of a recipe, such as block and strength.",
    settings=GridSettings,
    run=run,
    size=size_of,
    spreads=True,
    quick={"x": "strength: 0, 0.4"},
    uses=lambda settings: settings.grid.vectors,
)
