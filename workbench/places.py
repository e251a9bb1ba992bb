"""The server's folders by what they are, in messages that visitors see."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


_PLACES: dict[str, str] = {}
"""Folder -> what stands for it."""


def name_place(folder: Path, words: str) -> None:
    """Have a folder called by what it is from now on."""
    _PLACES[str(folder)] = words


def without_places(text: str) -> str:
    """A message without the server's folders: `the workspace/shelf/joy.safetensors`."""
    for folder in sorted(_PLACES, key=len, reverse=True):  # the innermost first
        text = text.replace(folder, _PLACES[folder])
    return text


name_place(Path(tempfile.gettempdir()), "the temporary folder")
name_place(Path(sys.prefix), "the installation")
name_place(Path(__file__).parent.parent, "the program")
if Path.home() != Path("/"):
    name_place(Path.home(), "~")
