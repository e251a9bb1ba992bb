"""Where an answer begins on a model that is let think: behind its own thought, unsteered and at its likeliest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any
from weakref import WeakKeyDictionary

from steering.lane import Job, note
from steering.model.fingerprint import fingerprint
from steering.model.host import Host
from steering.model.prompts import Prompt
from steering.model.thought_markers import markers_of
from steering.model.token_pieces import decoded
from steering.passes.decoding import generate_each
from steering.passes.replies import DecodeSettings, Reply
from steering.passes.reply_parts import followed
from steering.passes.rows import Row
from steering.store import Kept, digest


_BATCH = 32
_LOOKED_AT = 4
"""Tokens behind a thought that may be white space before the answer."""
_ROOM = 64
"""Tokens that a context keeps free behind a thought that fills it, for the answer."""
_MOST_KEPT = 10_000
"""Thoughts that are kept of a model in memory; the oldest go first."""
_SHOWN = 80


@dataclass
class _Tally:
    """The thoughts behind which something was read in one job."""

    read: set[str] = field(default_factory=set)
    cut: dict[str, str] = field(default_factory=dict)
    """The text of those that did not end."""
    said: str = ""


_KNOWN: WeakKeyDictionary[Host, Kept] = WeakKeyDictionary()
_TALLIES: WeakKeyDictionary[Job[Any], _Tally] = WeakKeyDictionary()


def behind_thoughts(host: Host, prompts: Sequence[Prompt], kept: Kept | None = None) -> list[Prompt]:
    """Prompts that end where the answer begins; as they are where the model is not let think.

    Whatever is read at the end of a prompt (log-odds, letters, likelihoods of given replies, states) is read of these.
    The thought is the unsteered model's greedy one, written once a prompt, with the white space that it puts before its
    answer; its tokens count as the template's. One that does not end within its tokens (`Prompt.thought_tokens`), or
    that fills the context, is closed there, and a note of the job counts and shows such.

    Args:
        host: The model as it was loaded, without edits.
        prompts: Any number.
        kept: Where thoughts are kept, by digest; in memory where None.
    """
    thinking = {prompt.ids: prompt for prompt in prompts if prompt.thought_tokens}
    if not thinking:
        return list(prompts)
    store = _KNOWN.setdefault(host, {}) if kept is None else kept

    def work(job: Job[list[Prompt]]) -> list[Prompt]:
        keys = {ids: digest("thought", fingerprint(host), ids) for ids in thinking}
        missing = [prompt for ids, prompt in thinking.items() if keys[ids] not in store]
        found = {}
        for prompt, reply in _written(job, host, missing):
            found[prompt.ids] = store[keys[prompt.ids]] = _thought(host, prompt, reply)
        for ids in thinking:
            found.setdefault(ids, store[keys[ids]])
        _tell(host, job, {keys[ids]: thought for ids, thought in found.items()})
        ended = {ids: followed(host, prompt, found[ids]["ids"], "template") for ids, prompt in thinking.items()}
        return [ended.get(prompt.ids, prompt) for prompt in prompts]

    ended = host.run(work, title="Thinking")
    while kept is None and len(store) > _MOST_KEPT:
        del store[next(iter(store))]
    return ended


def _written(job: Job[Any], host: Host, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, Reply]]:
    ordered, done = sorted(prompts, key=len), 0
    settings = DecodeSettings(max_new_tokens=_LOOKED_AT)
    for start in range(0, len(ordered), _BATCH):
        part = ordered[start : start + _BATCH]
        job.report(done, len(ordered), "thoughts")
        for index, reply in generate_each(job, host, [Row(prompt) for prompt in part], [settings] * len(part)):
            done += 1
            job.report(done, len(ordered), "thoughts")
            yield part[index], reply


def _thought(host: Host, prompt: Prompt, reply: Reply) -> dict[str, Any]:
    """What stands between a prompt and its answer."""
    tokenizer, thought = host.tokenizer, reply.ids[: reply.thought_tokens]
    if reply.finished and reply.finish != "thought":
        # A model that answers at once has no thought, and its answer has begun.
        rest = reply.ids[reply.thought_tokens :] if thought else ()
        space = takewhile(lambda token: not decoded(tokenizer, [token]).strip(), rest)
        return {"ids": [*thought, *space], "cut": None}
    closing = _closing(host, prompt, decoded(tokenizer, thought))
    most = max(0, host.info.context - len(prompt) - len(closing) - _ROOM)
    return {"ids": [*thought[:most], *closing], "cut": reply.thought}


def _closing(host: Host, prompt: Prompt, thought: str) -> list[int]:
    """Tokens that end a thought: the delimiter of the one that was opened, set apart as templates set it."""
    pairs = markers_of(host.tokenizer).pairs
    text = prompt.text + thought
    closing = max(pairs, key=lambda pair: text.rfind(pair[0]))[1]
    spaced = closing if "|" in closing else f"\n{closing}\n\n"
    ids: list[int] = host.tokenizer(spaced, add_special_tokens=False)["input_ids"]
    return ids


def _tell(host: Host, job: Job[Any], thoughts: dict[str, dict[str, Any]]) -> None:
    tally = _TALLIES.setdefault(job, _Tally())
    tally.read |= set(thoughts)
    tally.cut |= {key: thought["cut"] for key, thought in thoughts.items() if thought["cut"] is not None}
    said = f"What is read where an answer begins was read behind {len(tally.read)} thoughts of the unsteered model"
    if tally.cut:
        first = " ".join(next(iter(tally.cut.values())).split())[-_SHOWN:]
        said += (
            f"; {len(tally.cut)} of them did not end (within {host.chat.thought_tokens} tokens, or at all) and were "
            f"closed where they stood, the first behind '{first}'. Longer thoughts: chat.thought_tokens."
        )
    else:
        said += ", all of which ended."
    note(said, instead_of=tally.said)
    tally.said = said
