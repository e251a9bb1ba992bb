"""The terms of pages and reports in plain words: `presets/glossary.yaml`, whose head says what its fields are."""

from __future__ import annotations

import re
from functools import cache

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from steering.resources import resource


class Term(BaseModel):
    """One term."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    term: str
    words: tuple[str, ...] = ()
    """The forms in which it stands in a text; the term alone where empty."""
    means: str
    """One or two sentences."""
    formula: str = ""
    source: str = ""
    """Paper, where the term or the formula is somebody's."""
    page: str = ""
    """A page of docs/ that says more, without its ending."""

    @property
    def forms(self) -> tuple[str, ...]:
        """What it is found by."""
        return self.words or (self.term,)

    @property
    def id(self) -> str:
        """For links to it."""
        return re.sub(r"[^a-z0-9]+", "-", self.term.lower()).strip("-")


@cache
def glossary() -> tuple[Term, ...]:
    """All terms, in the order of the alphabet."""
    content = yaml.safe_load(resource("presets", "glossary.yaml").read_text(encoding="utf-8"))
    return tuple(sorted(TypeAdapter(tuple[Term, ...]).validate_python(content), key=lambda each: each.term.lower()))


@cache
def pattern() -> str:
    """A regular expression of every form, the longest first, for Python and JavaScript alike.

    Short forms in capitals stand as they are written; others may begin with a capital.
    """
    forms = sorted({form for term in glossary() for form in term.forms}, key=lambda form: (-len(form), form))
    return rf"(?<![A-Za-z0-9_-])(?:{'|'.join(map(_form, forms))})(?![A-Za-z0-9_-])"


def terms_in(text: str) -> tuple[Term, ...]:
    """The terms that stand in a text, in the order of the alphabet."""
    found = {match.lower() for match in re.findall(pattern(), text)}
    return tuple(term for term in glossary() if any(form.lower() in found for form in term.forms))


def _form(form: str) -> str:
    escaped = re.sub(r"([.*+?^${}()|\[\]\\/])", r"\\\1", form)
    first = escaped[0]
    return f"[{first}{first.upper()}]{escaped[1:]}" if first.islower() else escaped
