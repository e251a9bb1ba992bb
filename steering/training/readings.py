"""What several trainings on the same texts read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steering.lane import Job
from steering.model.host import Host
from steering.model.sites import Place
from steering.passes.forced import Replied
from steering.training.everyday import Everyday
from steering.training.scores import KnownTexts


class Readings:
    """What was read of several groups of texts; it lives as long as its owner. Call on the model thread."""

    def __init__(self) -> None:
        self._known: dict[Any, KnownTexts] = {}
        self._everyday: dict[Any, Everyday] = {}

    def of(
        self, host: Host, texts: Sequence[Replied], *, places: Sequence[Place], job: Job[Any] | None = None
    ) -> KnownTexts:
        """Some texts, read now if they were not before.

        Args:
            host: The model.
            texts: Prompts with replies.
            places: Where plans write.
            job: Told how far it is.
        """
        key = host, tuple((prompt.ids, ids) for prompt, ids in texts), tuple(places)
        if key not in self._known:
            known = KnownTexts(host, texts, places)
            known.read(job)
            self._known[key] = known
        return self._known[key]

    def everyday(self, host: Host, places: Sequence[Place]) -> Everyday:
        """What costs are measured on, read now if it was not before."""
        key = host, tuple(places)
        if key not in self._everyday:
            self._everyday[key] = Everyday(host, places)
        return self._everyday[key]
