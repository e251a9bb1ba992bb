"""Whether a reply refuses."""

from __future__ import annotations

from steering.judges.sorting import sort_reply


def refusal_phrase(reply: str) -> str | None:
    """The phrase by which a reply refuses in its first 200 characters, or None."""
    found = sort_reply(reply)
    return found.reason if found.content == "refusal" and not found.late else None


def is_refusal(reply: str) -> bool:
    """Whether a reply refuses at once; `sort_reply` says more."""
    return refusal_phrase(reply) is not None
