"""The models that ship with the project, as their files say: nothing of torch is needed to list them."""

from __future__ import annotations

import json
from typing import Any

from steering.resources import resource


CONFIG = "config.json"
"""The file of every model's folder."""


def demo_models() -> tuple[str, ...]:
    """Names of the models that ship with the project."""
    found = (path for path in resource("assets", "models").iterdir() if (path / CONFIG).exists())
    # A hidden folder is a training run on its way.
    return tuple(sorted(path.name for path in found if not path.name.startswith(".")))


def demo_card(name: str) -> dict[str, Any]:
    """The card of a model that ships with the project: what it is, how it was made, what it scores."""
    return json.loads(resource("assets", "models", name, "card.json").read_text(encoding="utf-8"))
