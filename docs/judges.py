"""Write the tables of docs/judges.md from the labelled replies: `python docs/judges.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steering.judges.labelled import Score, labelled_replies, score, scores_by


PAGE = Path(__file__).with_name("judges.md")
BEGIN, END = "<!-- made by docs/judges.py -->", "<!-- end -->"


def tables() -> str:
    """Precision and recall by part, language and family, as Markdown."""
    every = labelled_replies()
    parts = [score(part, labelled_replies(part)) for part in ("development", "held-out", "second hand")]
    return "\n\n".join(
        (
            _table("part", [*parts, score("all", every)]),
            _table("language", scores_by("language", every)),
            _table("in the manner of", scores_by("family", every)),
        )
    )


def page(text: str, made: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{made}\n\n{END}{rest.partition(END)[2]}"


def _table(name: str, scores: Sequence[Score]) -> str:
    head = f"| {name} | replies | refusals | recall | precision | content right | form right |\n{'|---' * 7}|"
    rows = [
        f"| {each.name} | {each.n} | {each.refusals} | {each.recall:.3f} | {each.precision:.3f} "
        f"| {each.contents / each.n:.3f} | {each.forms / each.n:.3f} |"
        for each in scores
    ]
    return "\n".join((head, *rows))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), tables()), encoding="utf-8")
