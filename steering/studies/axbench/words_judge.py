"""Rules for concepts that no grammar knows: words of held-out texts, and how likely the unsteered model finds a reply.

Nothing here reads as a person does. Each mark is cut where texts that are known lie, before anything is steered, so
that a mark means the same for every method.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steering.judges.repetition import degenerate
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import Prompt, render
from steering.passes.forced import Replied, read_forced, replies_at_once
from steering.studies.axbench.concepts import Concept
from steering.studies.axbench.judging import Said
from steering.studies.axbench.marks import Marks
from steering.studies.axbench.reading import Asked, Writer


OTHERS = 4
"""Other requests beside which a reply is held."""
OWN = 24
"""Own replies that say what is fluent."""
_FLUENT = 0.95
"""Share of them that is."""
_ROUGH = 1.0
"""Nats a token above, up to which a reply can be read."""
_UNLIKE = 0.95
"""Share of held-out texts without the concept that get no mark."""
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class _Words:
    """A classifier of words, and where its scores are cut."""

    model: Any
    low: float
    """Above, a text touches on the concept: 95 % of held-out texts without it do not lie there."""
    high: float
    """From here on it takes it up: half of the held-out texts with it lie above."""

    def marks(self, texts: Sequence[str]) -> list[int]:
        scores = self.model.decision_function(np.array(texts, dtype=object))
        return [int(score > self.low) * (1 + int(score >= self.high)) for score in scores]


class WordsJudge:
    """Marks by words and likelihoods.

    Concept: logistic regression on words and pairs of words, fitted on half of the texts that no vector saw; 1 above
    95 % of the other half's texts without the concept, 2 where it lies above half of those with it, too.

    Instruction: the unsteered model's P(request | reply) among some of the concept's requests, from how likely each
    makes the reply; 2 above 1/2, 1 above what chance gives.

    Fluency: the unsteered model's loss a token behind the request, or behind the request that also asks for the
    concept, whichever is less; 2 up to where 95 % of its own replies to both lie, 1 up to a nat more; 0 where the reply
    loops or is empty.
    """

    title = "words of held-out texts, and the unsteered model's likelihoods"

    def __init__(self, host: Host, writer: Writer, concepts: Sequence[Concept]) -> None:
        self._host, self._writer, self._concepts = host, writer, concepts
        self._words: dict[int, _Words] = {}
        self._fluent: float | None = None

    def marks(self, job: Job[Any], concept: Concept, replies: Sequence[Said]) -> list[Marks]:
        """What each reply gets."""
        if concept.number not in self._words:
            self._words[concept.number] = _fitted(concept)
        known = self._words[concept.number].marks([each.text for each in replies]) if replies else []
        answers = self._answers(job, concept, replies)
        fluent = self._fluency(job, concept, replies)
        return [Marks(*each) for each in zip(known, answers, fluent, strict=True)]

    def _answers(self, job: Job[Any], concept: Concept, replies: Sequence[Said]) -> list[int]:
        """By how likely other requests make the same reply."""
        prompts = [render(self._host, each.messages) for each in concept.instructions]
        places = {each: place for place, each in enumerate(concept.instructions)}
        n = min(OTHERS, len(prompts) - 1)
        beside = [
            [prompts[(places[said.instruction] + step) % len(prompts)] for step in range(n + 1)] for said in replies
        ]
        asked = [(prompt, said.ids) for said, some in zip(replies, beside, strict=True) for prompt in some]
        losses = self._losses(job, asked, mean=False).reshape(len(replies), n + 1)
        chances = np.exp(losses.min(axis=1, keepdims=True) - losses)
        own = chances[:, 0] / chances.sum(axis=1)
        return [int(each > 1 / (n + 1)) + int(each > 0.5) for each in own]

    def _fluency(self, job: Job[Any], concept: Concept, replies: Sequence[Said]) -> list[int]:
        if self._fluent is None:
            self._fluent = self._own(job)
        losses = self._least(job, [(concept, said) for said in replies])
        return [
            0 if degenerate(said.text) else int(loss <= self._fluent) + int(loss <= self._fluent + _ROUGH)
            for said, loss in zip(replies, losses, strict=True)
        ]

    def _own(self, job: Job[Any]) -> float:
        """The loss under which most of its own replies lie, to requests that ask for a concept and to bare ones."""
        every = [(concept, each) for concept in self._concepts for each in concept.instructions]
        some = every[:: -(-len(every) // OWN)]
        asked = [
            Asked(each, render(self._host, messages), (), "")
            for concept, each in some
            for messages in (each.messages, concept.prompted(each.messages))
        ]
        said = self._writer.write(job, asked, "own replies")
        whose = [concept for concept, _ in some for _ in range(2)]
        return float(np.quantile(self._least(job, list(zip(whose, said, strict=True))), _FLUENT))

    def _least(self, job: Job[Any], said: Sequence[tuple[Concept, Said]]) -> np.ndarray:
        """The lesser loss a token of each reply, behind both ways of asking, (reply,)."""
        asked: list[Replied] = []
        for concept, each in said:
            messages = each.instruction.messages
            prompts: list[Prompt] = [render(self._host, one) for one in (messages, concept.prompted(messages))]
            asked += [(prompt, each.ids) for prompt in prompts]
        least: np.ndarray = self._losses(job, asked, mean=True).reshape(len(said), 2).min(axis=1)
        return least

    def _losses(self, job: Job[Any], asked: Sequence[Replied], *, mean: bool) -> np.ndarray:
        """-log-probability of replies, or its mean a token, nats, (reply,); an empty reply has 0."""
        found, said = np.zeros(len(asked)), [place for place, (_, ids) in enumerate(asked) if ids]
        said.sort(key=lambda place: len(asked[place][0]) + len(asked[place][1]))
        while said:
            job.check()
            size = replies_at_once(self._host, 1, [asked[place] for place in said[:_AT_ONCE]], _AT_ONCE)
            part, said = said[:size], said[size:]
            forced = read_forced(self._host, [()], [asked[place] for place in part])
            used = forced.used[:, :-1]
            sums = (forced.losses[0] * used).sum(dim=1)
            found[part] = (sums / used.sum(dim=1) if mean else sums).numpy()
        return found


def _fitted(concept: Concept) -> _Words:
    """Fitted on every other held-out text, and cut by the rest."""
    # These take seconds to import.
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(C=10))
    positive, negative = concept.texts
    texts = [*positive[::2], *negative[::2]]
    model.fit(texts, [True] * len(positive[::2]) + [False] * len(negative[::2]))
    own, others = (model.decision_function(list(side[1::2])) for side in (positive, negative))
    low = float(np.quantile(others, _UNLIKE))
    return _Words(model, low, max(low, float(np.median(own))))
