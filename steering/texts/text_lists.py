"""Plain lists of texts, from files and from data sets on the Hub."""

from __future__ import annotations

from pathlib import Path

from steering.texts.lists import Texts, texts_of
from steering.texts.tables import read_table


def read_texts(source: str | Path, column: str = "") -> tuple[str, ...]:
    """Texts in file order, without empty ones.

    Args:
        source: A file in one of the formats of `steering.texts.formats`, or a data set on the Hub as `hub:owner/name`;
            perhaps with a column behind `::`, such as `list.csv::goal`.
        column: Which column holds the texts, where the source does not say; known names are found.

    Raises:
        SteeringError: No such file, another kind of file, no such column, several that could be meant, or no text.
    """
    return understood_texts(source, column).texts


def understood_texts(source: str | Path, column: str = "") -> Texts:
    """The same with the column that was taken and what was left out."""
    table = read_table(source)
    return texts_of(table, "" if table.selection.columns else column)
