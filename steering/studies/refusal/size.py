"""How much each step of the study does, counted from its settings before it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from steering.errors import SteeringError
from steering.model.host import Host
from steering.model.prompts import conversation, render
from steering.passes.tail_states import tail_length
from steering.store import Kept, kept_in
from steering.studies.refusal import replies, tokens
from steering.studies.refusal.arms import ARMS, FLOORS, NONE
from steering.studies.refusal.effects import ANSWER_TOKENS, FORCED_TOKENS
from steering.studies.refusal.phases import requests_of
from steering.studies.refusal.requests import Requests
from steering.studies.refusal.settings import RefusalSettings, Until
from steering.studies.size import Size, Work, done_before, note_done, run_key, tokens_of


STEPS: tuple[Until, ...] = ("tokens", "candidates", "effects")
"""Each does those before it."""
_READ = ("data", "target", "control", "borderline", "column", "n_train", "n_validation", "n_test", "seed", "system")
_DEPENDS: Mapping[Until, tuple[str, ...]] = {
    "tokens": (*_READ, "tokens"),
    "candidates": (*_READ, "tokens", "last_only", "by", "min_induce", "max_kl", "max_depth", "complete"),
    "effects": tuple(name for name in RefusalSettings.model_fields if name not in ("kept", "until", "chat")),
}
"""The settings on which it depends what a step makes; the model, under its chat settings, comes beside them."""
_PER_CANDIDATE = 2.5
"""Readings of all validation requests of a side: ablated on both sides, and added from a block on that lies, in the
mean, half way up."""
_LETTER_SETS = 2
"""Question sets that are answered by letter or word, in a reading."""


def size_of(host: Host, settings: RefusalSettings, kept: Kept | None = None) -> Size:
    """What a run with these settings does.

    Args:
        host: The model; only its tokenizer is asked.
        settings: Of the run.
        kept: Where finished parts are; what the settings say where None.

    Raises:
        SteeringError: As `load_requests`.
    """
    return sizes(host, settings, kept)[settings.until]


def sizes(host: Host, settings: RefusalSettings, kept: Kept | None = None) -> dict[Until, Size]:
    """What every step does, with those before it.

    Raises:
        SteeringError: As `load_requests`.
    """
    host, kept = host.under(settings.chat), kept_in(settings.kept) if kept is None else kept
    counted = _Counted.of(host, settings)
    done = {until: done_before(kept, step_key(host, settings, until)) for until in STEPS}
    scored = bool(done["candidates"])
    works: list[Work] = []
    found: dict[Until, Size] = {}
    for until, more in zip(STEPS, (counted.tokens(), counted.candidates(scored), counted.effects()), strict=True):
        works += more
        found[until] = Size(tuple(works), keeps=until == "effects", done=done[until] if until != "tokens" else None)
    return found


def step_key(host: Host, settings: RefusalSettings, until: Until) -> str:
    """A digest of all that a step depends on."""
    given = settings.model_dump(mode="json")
    return run_key(host, "refusal", until, {name: given[name] for name in _DEPENDS[until]})


def note_step_done(
    host: Host, settings: RefusalSettings, kept: Kept, until: Until, *, found: Sequence[int], seconds: float
) -> None:
    """Take in that a run came to the end of a step.

    Args:
        host: The model.
        settings: Of the run.
        kept: Where its parts are.
        until: The step.
        found: Refusal tokens; who names the same ones, as the page does after a run, asks for the same.
        seconds: Since the run began.
    """
    named = settings.model_copy(update={"tokens": tuple(f"#{token}" for token in found)})
    for key in {step_key(host, each, until) for each in (settings, named)}:
        before = done_before(kept, key)
        if before is None or before.seconds is None:
            note_done(kept, key, seconds=seconds, anew=0 if before else 1)


@dataclass(frozen=True)
class _Counted:
    """What is counted of the requests."""

    settings: RefusalSettings
    requests: Requests
    length: float
    """Tokens of a request in the mean, with its template."""
    places: int
    """Tokens and blocks at which a direction is read."""

    @classmethod
    def of(cls, host: Host, settings: RefusalSettings) -> _Counted:
        requests = requests_of(host, settings)
        some = [*requests.train.target, *requests.train.control]
        texts = [settings.system + "".join(message.content for message in each) for each in some]
        tail = 1 if settings.last_only else _tail(host)
        return cls(settings, requests, tokens_of(texts), tail * host.info.blocks)

    @property
    def _trained(self) -> int:
        return len(self.requests.train.target) + len(self.requests.train.control)

    @property
    def _chosen_on(self) -> int:
        return len(self.requests.validation.target) + len(self.requests.validation.control)

    def tokens(self) -> list[Work]:
        """Replies that show how refusals begin; first tokens of all, twice for means."""
        answered = min(tokens.ANSWERED, len(self.requests.train.target))
        readings = 2 * self._trained + self._chosen_on
        return [
            Work("replies", answered, tokens.LOOKED_AT, batch=tokens.BATCH),
            Work("readings", readings, self.length),
        ]

    def candidates(self, scored: bool) -> list[Work]:
        """States for the means; every candidate on the validation requests."""
        scores = round(self.places * _PER_CANDIDATE * self._chosen_on / 2)
        return [
            Work("readings", self._trained, self.length),
            Work("readings", scores, self.length, known=scores if scored else 0),
        ]

    def effects(self) -> list[Work]:
        """Every intervention and random direction on the test requests; then where refusal lives."""
        settings, test = self.settings, self.requests.test
        systems = 2 if settings.both_systems else 1
        asked = systems * (len(test.target) + len(test.control) + len(self.requests.borderline))
        keys = [NONE, *(key for key in ARMS if key in settings.arms and key != NONE)]
        arms = len(keys) + settings.random * len({FLOORS[key] for key in keys if key in FLOORS})
        read = asked + _LETTER_SETS * settings.questions
        made = self._trained * (("leace" in keys) + (settings.directions - 1) * ("several" in keys))
        return [
            Work("replies", arms * asked, settings.reply_tokens, batch=replies.BATCH),
            Work("replies", arms * settings.questions, ANSWER_TOKENS, batch=replies.BATCH),
            Work("readings", arms * read, self.length),
            Work("readings", 2 * arms * len(test.control), self.length + FORCED_TOKENS),
            Work("readings", made + self._trained + self._chosen_on + 2 * asked, self.length),
        ]


def _tail(host: Host) -> int:
    """Template tokens behind a message; where a template cannot be used, the run says so."""
    try:
        return tail_length([render(host, conversation(text)) for text in ("Hello.", "Say more")])
    except SteeringError:
        return 1
