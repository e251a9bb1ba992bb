"""Which judge is optimised, which one is held out, and how far."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from steering.bounds import LARGEST_SEED
from steering.errors import SteeringError
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.model.prompts import Message, conversation
from steering.studies.overoptimisation.judges import GRAMMAR, JUDGES, open_requests
from steering.studies.setting_kinds import TextSource
from steering.texts.text_lists import read_texts


class OveroptimisationSettings(BaseModel):
    """Which judge is optimised, which one is held out, and how far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge: str = Field("count:formal", description=f"The judge that is optimised: {JUDGES}.")
    held_out: str = Field("grammar:formal", description="The judge that looks on; any of these.")
    requests: TextSource = Field(
        "", description="Requests; where empty, open ones of the demo grammar for the manner of a grammar judge."
    )
    n_requests: int = Field(48, ge=4, le=2000, description="Requests that are measured on.")
    samples: int = Field(32, ge=2, le=512, description="Samples a request, of which the best of n is taken.")
    loss: str = Field("dpo", description="The loss that a vector is trained with on the judge's choices; none: empty.")
    n_train: int = Field(48, ge=4, le=2000, description="Further requests, whose best and worst samples are the pairs.")
    train_samples: int = Field(8, ge=2, le=64, description="Samples of each of these.")
    steps: int = Field(200, ge=1, le=20_000, description="Of the training, without a budget.")
    points: int = Field(8, ge=2, le=50, description="Points along the training at which both judges are asked.")
    learning_rate: float = Field(0.05, gt=0, le=10, allow_inf_nan=False, description="Of the training.")
    block: int | None = Field(None, ge=0, le=10_000, description="Block that is trained; the middle one where empty.")
    reply_tokens: int = Field(60, ge=4, le=1024, description="The most tokens of a reply.")
    resamples: int = Field(1000, ge=100, le=20_000, description="Draws of requests behind the intervals.")
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of requests, training and the bootstrap.")
    chat: ChatSettings | None = Field(None, description=CHAT)
    kept: str = Field("", description="File that keeps finished parts for another run; none where empty.")

    def asked(self, host: Host) -> tuple[list[tuple[Message, ...]], list[tuple[Message, ...]]]:
        """Requests that are measured on, and those of the training.

        Raises:
            SteeringError: Too few, or none named where no grammar judge says which.
        """
        n = self.n_requests + (self.n_train if self.loss.strip() else 0)
        if self.requests.strip():
            found = [conversation(text) for text in read_texts(self.requests)][:n]
        else:
            named = [name[len(GRAMMAR) :] for name in (self.held_out, self.judge) if name.startswith(GRAMMAR)]
            if not named or not host.info.demo:
                raise SteeringError(
                    "No requests were named.", "a list of texts (requests).", "Name one; the demo grammar has its own."
                )
            found = open_requests(named[0], n, self.seed)
        if len(found) < n:
            raise SteeringError(
                f"{n} requests were wanted, to measure on and to train, of {len(found)}.",
                "as many.",
                "Take fewer (n_requests, n_train), or a longer list.",
            )
        return found[: self.n_requests], found[self.n_requests :]
