"""A study without a panel."""

from __future__ import annotations

from pydantic import BaseModel, Field

from steering import Host, Job
from steering.studies.study import Measure, Result, Study


class CountSettings(BaseModel):
    """What can be set."""

    times: int = Field(1, ge=1, description="How often the blocks are counted.")


def run(host: Host, settings: CountSettings, job: Job[Result]) -> Result:
    """Count the blocks."""
    total = settings.times * host.info.blocks
    return Result.of("count-blocks", host, settings, measures=[Measure("blocks", total, None, None, settings.times)])


COUNT = Study("count-blocks", "Count blocks", "How many blocks a model has.", CountSettings, run)
