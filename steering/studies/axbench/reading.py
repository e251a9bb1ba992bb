"""Replies to instructions under plans, sampled as the settings say, each kept by all that it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from steering.lane import Job
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import Prompt
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
        places = list(missing.values())
        for start in range(0, len(places), BATCH):
            part = places[start : start + BATCH]
            rows = [Row(asked[place].prompt, asked[place].plan) for place in part]
            written = generate_each(job, self._host, rows, [decode[place] for place in part])
            for done, (index, reply) in enumerate(written, start=start + 1):
                self._kept[keys[part[index]]] = {
                    "text": reply.answer,
                    "ids": list(reply.ids[reply.thought_tokens :]),
                    "cut": reply.finish != "end",
                }
                job.report(done, len(places), what)
        return [Said(each.instruction, **_read(self._kept[key])) for each, key in zip(asked, keys, strict=True)]


def _read(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "ids": tuple(found["ids"])}
