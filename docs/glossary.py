"""Write docs/glossary.md from `presets/glossary.yaml`: `python docs/glossary.py`."""

from __future__ import annotations

from pathlib import Path

from steering.glossary import Term, glossary


PAGE = Path(__file__).with_name("glossary.md")
_HEAD = """# Glossary

Every term of the pages and reports, made by `docs/glossary.py` from `presets/glossary.yaml`. On the page, a term with a
dotted line says the same under the pointer, on focus and at a touch; `/glossary` lists them all.

| term | what it means | formula | source |
|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(map(_row, glossary()))


def _row(term: Term) -> str:
    more = f" ([more]({term.page}.md))" if term.page else ""
    formula = f"`{term.formula}`" if term.formula else ""
    return f"| **{term.term}** | {term.means}{more} | {formula} | {term.source} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
