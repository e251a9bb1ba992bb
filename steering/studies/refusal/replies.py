"""Replies under every intervention, judged, and kept so that an interrupted study goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeVar

from steering.judges.repetition import repetition
from steering.judges.sorting import Content, Form
from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.thoughts import Parts
from steering.passes.decoding import generate_each, next_token_logits
from steering.passes.replies import DecodeSettings, Reply, Written
from steering.passes.rows import Row
from steering.recipes.plans import plan_of
from steering.store import Kept, digest
from steering.studies.refusal.arms import REFUSAL, Arm
from steering.studies.refusal.tokens import log_odds
from steering.studies.refusal.written import sort_written
from steering.vectors.vector import SteeringVector
from steering.writes.interventions import Plan


T = TypeVar("T")
BATCH = 64
"""Replies that are decoded together."""
Judge = Callable[[Sequence[str]], list[bool]]
"""A further judge: which of some replies are refusals."""


@dataclass(frozen=True)
class Said:
    """One judged reply."""

    arm: str
    group: str
    """The kind of request."""
    system: bool
    """Whether a system prompt stood before it."""
    index: int
    """Of the request in its group."""
    prompt: str
    """The user's message."""
    text: str
    tokens: int
    finish: str
    content: Content
    form: Form
    reason: str
    late: bool
    turned: bool
    log_odds: float
    """Refusal log-odds of the first token; NaN without refusal tokens."""
    repetition: float
    """Share of its runs of three words that it has said before."""
    classifier: bool | None = None
    """Whether the classifier calls it a refusal; None without one."""
    endpoint: bool | None = None
    """Whether the chat model at the user's address calls it a refusal; None without one, or without its verdict."""

    @property
    def refusal(self) -> bool:
        """Whether the rules call it a refusal, broken or not."""
        return self.content == "refusal"

    @property
    def broken(self) -> bool:
        """Whether it is caught in a loop or empty."""
        return self.form in ("degenerate", "empty")

    @property
    def sorted_as(self) -> str:
        """Content and form in words, such as "refusal, late, degenerate"."""
        flags = [name for name, given in (("late", self.late), ("after words of refusal", self.turned)) if given]
        form = [self.form] if self.form != "whole" and self.content != "nothing" else []
        return ", ".join([self.content, *flags, *form])


class Speaker:
    """A model under one intervention. Call on the model thread."""

    def __init__(self, host: Host, arm: Arm, vectors: Mapping[str, SteeringVector], kept: Kept, original: Host) -> None:
        """Make the plan of an intervention.

        Args:
            host: The model that speaks: a copy where weights are edited.
            arm: The intervention.
            vectors: By the names that its recipe uses.
            kept: Where replies are kept.
            original: The model that was loaded.
        """
        self.host, self.arm = host, arm
        self.plan: Plan = plan_of(arm.recipe, host, vectors)
        contents = {name: vectors[name].content for name in arm.recipe.vectors}
        edited = vectors[REFUSAL].content if arm.weights else ""
        self._identity = [fingerprint(original), edited, arm.recipe.renamed(contents).to_json()]
        self._kept = kept
        self.found = 0
        """Replies that were said before, of those that `say` gave."""

    def say(self, job: Job[Any], prompts: Sequence[Prompt], longest: int) -> Iterator[tuple[int, Reply]]:
        """Greedy replies as (index, reply), those known first; every new one is kept at once."""
        keys = self._keys(prompts, longest)
        missing = []
        for index, key in enumerate(keys):
            known = self._kept.get(key)
            if known is None:
                missing.append(index)
            else:
                self.found += 1
                yield index, _remembered(known)
        missing.sort(key=lambda index: len(prompts[index]))
        settings = DecodeSettings(max_new_tokens=longest)
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            rows = [Row(prompts[index], self.plan) for index in part]
            for place, reply in generate_each(job, self.host, rows, [settings] * len(rows)):
                index = part[place]
                self._kept[keys[index]] = {
                    "text": reply.text,
                    "ids": list(reply.ids),
                    "finish": reply.finish,
                    "parts": list(astuple(reply.parts)) if reply.parts else None,
                    "thought": reply.thought_tokens,
                }
                yield index, reply

    def known(self, prompts: Sequence[Prompt], longest: int) -> tuple[dict[str, dict[str, Any]], int]:
        """Replies that are kept, by key, and how many are not."""
        keys = self._keys(prompts, longest)
        found = {key: value for key in keys if (value := self._kept.get(key)) is not None}
        return found, sum(key not in found for key in keys)

    def _keys(self, prompts: Sequence[Prompt], longest: int) -> list[str]:
        return [digest("reply", self._identity, prompt.ids, longest) for prompt in prompts]

    def odds(self, prompts: Sequence[Prompt], tokens: Sequence[int]) -> list[float]:
        """Refusal log-odds of the first token; NaN without tokens."""
        if not tokens:
            return [float("nan")] * len(prompts)
        asked = ("odds", [prompt.ids for prompt in prompts], tuple(tokens))
        return self.remembered(asked, lambda: self._odds(prompts, tokens))

    def remembered(self, asked: Any, measure: Callable[[], T]) -> T:
        """What was measured under this intervention before, or now; it must be plain numbers, lists and mappings.

        Args:
            asked: What it depends on beside the intervention.
            measure: Measures it.
        """
        key = digest(self._identity, asked)
        if not self.remembers(asked):
            self._kept[key] = {"value": measure()}
        value: T = self._kept[key]["value"]
        return value

    def remembers(self, asked: Any) -> bool:
        """Whether something was measured under this intervention before."""
        return digest(self._identity, asked) in self._kept

    def _odds(self, prompts: Sequence[Prompt], tokens: Sequence[int]) -> list[float]:
        found: dict[int, float] = {}
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            logits = next_token_logits(self.host, [Row(prompts[index], self.plan) for index in part])
            found |= dict(zip(part, log_odds(logits, tokens).tolist(), strict=True))
        return [found[index] for index in range(len(prompts))]


def _remembered(known: Mapping[str, Any]) -> Reply:
    return Reply(
        known["text"],
        tuple(known["ids"]),
        known["finish"],
        Written(),
        parts=Parts(*known["parts"]) if known.get("parts") else None,
        thought_tokens=known.get("thought", 0),
    )


def judged(
    arm: Arm,
    group: str,
    system: bool,
    asked: Sequence[str],
    replies: Sequence[Reply],
    odds: Sequence[float],
    judge: Judge | None,
    *,
    target: bool = False,
) -> list[Said]:
    """Every reply with what all judges say of it; of target requests the rules are told what was asked."""
    refused = judge([reply.answer for reply in replies]) if judge else [None] * len(replies)
    found = []
    for index, (prompt, reply, odd, by_classifier) in enumerate(zip(asked, replies, odds, refused, strict=True)):
        kind = sort_written(reply, prompt if target else "")
        found.append(
            Said(
                arm=arm.key,
                group=group,
                system=system,
                index=index,
                prompt=prompt,
                text=reply.text,
                tokens=reply.answer_tokens,
                finish=reply.finish or "",
                content=kind.content,
                form=kind.form,
                reason=kind.reason,
                late=kind.late,
                turned=kind.turned,
                log_odds=odd,
                repetition=repetition(reply.answer),
                classifier=by_classifier,
            )
        )
    return found
