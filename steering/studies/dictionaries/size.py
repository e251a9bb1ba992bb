"""How much a training will do, from its settings."""

from __future__ import annotations

from steering.model.host import Host
from steering.studies.dictionaries.settings import TrainingSettings
from steering.studies.size import Size, Work


_TOKENS = 40
"""Of a usual text."""


def size_of(host: Host, settings: TrainingSettings, *, models: int = 1) -> Size:
    """Texts that are read, and steps.

    Args:
        host: The model.
        settings: Of the training.
        models: How many models read each text.
    """
    texts = round(settings.tokens * (1 + settings.held_out) / _TOKENS)
    works = (Work("readings", models * texts, _TOKENS), Work("steps", settings.steps, 0))
    return Size(works, keeps=bool(settings.dictionaries.strip()))
