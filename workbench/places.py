"""The server's folders by what they are, in messages that visitors see."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from workbench.doors.at_hand import limits_at_hand


_PATH = re.compile(r"(?<![\w:/.…])/(?:[^\s/'\"<>:]+/)+([^\s/'\"<>:,;)]*)")
"""An absolute one of two parts or more."""
_PLACES: dict[str, str] = {}
"""Folder -> what stands for it."""


def name_place(folder: Path, words: str) -> None:
    """Have a folder called by what it is from now on."""
    _PLACES[str(folder)] = words


def forget_place(folder: Path) -> None:
    """Call a folder by nothing any more, since it is gone."""
    _PLACES.pop(str(folder), None)


def without_places(text: str) -> str:
    """A message without the server's folders: `the workspace/shelf/joy.safetensors`. On a public page there is no path
    in it at all, but for its last part.
    """
    if "/" not in text and os.sep not in text:  # as in nearly all that a page says
        return text
    for folder in sorted(_PLACES, key=len, reverse=True):  # the innermost first
        text = text.replace(folder, _PLACES.get(folder, folder))
    return _PATH.sub(r"…/\1", text) if limits_at_hand() else text


name_place(Path(tempfile.gettempdir()), "the temporary folder")
name_place(Path(sys.prefix), "the installation")
name_place(Path(__file__).parent.parent, "the program")
if Path.home() != Path("/"):
    name_place(Path.home(), "~")
