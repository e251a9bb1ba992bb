"""Where a workspace lies."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


HOME = "STEERING_WORKBENCH_HOME"
"""Environment variable that names the workspace folder."""
RUNS = "runs"
"""The folder in it with what was run."""


def home(folder: Path | str | None = None) -> Path:
    """A workspace's folder: the one that is named, or that of the environment, or the user's own."""
    chosen = folder or os.environ.get(HOME) or user_data_path("steering-workbench", appauthor=False)
    return Path(chosen).expanduser().resolve()
