"""Studies of preference pairs ask for them alike."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from steering.model.host import Host
from steering.studies.setting_kinds import PreferenceSource
from steering.texts.preferences import preferences_on


class OfPairs(BaseModel):
    """Settings of a study of preference pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: PreferenceSource = Field(
        "", description="Pairs: prompt, chosen, rejected. Empty: those of the demo grammar, on demo models."
    )

    def on(self, host: Host) -> Self:
        """With the data that is meant.

        Raises:
            SteeringError: None is named for a model that is no demo model.
        """
        return self.model_copy(update={"data": preferences_on(host, self.data)})
