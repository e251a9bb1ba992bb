"""A vector made anew by another method: the same contrast set, read as it was read then."""

from __future__ import annotations

from typing import Any

from steering.errors import SteeringError
from steering.extraction.extract import extract
from steering.model.chat_settings import ChatSettings
from steering.model.host import Host
from steering.passes.pooling import parse_pooling
from steering.texts.contrast import ContrastSet
from steering.texts.system_prompts import renderable
from steering.vectors.vector import SteeringVector


def extract_again(host: Host, vector: SteeringVector, method: str, *, name: str) -> SteeringVector:
    """The vector's contrast set read as it was read then, with another method.

    Raises:
        SteeringError: The contrast set is not at hand, or has changed since.
    """
    made = vector.provenance
    if "chat" in made.settings:
        host = host.under(ChatSettings.model_validate(made.settings["chat"]))
    try:
        contrast, _ = renderable(host, ContrastSet.load(made.contrast))
    except SteeringError as error:
        contrast, why = None, error
    if contrast is None or contrast.digest != made.contrast_digest:
        raise SteeringError(
            f"'{vector.name}' was extracted from the contrast set '{made.contrast}', which is not at hand"
            f"{'' if contrast is None else ' as it was then'}.",
            "a vector from one of the sets that ship with the workbench.",
            "Extract it with each method under Vectors, and take those vectors.",
        ) from (why if contrast is None else None)
    reading: dict[str, Any] = {
        name: made.settings[name] for name in ("system", "generation_prompt") if name in made.settings
    }
    if made.settings.get("reply_tokens"):
        reading["reply_tokens"] = made.settings["reply_tokens"]
    return extract(
        host,
        contrast,
        method=method,
        site=vector.site,
        pooling=parse_pooling(made.pooling),
        seed=made.seed,
        name=name,
        **reading,
    )
