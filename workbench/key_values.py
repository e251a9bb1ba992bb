"""`key=value` texts, as people type settings on the command line and the page."""

from __future__ import annotations

from typing import Any

from steering.errors import SteeringError
from steering.yaml_files import load_yaml


def pairs(settings: list[str], *, told: str = "--set", example: str = "seed=1") -> dict[str, Any]:
    """`key=value` texts as a mapping; a value that reads as YAML (a number, a list, true) becomes one. A key with dots,
    such as `chat.thought`, is a place in a mapping of mappings.

    Args:
        settings: The texts.
        told: What they are called where they were typed: an option of the command line, or a field of the page.
        example: One that would be right.

    Raises:
        SteeringError: A text without an equals sign, or a key inside one that has a plain value.
    """
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise SteeringError(f"{told} {setting!r} was given.", "key=value.", f"Write, for example, {example}.")
        *path, last = key.strip().split(".")
        inner = given
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise SteeringError(
                    f"{told} {setting!r} was given beside {part}={inner}.", "one of both.", "Leave one out."
                )
        inner[last] = _value(value)
    return given


def _value(text: str) -> Any:
    """A text as YAML, where it is meant as that: an axis such as `strength: 1` is no mapping."""
    try:
        value = load_yaml(text)
    except SteeringError:
        return text
    return text if isinstance(value, dict | list) and not text.lstrip().startswith(("{", "[")) else value
