"""Replies to instructions under plans, sampled as the settings say, each kept by all that it depends on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.parts.part import parts
from steering.passes.decoding import generate_each
from steering.passes.replies import DecodeSettings
from steering.passes.rows import Row
from steering.store import Kept, digest
from steering.studies.axbench.concepts import Instruction
from steering.studies.axbench.judging import Said
from steering.writes.interventions import Plan


BATCH = 32
"""Replies that are written together."""
_SEEDS = 2**31


@dataclass(frozen=True, eq=False)
class Asked:
    """A reply that is wanted."""

    instruction: Instruction
    prompt: Prompt
    """What is read: the instruction, perhaps with more."""
    plan: Plan
    identity: str
    """Digest of what the plan comes from."""


class Writer:
    """Writes replies. Call on the model thread."""

    def __init__(self, host: Host, kept: Kept, *, tokens: int, temperature: float, seed: int) -> None:
        self._host, self._kept = host, kept
        self._decode = DecodeSettings(max_new_tokens=tokens, temperature=temperature)
        self._seed, self._model = seed, fingerprint(host)

    def write(self, job: Job[Any], asked: Sequence[Asked], what: str) -> list[Said]:
        """The replies, in order; what was written before is not written again.

        A request is answered with the same draws by all that is compared, and with others than another request.

        Args:
            job: Told how many are written; a stop takes effect between two tokens.
            asked: Any number.
            what: Words for the progress.
        """
        seeds = [int(digest("axbench draws", self._seed, each.instruction.text)[:8], 16) % _SEEDS for each in asked]
        decode = [self._decode.model_copy(update={"seed": seed}) for seed in seeds]
        keys = [
            digest("axbench 1", self._model, each.prompt.ids, each.identity, settings.model_dump())
            for each, settings in zip(asked, decode, strict=True)
        ]
        missing = {key: place for place, key in enumerate(keys) if key not in self._kept}
        rows = [(key, Row(asked[place].prompt, asked[place].plan), decode[place]) for key, place in missing.items()]
        batches = [Written(tuple(rows[start : start + BATCH])) for start in range(0, len(rows), BATCH)]
        done = 0
        with closing(parts(job, self._host, batches, self._kept)) as told:
            for each in told:
                if each.n:
                    done += each.n
                    job.report(done, len(rows), what)
        return [Said(each.instruction, **_read(self._kept[key])) for each, key in zip(asked, keys, strict=True)]


@dataclass(frozen=True, eq=False)
class Written:
    """Replies that are written together."""

    rows: tuple[tuple[str, Row, DecodeSettings], ...]
    """Each behind the key that its reply is kept by."""

    def compute(self, job: Job[Any], host: Host, kept: Kept) -> Iterator[int]:
        """Write them; each is kept as it ends."""
        rows, decode = [row for _, row, _ in self.rows], [settings for _, _, settings in self.rows]
        for index, reply in generate_each(job, host, rows, decode):
            kept[self.rows[index][0]] = {
                "text": reply.answer,
                "ids": list(reply.ids[reply.thought_tokens :]),
                "cut": reply.finish != "end",
            }
            yield 1

    def pieces(self, host: Host) -> tuple[Written]:
        """Itself: a reply's digits may depend on which others are written beside it."""
        return (self,)


def _read(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "ids": tuple(found["ids"])}
