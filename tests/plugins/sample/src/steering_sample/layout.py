"""Riddles: a file's columns riddle, guesses and solution."""

from __future__ import annotations

from steering.texts.layouts import Layout
from steering.texts.question_rows import lettered


RIDDLES = Layout(
    "riddles",
    ("riddle", "guesses", "solution"),
    question=lambda row: lettered(row, row["riddle"], row["guesses"], row["solution"]),
)
TAKEN = Layout("sums again", ("answer", "question"), question=RIDDLES.question)
"""By columns that the workbench knows already."""
