"""The one error that users are meant to read; anything else that escapes is a bug."""

from __future__ import annotations

import linecache
from types import TracebackType


_LONGEST = 1500
"""Characters of a part; what people give and files hold is quoted in messages, and may be a book."""


class SteeringError(Exception):
    """A mistake that the user can mend: what was given, what was expected, what to do; each is cut where it is long.

    Args:
        given: One sentence on what was asked for or found, naming file, row and field where there are any.
        expected: What would have been right. Empty where `given` already says it.
        remedy: What to do now.
    """

    def __init__(self, given: str, expected: str = "", remedy: str = "") -> None:
        self.given, self.expected, self.remedy = (_cut(part) for part in (given, expected, remedy))
        super().__init__(self.given, self.expected, self.remedy)

    def __str__(self) -> str:
        return _sentences(self.given, f"Expected: {self.expected}" if self.expected else "", self.remedy)

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it, and so a notebook: the message and the line of the cell, and none of our files.

        `traceback.print_last()` shows where it was raised.
        """
        expected = f"Expected: {self.expected}" if self.expected else ""
        parts = (f"{type(self).__name__}: {self.given}", expected, self.remedy, _typed_line(self.__traceback__))
        return [part for part in parts if part]

    def left_out(self, what: str) -> str:
        """A note for a run that goes on without something: what, why, and what would bring it back."""
        return _sentences(f"Left out: {what}", self.given, self.remedy)


def _typed_line(at: TracebackType | None) -> str:
    """The last line on the way that somebody typed into a cell or prompt; "" where there is none."""
    found = ""
    while at is not None:
        frame = at.tb_frame
        if frame.f_globals.get("__name__") == "__main__":
            line = linecache.getline(frame.f_code.co_filename, at.tb_lineno, frame.f_globals).strip()
            found = f"At line {at.tb_lineno}: {line}" if line else ""
        at = at.tb_next
    return found


def _sentences(*parts: str) -> str:
    """Parts one behind the other, each with a full stop where it has no end of its own."""
    return " ".join(part if part.endswith((".", "!", "?", "…")) else f"{part}." for part in parts if part)


def _cut(text: str) -> str:
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 300]} … {text[-250:]}"
    # What any terminal and page can show: half characters and NUL are written out.
    return shown.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
