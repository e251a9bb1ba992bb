"""Which files of a folder are a result's."""

from __future__ import annotations

import json
import os
from pathlib import Path

from steering.errors import SteeringError
from steering.names import RESULT
from steering.own_files import foreign, typed_path


__all__ = ["RESULT", "check_folder", "files_of_study"]


def check_folder(folder: str | Path) -> None:
    """Say before a study runs whether its files can be written to a folder.

    Raises:
        SteeringError: It is no folder, or holds files and none of them is the result of a study.
    """
    folder = typed_path(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise foreign(folder)
    if any(folder.iterdir()) and not files_of_study(folder):
        raise SteeringError(
            f"The folder '{folder}' holds files, and no study of the workbench wrote them.",
            f"a new or empty folder, or one with the {RESULT} of a study, whose files are written over.",
            "Choose another folder.",
        )


def files_of_study(folder: Path) -> set[str]:
    """The names of the files of the result that a folder holds; none where it holds none."""
    try:
        said = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        if not {"study", "settings", "measures", "tables"} <= said.keys():
            return set()
        parts = (*said["tables"].values(), *said["vectors"].values(), *said.get("files", ()))
        return {RESULT, *map(str, parts)}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return set()
