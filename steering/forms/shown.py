"""What a notebook shows has three forms: markup, plain text, and a line within other things."""

from __future__ import annotations

from typing import Any


class Shown:
    """Something with `_repr_html_`, plain text as its `str`, and a line as its `repr`."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What IPython prints where it shows no markup: the text of what stands alone, a line within a list."""
        alone = len(getattr(printer, "stack", ())) < 2
        printer.text(str(self) if alone else repr(self))
