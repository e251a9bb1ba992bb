"""A trade-off while it is measured: chunks of items at all points of all curves, and the values so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from steering.errors import SteeringError
from steering.judges.second import Second
from steering.lane import Job
from steering.model.host import Host
from steering.model.openings import chat_notes
from steering.parts.part import parts
from steering.store import Kept, kept_in
from steering.studies.size import Done, Size, shares
from steering.studies.tradeoff.best_of import samples_of, seen_of
from steering.studies.tradeoff.curves import UNSTEERED, Curve, Curves
from steering.studies.tradeoff.further import KL
from steering.studies.tradeoff.items import Chunk, Item, Seen, Treatment, chunks_of
from steering.studies.tradeoff.measures import Measure, checked_items, find_measure, mass
from steering.studies.tradeoff.methods import make_curves
from steering.studies.tradeoff.order import AXES, Asked, distinct, steps
from steering.studies.tradeoff.readings import Reader
from steering.studies.tradeoff.settings import TradeoffSettings
from steering.studies.tradeoff.spread import unread
from steering.texts.system_prompts import left_out
from steering.vectors.vector import SteeringVector


NOT_ANSWERING = 0.01
"""Mass on the letters under which a model is said not to answer."""


class Comparison:
    """Goes through a trade-off; what it has measured so far can be read at any time."""

    def __init__(
        self,
        host: Host,
        settings: TradeoffSettings,
        kept: Kept | None = None,
        vectors: Mapping[str, SteeringVector] | None = None,
    ) -> None:
        """Take settings.

        Args:
            host: The model.
            settings: What to compare and measure.
            kept: Where readings are kept; the file of the settings where None.
            vectors: By name, such as those on the shelf.

        Raises:
            SteeringError: Strengths that are not in order, a second judge that cannot be asked, or a vector of which
                nothing says on which answer pairs alignment is measured.
        """
        host = host.under(settings.chat or settings.recipes[0].chat)
        self.host, self.settings = host, settings.on(host, vectors)
        self.notes: list[str] = []
        self._kept = kept_in(settings.kept) if kept is None else kept
        self.second = Second(self.settings, self._kept) if self.settings.judge_url.strip() else None
        """A judge at an address, which is asked whether replies refuse."""
        self._given = vectors or {}
        self.curves: Curves = Curves((), {})
        self.asked: dict[str, Asked] = {}
        """By role: alignment, helpfulness, kl, and further measures by their names."""
        self._values: dict[tuple[Any, ...], np.ndarray] = {}
        self._reader = Reader(host, self._kept)
        self.done, self.total, self.finished = 0, 0, False
        """Readings so far, in all, and whether a run came to its end."""
        settings = self.settings
        _ = settings.sweep  # said at once, not when the job starts

    def prepare(self) -> None:
        """Find vectors and items. Call on the model thread.

        Raises:
            SteeringError: A vector, a set, a measure or a strength that is wrong, or more calls of a second judge than
                the settings allow.
        """
        if self.asked:
            return
        settings = self.settings
        main = find_measure(settings.alignment_by, "alignment"), find_measure(settings.helpfulness, "helpfulness")
        further = [find_measure(name, "further") for name in dict.fromkeys(settings.also)]
        self.curves = make_curves(self.host, settings, self._given)
        self.notes += [*self.curves.notes, *chat_notes(self.host)]
        asked = {role: self._ask(measure) for role, measure in zip(AXES, main, strict=True)}
        for measure in further:
            if measure in main:
                continue
            try:
                asked[measure.name] = self._ask(measure, asked.values())
            except SteeringError as error:
                self.notes.append(error.left_out(measure.title))
        asked["kl"] = self._ask(KL, asked.values())
        self.asked = asked
        if self.second:
            try:
                self._allow(self.second)
            except SteeringError:
                self.asked = {}
                raise

    def size(self) -> Size:
        """How much is to be read, and how much of it is kept from before. Call on the model thread."""
        self.prepare()
        works = []
        for chunk, _, treatments in self._steps():
            works.append(self._reader.work(chunk, len(treatments), self._known(chunk, treatments)))
        return Size(tuple(works), keeps=True, done=Done(None) if all(work.known == work.n for work in works) else None)

    def run(self, job: Job[Any]) -> Iterator[None]:
        """Read everything; pauses after each part. Call on the model thread. What is done is kept.

        Raises:
            SteeringError: As `prepare`.
        """
        job.report(0, 1, "vectors and items")
        self.prepare()
        if self.second:
            self.second.try_out()
        yield
        # What is kept from before takes no time, so the time that is left is told from the others.
        works, steps = self.size().works, list(self._steps())
        items = unread(self._reader, steps)
        self.total = sum(work.n for work in works)
        self.done, passed, left, spent = 0, 0, self.total - sum(work.known for work in works), 0.0
        each = shares(self.host, works)
        with closing(parts(job, self.host, items, self._kept)) as told:
            for at in told:
                work, item = works[at.part], items[at.part]
                self.done += at.n
                spent += each[at.part] * at.n / max(1, work.n - work.known)
                if at.ended:
                    passed += work.known
                    self.done += work.n - len(item.chunk) * len(item.treatments)
                job.report(self.done - passed, left, steps[at.part][1], share=spent)
                if at.ended:
                    self.finished = self.done >= self.total
                    yield
        if self.second:
            yield from self._judge(job, self.second)

    def _known(self, chunk: Chunk, treatments: Iterable[Treatment]) -> int:
        """How many treatments have been read on these items."""
        return sum(self._reader.known(chunk, treatment) for treatment in treatments)

    def read_of(self, curve: Curve) -> Curve:
        """The curve at the strengths that some items of both axes have been read at."""
        read = [
            all(
                self._of(axis, self.asked[axis].chunks[0], each) is not None
                for axis in AXES
                for each in (treatment, UNSTEERED)
            )
            for treatment in curve.treatments
        ]
        if all(read):
            return curve
        kept = [index for index, is_read in enumerate(read) if is_read]
        return replace(
            curve,
            strengths=tuple(curve.strengths[index] for index in kept),
            treatments=tuple(curve.treatments[index] for index in kept),
            recipes=tuple(curve.recipes[index] for index in kept),
        )

    def values(self, role: str, curve: Curve) -> np.ndarray:
        """What was measured so far, (strength, item): the items that all strengths and the unsteered model have been
        read on.
        """
        parts = []
        for chunk in self.asked[role].chunks:
            found = [self._of(role, chunk, treatment) for treatment in (*curve.treatments, UNSTEERED)]
            read = [each for each in found if each is not None]
            if len(read) < len(found):
                break
            parts.append(np.stack(read[:-1]))
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(curve.treatments), 0))

    def unsteered(self, role: str) -> np.ndarray:
        """What was measured of the unsteered model so far, (item,)."""
        parts = [self._of(role, chunk, UNSTEERED) for chunk in self.asked[role].chunks]
        found = [part for part in parts if part is not None]
        return np.concatenate(found) if found else np.zeros(0)

    def seen(self, role: str, treatment: Treatment) -> list[tuple[Item, Seen, float]]:
        """The items behind a point: what was asked, what was read, and its value."""
        asked, found = self.asked[role], []
        for chunk in asked.chunks:
            seen = self._seen(chunk, treatment)
            if seen is None:
                break
            found += [(item, each, asked.score(item, each)) for item, each in zip(chunk.items, seen, strict=True)]
        return found

    def judged_samples(self) -> np.ndarray:
        """What the samples of best of n were judged, (request, sample); none where there are none, or not all yet."""
        n = max((each.best_of for curve in self.curves.curves for each in curve.treatments), default=0)
        if not n or not self.asked:
            return np.zeros((0, n))
        asked, found = self.asked["alignment"], list[list[float]]()
        for chunk in asked.chunks:
            drawn = samples_of(self._reader, chunk, n)
            for item, own in zip(chunk.items, drawn or (), strict=False):
                found.append([asked.score(item, seen) for seen in own])
        return np.array(found).reshape(len(found), n)

    def divergence(self, treatment: Treatment) -> np.ndarray:
        """KL(unsteered || treated) at every token read so far, nats, (token,)."""
        tokens = [each["kl"] for _, each, _ in self.seen("kl", treatment)]
        return np.concatenate([np.asarray(each) for each in tokens]) if tokens else np.zeros(0)

    def answering(self) -> float | None:
        """Mean mass of the unsteered model on the letters of the helpfulness questions; None where none are asked."""
        if not self.asked:
            return None
        found = [mass(each) for item, each, _ in self.seen("helpfulness", UNSTEERED) if item.kind == "words"]
        return float(np.mean(found)) if found else None

    def _of(self, role: str, chunk: Chunk, treatment: Treatment) -> np.ndarray | None:
        key = (role, treatment.key, chunk)
        if key not in self._values:
            seen = self._seen(chunk, treatment)
            if seen is None:
                return None
            score = self.asked[role].score
            self._values[key] = np.array([score(item, each) for item, each in zip(chunk.items, seen, strict=True)])
        return self._values[key]

    def _ask(self, measure: Measure, others: Iterable[Asked] = ()) -> Asked:
        """A measure with its items; two measures of the same items read them once."""
        items = checked_items(measure, self.host, self.settings)
        gone = len(measure.items(self.host, self.settings)) - len(items)
        if gone:
            self.notes.append(left_out(self.host, gone, f"items of {measure.title}"))
        same = next((each.chunks for each in others if each.items == items), None)
        return Asked(measure, same or chunks_of(items), measure.scorer(self.host, self.settings))

    @property
    def counting_refusals(self) -> list[str]:
        """The roles of measures whose replies are judged for whether they refuse."""
        return [role for role, each in self.asked.items() if each.measure.counts_refusals(self.settings)]

    def _allow(self, second: Second) -> None:
        """Raise where the second judge has nothing to judge, or more than it may."""
        roles, settings = self.counting_refusals, self.settings
        if not roles:
            raise SteeringError(
                "A second judge was named, but nothing that is measured counts refusals.",
                "judged alignment on harmlessness, or false_refusal.",
                "Measure one of them, or leave judge_url out.",
            )
        treatments = distinct([curve for curve in self.curves.curves if not curve.floor])
        calls = sum(len(self.asked[role].items) for role in roles) * len(treatments) + 1
        second.allow(calls, settings.reply_tokens, "take fewer strengths, replies (n_replies) or methods (compare)")

    def _judge(self, job: Job[Any], second: Second) -> Iterator[None]:
        """Ask the second judge about every reply that counts, but those under random directions."""
        treatments = distinct([curve for curve in self.curves.curves if not curve.floor])
        for role in self.counting_refusals:
            said = [(item, seen) for each in treatments for item, seen, _ in self.seen(role, each)]
            second.judge(job, [item.messages[-1].content for item, _ in said], [seen["text"] for _, seen in said])
            yield

    def _steps(self) -> Iterator[tuple[Chunk, str, list[Treatment]]]:
        return steps(self.curves.curves, self.asked)

    def _seen(self, chunk: Chunk, treatment: Treatment) -> list[Seen] | None:
        return seen_of(self._reader, chunk, treatment, self.asked["alignment"].score)
