"""A chat model as the judge: one that is loaded beside the model, or one at an address that the user names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from steering.confines import check_address, check_model
from steering.errors import SteeringError
from steering.judges.endpoint import Endpoint, ask_chat
from steering.judges.ratings import ASKED, Part, mark_in, question
from steering.judges.second import Named
from steering.lane import Job
from steering.model.host import Host
from steering.model.prompts import render
from steering.names import short_name
from steering.passes.decoding import next_token_logits
from steering.passes.exact import mass_of
from steering.passes.rows import Row
from steering.store import Kept, digest
from steering.studies.axbench.concepts import Concept
from steering.studies.axbench.judging import Said
from steering.studies.axbench.marks import Marks
from steering.texts.questions import first_tokens


Ask = Callable[[Job[Any], Sequence[tuple[str, str]]], list[int | None]]
"""Marks for system prompts and requests; None where an answer has none."""
_DIGITS = ("0", "1", "2")
_AT_ONCE = 16
_PER_TOKEN = 5
"""Characters a token of a reply, rather too many."""
_BESIDE = 400
"""Characters of a request or concept."""


class ChatJudge:
    """Asks for each mark by itself, once about the same text; a reply without a mark gets 0, and is counted."""

    def __init__(self, title: str, name: str, ask: Ask, kept: Kept) -> None:
        self.title, self._name, self._ask, self._kept = title, name, ask, kept
        self.missing = 0
        """Answers without a mark."""

    def marks(self, job: Job[Any], concept: Concept, replies: Sequence[Said]) -> list[Marks]:
        """What each reply gets.

        Raises:
            SteeringError: The judge cannot be asked.
        """
        by_part = {part: self._marked(job, part, concept, replies) for part in ASKED}
        return [Marks(*each) for each in zip(*by_part.values(), strict=True)]

    def _marked(self, job: Job[Any], part: Part, concept: Concept, replies: Sequence[Said]) -> list[int]:
        asked = [question(part, each.text, concept=concept.name, request=each.instruction.text) for each in replies]
        keys = [digest("mark", self._name, *each) for each in asked]
        missing = [key for key in dict.fromkeys(keys) if key not in self._kept]
        by_key = dict(zip(keys, asked, strict=True))
        for key, mark in zip(missing, self._ask(job, [by_key[key] for key in missing]), strict=True):
            self._kept[key] = {"mark": mark}
            self.missing += mark is None
        return [self._kept[key]["mark"] or 0 for key in keys]


def judge_at(settings: Named, kept: Kept, calls: int, reply_tokens: int) -> ChatJudge:
    """The model at an address, which is asked once about a greeting, so that a wrong address is known at once.

    Args:
        settings: Where it is, and how many calls it may take.
        kept: Where marks are kept.
        calls: The most that a run takes.
        reply_tokens: The most tokens of a reply.

    Raises:
        SteeringError: A wrong address, model or variable, an address that the page may not ask, more calls than are
            allowed, or it cannot be asked.
    """
    url = settings.judge_url.strip()
    check_address(url)
    endpoint = Endpoint(url, settings.judge_model, settings.judge_key)
    if calls > settings.judge_calls:
        around = max(map(len, ASKED.values()))
        told = endpoint.told(calls, _BESIDE + _PER_TOKEN * reply_tokens, settings.judge_price, around=around)
        raise SteeringError(
            f"The judge may take {told}. {settings.judge_calls:,} calls are allowed.",
            f"judge_calls={calls} or more, so that nothing is asked that nobody has agreed to.",
            "Allow them, or take fewer concepts, instructions, factors or methods.",
        )
    list(ask_chat(endpoint, [question("fluency", "Hello! How can I help you today?")]))

    def ask(job: Job[Any], asked: Sequence[tuple[str, str]]) -> list[int | None]:
        found = []
        for done, answer in enumerate(ask_chat(endpoint, asked) if asked else (), start=1):
            found.append(mark_in(answer))
            job.report(done, len(asked), f"asking {endpoint.model}")
        return found

    return ChatJudge(f"{endpoint.model} at an address", f"{url} {endpoint.model}", ask, kept)


def judge_beside(host: Host, name: str, kept: Kept) -> ChatJudge:
    """A chat model loaded on the same lane: its mark is the digit that is likeliest to begin its answer. Call on the
    model thread.

    Raises:
        SteeringError: It may not be loaded, has no chat template, or its digits are no single tokens.
    """
    check_model(name)
    judge = Host.load(name, lane=host.lane)
    if not judge.info.chat_template:
        raise SteeringError(
            f"The judge {judge.name} has no chat template.", "a model that answers requests.", "Name another."
        )
    digits = first_tokens(judge, _DIGITS)

    def ask(job: Job[Any], asked: Sequence[tuple[str, str]]) -> list[int | None]:
        found: list[int | None] = []
        for start in range(0, len(asked), _AT_ONCE):
            job.report(start, len(asked), f"asking {short_name(judge.name)}")
            part = asked[start : start + _AT_ONCE]
            rows = [Row(render(judge, f"{system}\n\n{user}")) for system, user in part]
            found += mass_of(next_token_logits(judge, rows), digits).argmax(dim=-1).tolist()
        return found

    return ChatJudge(short_name(judge.name), judge.info.source, ask, kept)
