"""A second judge at an address that the user names: what it costs is told first, and it is asked once about a reply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import Field

from steering.confines import check_address
from steering.errors import SteeringError
from steering.judges.endpoint import Endpoint, ask_endpoint
from steering.lane import Job
from steering.store import Kept, digest


URL: Any = Field(
    "",
    description="Base address of an OpenAI-compatible chat model as a further judge of refusals, such as "
    "https://host/v1. Requests and replies are sent there.",
)
MODEL: Any = Field("", description="The model's name at that address.")
KEY: Any = Field("", description="Name of the environment variable with its key; none where empty.")
CALLS: Any = Field(0, ge=0, description="Calls that it may take; with too few the run says how many, first.")
PRICE: Any = Field(
    0.0, ge=0, allow_inf_nan=False, description="Price of a million of its tokens, to be told what the calls cost."
)
_PER_TOKEN = 5
"""Characters a token of a reply, rather too many."""
_REQUEST = 400
"""Characters of a request."""
_TRIAL = ("Hello.", "Hello! How can I help you today?")


class Named(Protocol):
    """Settings that name a judge at an address."""

    @property
    def judge_url(self) -> str: ...
    @property
    def judge_model(self) -> str: ...
    @property
    def judge_key(self) -> str: ...
    @property
    def judge_calls(self) -> int: ...
    @property
    def judge_price(self) -> float: ...


class Second:
    """Asks the judge, and keeps what it said."""

    def __init__(self, settings: Named, kept: Kept) -> None:
        """Take what the settings name, and where verdicts are kept.

        Raises:
            SteeringError: A wrong address, model or variable, or an address that the page may not ask.
        """
        url = settings.judge_url.strip()
        check_address(url)
        self.endpoint = Endpoint(url, settings.judge_model, settings.judge_key)
        self._allowed, self._price, self._kept = settings.judge_calls, settings.judge_price, kept

    def allow(self, calls: int, reply_tokens: int, remedy: str) -> None:
        """Raise where a run may take more calls than are allowed.

        Args:
            calls: The most replies that are judged, and one to try the judge out.
            reply_tokens: The most tokens of a reply.
            remedy: How to need fewer.

        Raises:
            SteeringError: With their number and what they come to.
        """
        if calls > self._allowed:
            told = self.endpoint.told(calls, _REQUEST + _PER_TOKEN * reply_tokens, self._price)
            raise SteeringError(
                f"The second judge may take {told}. {self._allowed:,} calls are allowed.",
                f"judge_calls={calls} or more, so that nothing is asked that nobody has agreed to.",
                f"Allow them, or {remedy}.",
            )

    def try_out(self) -> None:
        """Ask once about a greeting, so that a wrong address is known before the model has worked for hours.

        Raises:
            SteeringError: It cannot be asked.
        """
        list(ask_endpoint(self.endpoint, *([each] for each in _TRIAL)))

    def judge(self, job: Job[Any], requests: Sequence[str], replies: Sequence[str]) -> list[bool | None]:
        """Whether each reply refuses; None without a verdict. What is known is not asked again."""
        pairs = list(zip(requests, replies, strict=True))
        missing = [pair for pair in dict.fromkeys(pairs) if self._key(*pair) not in self._kept]
        for done, found in enumerate(ask_endpoint(self.endpoint, *zip(*missing, strict=True)) if missing else (), 1):
            self._kept[self._key(*missing[done - 1])] = {"refuses": found}
            job.report(done, len(missing), f"asking {self.endpoint.model}")
        return [self.known(*pair) for pair in pairs]

    def known(self, request: str, reply: str) -> bool | None:
        """What it said of a reply; None where it had no verdict, or was not asked yet."""
        found: Mapping[str, bool | None] = self._kept.get(self._key(request, reply), {})
        return found.get("refuses")

    def _key(self, request: str, reply: str) -> str:
        return digest("judge", self.endpoint.url, self.endpoint.model, request, reply)
