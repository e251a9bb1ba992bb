"""Files for download, each in a folder whose name nobody can guess; of many, the oldest go."""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from steering.errors import SteeringError
from workbench.library.entries import stamp_of


MOST_EXPORTS = 500
"""Files for download that are kept."""
_OWN = re.compile("[0-9a-f]{32}")


class Exports:
    """The files for download of a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file for download and return its path.

        Raises:
            SteeringError: It cannot be written.
        """
        path = self.folder / secrets.token_hex(16) / name
        try:
            self._forget()
            path.parent.mkdir(parents=True)
            data = content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")
            path.write_bytes(data)  # line ends stay as they are
        except OSError as error:
            raise SteeringError(
                f"The file '{name}' for download cannot be written: {error.strerror}.",
                "a workspace folder that can be written, with room on its disk.",
                "What was computed is shown and kept; free some space and run it again for the file.",
            ) from error
        return path

    def _forget(self) -> None:
        """Make room for a new file: the oldest go where there are too many."""
        folders = self.folder.iterdir() if self.folder.is_dir() else ()
        known = [(stamp, path) for path in folders if _OWN.fullmatch(path.name) and (stamp := stamp_of(path))]
        for _, path in sorted(known, reverse=True)[MOST_EXPORTS:]:
            shutil.rmtree(path, ignore_errors=True)
