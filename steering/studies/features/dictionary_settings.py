"""Settings that the studies of dictionaries share."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from steering.bounds import LARGEST_SEED, Place
from steering.dictionaries.loading import check_source
from steering.model.chat_settings import CHAT, ChatSettings
from steering.model.host import Host
from steering.studies.features.chosen import DICTIONARY, check_written, source_of
from steering.studies.features.sources import KINDS, Sources, sources_of
from steering.studies.setting_kinds import ContrastSource, TextSource, once, typed_list


MOST_FEATURES = 200
"""How many features may be named, shown or tried, at most."""
READ_AS = "How texts are read: " + "; ".join(f"{kind}: {says}" for kind, says in KINDS.items()) + "."
"""What a setting says that names kinds of reading."""
FIRST_TOKEN: bool = Field(
    False, description="Whether each text's first token is read too; its state is often many times as long."
)


def _counted(given: tuple[int, ...]) -> tuple[int, ...]:
    if len(given) > MOST_FEATURES or any(each < 0 for each in given):
        raise ValueError(f"at most {MOST_FEATURES} numbers from 0 are expected")
    return once(given)


FeatureNumbers = Annotated[tuple[Place, ...], BeforeValidator(typed_list), AfterValidator(_counted)]
"""Features by number, each once."""


class DictionarySettings(BaseModel):
    """Which dictionary, on which terms."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    writes: ClassVar[bool] = False
    """Whether states are written by the features."""

    dictionary: str = Field("", description=DICTIONARY)
    check_place: bool = Field(
        True, description="Whether a dictionary is refused that fits another place better than the one that it names."
    )
    seed: int = Field(0, ge=0, le=LARGEST_SEED, description="Of all random draws and the bootstrap.")
    chat: ChatSettings | None = Field(None, description=CHAT)

    def check(self, host: Host) -> None:
        """Refuse a dictionary that is not there, before anything is read.

        Raises:
            SteeringError: As `source_of` and `check_source`, and as `check_written` where states are written.
        """
        check_source(source_of(host, self.dictionary))
        if self.writes:
            check_written(host, self.dictionary)


class TextsSettings(DictionarySettings):
    """A dictionary, and whose texts are read."""

    contrast: ContrastSource = Field("harm", description="A contrast set whose texts are read; none where empty.")
    own_texts: TextSource = Field("", description="A list of texts that are read too, or instead.")
    texts_n: int = Field(100, ge=2, le=100_000, description="The most texts of the list, and of each side of the set.")

    def sources(self, host: Host) -> Sources:
        """The texts.

        Raises:
            SteeringError: As `sources_of`.
        """
        return sources_of(host, contrast=self.contrast, texts=self.own_texts, most=self.texts_n)
