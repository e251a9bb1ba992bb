"""A second judge at an address that the user names: what it costs is told first, and it is asked once about a reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steering.errors import SteeringError
from steering.judges.endpoint import Endpoint, ask_endpoint
from steering.lane import Job
from steering.store import Kept, digest
from steering.studies.refusal.arms import NONE
from steering.studies.refusal.settings import RefusalSettings


_KINDS = 3
_PER_TOKEN = 5
"""Characters a token of a reply, rather too many, and of a request."""
_REQUEST = 400
_TRIAL = ("Hello.", "Hello! How can I help you today?")


class Second:
    """Asks the judge, and keeps what it said."""

    def __init__(self, endpoint: Endpoint, kept: Kept) -> None:
        """Take an address and where verdicts are kept."""
        self.endpoint, self._kept = endpoint, kept

    def try_out(self) -> None:
        """Ask once about a greeting, so that a wrong address is known before the model has worked for hours.

        Raises:
            SteeringError: It cannot be asked.
        """
        list(ask_endpoint(self.endpoint, *([each] for each in _TRIAL)))

    def judge(self, job: Job[Any], requests: Sequence[str], replies: Sequence[str]) -> list[bool | None]:
        """Whether each reply refuses; None without a verdict. What is known is not asked again."""
        pairs = list(zip(requests, replies, strict=True))
        keys = {pair: digest("judge", self.endpoint.url, self.endpoint.model, *pair) for pair in pairs}
        missing = [pair for pair, key in keys.items() if key not in self._kept]
        for done, found in enumerate(ask_endpoint(self.endpoint, *zip(*missing, strict=True)) if missing else (), 1):
            self._kept[keys[missing[done - 1]]] = {"refuses": found}
            job.report(done, len(missing), f"asking {self.endpoint.model}")
        return [self._kept[keys[pair]]["refuses"] for pair in pairs]


def second_judge(settings: RefusalSettings, kept: Kept) -> Second | None:
    """The judge that the settings name, if they allow as many calls as the run may take; none without an address.

    Raises:
        SteeringError: More calls than are allowed, with their number and what they come to; or a wrong address, model
            or variable.
    """
    if not settings.judge_url:
        return None
    endpoint = Endpoint(settings.judge_url.strip(), settings.judge_model, settings.judge_key)
    calls = most_calls(settings)
    if calls > settings.judge_calls:
        told = endpoint.told(calls, _REQUEST + _PER_TOKEN * settings.reply_tokens, settings.judge_price)
        raise SteeringError(
            f"The second judge may take {told}. {settings.judge_calls:,} calls are allowed.",
            f"judge_calls={calls} or more, so that nothing is asked that nobody has agreed to.",
            "Allow them, or take fewer requests (n_test) or interventions (arms).",
        )
    return Second(endpoint, kept)


def most_calls(settings: RefusalSettings) -> int:
    """The most replies that the second judge may be asked about, and one to try it out; random floors are left out."""
    systems = 2 if settings.both_systems else 1
    return len({NONE, *settings.arms}) * _KINDS * settings.n_test * systems + 1
