"""What the model makes of items under many treatments: read in shared batches, each part kept by its content.

A treatment is a plan, perhaps with turns put before the conversation (a system prompt, examples). A cell is what one
treatment makes of some items; its key is a digest of all that it depends on, so that another strength, another method
or more items compute only what is new.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.pace import note_reading
from steering.model.prompts import Message, Prompt, render
from steering.passes.decoding import generate_each
from steering.passes.exact import divergence, losses_of, mass_of
from steering.passes.forced import read_forced, reply_ids
from steering.passes.many_plans import Given, Read, read_many
from steering.passes.own_thoughts import behind_thoughts
from steering.passes.reply_parts import followed
from steering.passes.rows import Row
from steering.store import Kept, digest
from steering.studies.size import Work
from steering.studies.tradeoff.items import Chunk, Item, Seen, Treatment, decode_of, with_preface
from steering.texts.questions import first_tokens


BATCH = 32
"""Replies that are generated together."""
Rendered = dict[tuple[Chunk, tuple[Message, ...]], tuple[list[Prompt], str]]
"""Prompts, and a digest of all that is asked, by chunk and preface."""
_RENDERED: WeakKeyDictionary[Host, Rendered] = WeakKeyDictionary()
_MOST_RENDERED = 200


class Reader:
    """Reads chunks of items of one kind. Call on the model thread."""

    def __init__(self, host: Host, kept: Kept) -> None:
        self._host, self._kept = host, kept
        # What the last reader of this model has rendered already: a count before a run asks for the same, and so does
        # each part of the run.
        last = _RENDERED.get(host, {})
        self._rendered: Rendered = last if len(last) <= _MOST_RENDERED else {}
        _RENDERED[host] = self._rendered

    def known(self, chunk: Chunk, treatment: Treatment) -> bool:
        """Whether a treatment has been read on these items."""
        return self._key(chunk, treatment) in self._kept

    def read(self, job: Job[Any], chunk: Chunk, treatments: Sequence[Treatment]) -> Iterator[int]:
        """Read what is not known yet; gives how many more readings there are, as they come.

        Args:
            job: Checked for a stop; what is done is kept.
            chunk: The items.
            treatments: Any number.
        """
        groups: dict[tuple[Message, ...], dict[str, Treatment]] = defaultdict(dict)
        for treatment in treatments:
            if not self.known(chunk, treatment):
                groups[treatment.preface][treatment.identity] = treatment
        items = chunk.items
        read = {"given": self._given, "words": self._words, "text": self._text, "own": self._own}[items[0].kind]
        for preface, by_identity in groups.items():
            group, prompts = list(by_identity.values()), self._read_from(chunk, preface)
            cells: list[dict[int, Seen]] = [{} for _ in group]
            began = time.perf_counter()
            for place, index, seen in read(job, items, prompts, group):
                cells[place][index] = seen
                if len(cells[place]) == len(items):
                    whole = [cells[place][each] for each in range(len(items))]
                    self._kept[self._key(chunk, group[place])] = {"seen": whole}
                yield 1
            if items[0].kind != "text":
                note_reading(self._host, len(group) * self._tokens(chunk), time.perf_counter() - began)

    def work(self, chunk: Chunk, treatments: int, known: int) -> Work:
        """How much it is to read these items under so many treatments, of which some are known."""
        n = len(chunk)
        if chunk.items[0].kind == "text":
            return Work("replies", n * treatments, chunk.items[0].longest, n * known, BATCH)
        return Work("readings", n * treatments, self._tokens(chunk) / n, n * known)

    def _tokens(self, chunk: Chunk) -> int:
        """Tokens of prompts and given replies; a letter of a reply is about a quarter of one."""
        given = sum(len(text) // 4 + 1 for item in chunk.items for text in item.given)
        own = sum(len(item.own) for item in chunk.items)
        return given + own + sum(map(len, self._prompts(chunk, ())[0]))

    def seen(self, chunk: Chunk, treatment: Treatment) -> list[Seen] | None:
        """What was read, one an item; None where nothing is known yet, or nobody asked for these items."""
        if (chunk, treatment.preface) not in self._rendered:
            return None  # rendering is the model thread's
        found = self._kept.get(self._key(chunk, treatment))
        return None if found is None else found["seen"]

    def _prompts(self, chunk: Chunk, preface: tuple[Message, ...]) -> tuple[list[Prompt], str]:
        """The prompts of a chunk behind a preface, and a digest of all that is asked."""
        key = (chunk, preface)
        if key not in self._rendered:
            prompts = [render(self._host, with_preface(preface, each.messages)) for each in chunk.items]
            asked = [
                (prompt.ids, each.kind, each.given, each.words, each.longest, each.own)
                for prompt, each in zip(prompts, chunk.items, strict=True)
            ]
            self._rendered[key] = prompts, digest("tradeoff 1", fingerprint(self._host), asked)
        return self._rendered[key]

    def _read_from(self, chunk: Chunk, preface: tuple[Message, ...]) -> list[Prompt]:
        """The prompts up to where readings begin: behind the unsteered model's thoughts, where it is let think."""
        prompts = self._prompts(chunk, preface)[0]
        kind = chunk.items[0].kind
        # A reply thinks for itself; one to the bare conversation brings its thought along.
        if kind == "text" or (kind == "own" and preface):
            return prompts
        return behind_thoughts(self._host, prompts, self._kept)

    def _key(self, chunk: Chunk, treatment: Treatment) -> str:
        return digest(self._prompts(chunk, treatment.preface)[1], treatment.identity)

    def _given(
        self, job: Job[Any], items: Sequence[Item], prompts: Sequence[Prompt], group: Sequence[Treatment]
    ) -> Iterator[tuple[int, int, Seen]]:
        replies = [tuple(reply_ids(self._host, text) for text in item.given) for item in items]
        given = [Given(prompt, each) for prompt, each in zip(prompts, replies, strict=True)]
        for read in read_many(job, self._host, given, [each.plan for each in group]):
            losses = _losses(read)
            for row, place in enumerate(read.plans):
                for column, index in enumerate(read.items):
                    lengths = read.lengths[column].tolist()
                    lists = [losses[row][column][reply][:length] for reply, length in enumerate(lengths)]
                    yield place, index, {"losses": lists}

    def _words(
        self, job: Job[Any], items: Sequence[Item], prompts: Sequence[Prompt], group: Sequence[Treatment]
    ) -> Iterator[tuple[int, int, Seen]]:
        tokens = {words: first_tokens(self._host, words) for words in {item.words for item in items}}
        given = [Given(prompt) for prompt in prompts]
        for read in read_many(job, self._host, given, [each.plan for each in group]):
            for column, index in enumerate(read.items):
                chances = mass_of(read.logits[:, column, 0, 0], tokens[items[index].words])
                for place, values in zip(read.plans, chances.tolist(), strict=True):
                    yield place, index, {"chances": [round(value, 8) for value in values]}

    def _own(
        self, job: Job[Any], items: Sequence[Item], prompts: Sequence[Prompt], group: Sequence[Treatment]
    ) -> Iterator[tuple[int, int, Seen]]:
        if group[0].preface:
            yield from self._own_behind(job, items, prompts, group)
            return
        given = [Given(prompt, (item.own,)) for prompt, item in zip(prompts, items, strict=True)]
        for read in read_many(job, self._host, given, [each.plan for each in group]):
            losses = _losses(read)
            for row, place in enumerate(read.plans):
                kl = divergence(read.base, read.logits[row]).tolist()
                for column, index in enumerate(read.items):
                    n = int(read.lengths[column, 0])
                    own = [round(value, 6) for value in kl[column][0][: n + 1]]
                    yield place, index, {"losses": [losses[row][column][0][:n]], "kl": own}

    def _own_behind(
        self, job: Job[Any], items: Sequence[Item], prompts: Sequence[Prompt], group: Sequence[Treatment]
    ) -> Iterator[tuple[int, int, Seen]]:
        """The unsteered model reads the bare conversation, so the two prompts differ; the thought is the same."""
        bare = [render(self._host, item.messages) for item in items]
        behind = behind_thoughts(self._host, bare, self._kept)
        for index, item in enumerate(items):
            job.check()
            thought = behind[index].ids[len(bare[index]) :]
            prompt = followed(self._host, prompts[index], thought, "template")
            base = read_forced(self._host, [()], [(behind[index], item.own)])
            treated = read_forced(self._host, [each.plan for each in group], [(prompt, item.own)])
            for place, (kl, losses) in enumerate(
                zip(treated.divergence(base)[:, 0].tolist(), treated.losses[:, 0].tolist(), strict=True)
            ):
                seen = {"losses": [[round(value, 6) for value in losses]], "kl": [round(value, 6) for value in kl]}
                yield place, index, seen

    def _text(
        self, job: Job[Any], items: Sequence[Item], prompts: Sequence[Prompt], group: Sequence[Treatment]
    ) -> Iterator[tuple[int, int, Seen]]:
        asked = [(place, index) for place in range(len(group)) for index in range(len(items))]
        for start in range(0, len(asked), BATCH):
            part = asked[start : start + BATCH]
            rows = [Row(prompts[index], group[place].plan) for place, index in part]
            settings = [decode_of(items[index], group[place]) for place, index in part]
            for which, reply in generate_each(job, self._host, rows, settings):
                place, index = part[which]
                yield (
                    place,
                    index,
                    {
                        "text": reply.answer,
                        "thought": reply.thought,
                        "finished": reply.finished,
                        "tokens": reply.answer_tokens,
                        "finish": reply.finish,
                    },
                )


def _losses(read: Read) -> Any:
    """-log-probability of the tokens that replies have, as lists, [plan][item][reply][place]."""
    taken = read.taken.clamp(min=0)
    losses = [losses_of(plan, taken).tolist() for plan in read.logits]
    return [[[[round(v, 6) for v in each] for each in item] for item in plan] for plan in losses]
