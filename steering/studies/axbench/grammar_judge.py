"""The demo grammar as the judge of its own concepts: nothing is judged, since it is known what each sentence is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from steering.demo.sentences import FILES, Sentence, TextKind, sentences_of
from steering.lane import Job
from steering.studies.axbench.concepts import Concept
from steering.studies.axbench.judging import Said
from steering.studies.axbench.marks import MOST, Marks


_ENOUGH = 0.5
"""Share of sentences that are of the concept, above which it is full; or well made, from which the text can be read."""


class GrammarJudge:
    """Marks by the grammar.

    Concept: 2 where more than half of the sentences are of the manner, 1 where any is. Instruction: 2 where all that
    the request is about is named, 1 where some of it is, or where the text is of the kind that was asked for. Fluency:
    2 where the grammar makes every sentence, 1 where it makes half of them; a sentence that comes twice is made once.
    """

    title = "the demo grammar itself"

    def marks(self, job: Job[Any], concept: Concept, replies: Sequence[Said]) -> list[Marks]:
        """What each reply gets."""
        job.check()
        return [_marks(concept, each) for each in replies]


def _marks(concept: Concept, said: Said) -> Marks:
    assert concept.manner is not None
    kind, manner = concept.manner.kind, concept.manner.name
    own = _sentences(kind, said.text, said.cut)
    if not own:
        return Marks(0, 0, 0)
    of_manner = sum(manner in each.manners for each in own) / len(own)
    named = [_names(said.text, each) for each in said.instruction.names]
    of_kind = any(each.manners for each in own)
    made = _made(said.text, said.cut)
    return Marks(
        concept=MOST if of_manner > _ENOUGH else int(of_manner > 0),
        instruction=MOST if all(named) else int(any(named) or of_kind),
        fluency=MOST if made == 1 else int(made >= _ENOUGH),
    )


def _names(text: str, name: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE) is not None


def _made(text: str, cut: bool) -> float:
    """The share of a text's sentences that the grammar makes, of the kind of text that it fits best."""
    shares = []
    for kind in FILES:
        sentences = _sentences(kind, text, cut)
        once = {each.text for each in sentences if each.manners}
        shares.append(len(once) / len(sentences) if sentences else 0.0)
    return max(shares)


@lru_cache(maxsize=4096)
def _sentences(kind: TextKind, text: str, cut: bool) -> tuple[Sentence, ...]:
    """A text's sentences, but the last one where it was cut in its middle."""
    found = tuple(sentences_of(kind, text))
    return found[:-1] if cut and len(found) > 1 and not found[-1].manners else found
