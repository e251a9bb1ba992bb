"""Which tokens a write covers."""

from __future__ import annotations

from typing import Literal

from steering.bounds import Place


NamedScope = Literal["all", "reply", "prompt", "last", "generated"]
Scope = NamedScope | tuple[Place, ...]
"""Which tokens are written: a name, or positions of the rendered prompt from 0."""
SCOPES: dict[NamedScope, str] = {
    "all": "every token, prompt and reply",
    "reply": "the last prompt token and every generated token",
    "prompt": "every prompt token",
    "last": "the last prompt token only",
    "generated": "generated tokens only",
}
