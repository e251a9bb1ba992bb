"""YAML as its version 1.2 has it, without traps: `no` and dates are texts, aliases are counted, keys stand once."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from steering.errors import SteeringError
from steering.guards import MOST_LEVELS, MOST_YAML_VALUES, check_value, too_large, whole_number


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# The core schema of YAML 1.2 (chapter 10.3.2), decimal numbers only.
_WORDS = {
    "null": (r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    "bool": (r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "int": (r"^[-+]?[0-9]+$", list("-+0123456789")),
    "float": (
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
    "merge": (r"^<<$", ["<"]),
}


class _Loader(_Base):
    """PyYAML's safe loader with the words of YAML 1.2."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}


for _tag, (_pattern, _first) in _WORDS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _integer(loader: Any, node: Any) -> int | str:
    return whole_number(loader.construct_scalar(node))


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
            said = f"the key '{key.value[:60]}' stands twice"
            raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
        seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
    loader.flatten_mapping(node)
    return dict(loader.construct_pairs(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load_yaml(text: str, name: str = "The YAML text") -> Any:
    """What a YAML text says.

    Raises:
        SteeringError: Naming the line: no valid YAML, aliases that stand for too much, nested too deep.
    """
    try:
        _count(text, name)
        value = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark: Any = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
        raise SteeringError(f"{name}{place} is not valid YAML: {what}.", "YAML.", "Mend that line.") from error
    except (ValueError, TypeError, OverflowError, AttributeError) as error:  # keys that are lists, odd tags
        what = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise SteeringError(f"{name} is not valid YAML: {what}.", "YAML.", "Mend the file.") from error
    check_value(name, value)
    return value


def _count(text: str, name: str) -> None:
    """Go through the parser's events and count values, those behind aliases as often as they are meant.

    Raises:
        SteeringError: Too many, too deep, or an alias inside what it stands for.
    """
    sizes: dict[Any, int] = {}
    parts: list[tuple[Any, int]] = []  # open lists and mappings: their anchor, and the count before them
    total = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = parts.pop()
            sizes[anchor] = total - before
        elif isinstance(event, yaml.NodeEvent):
            total += _size(event, sizes, parts, name)
        if isinstance(event, yaml.CollectionStartEvent):
            parts.append((event.anchor, total - 1))
        if len(parts) > MOST_LEVELS:
            raise too_large(
                f"{name}{_line(event)}", "is nested too deep", f"{MOST_LEVELS} levels", "Write it out plainly."
            )
        if total > MOST_YAML_VALUES:
            what, limit = f"comes to {total:,} values with its aliases", f"{MOST_YAML_VALUES:,}"
            raise too_large(f"{name}{_line(event)}", what, limit, "Write it out plainly.")


def _size(event: Any, sizes: dict[Any, int], parts: list[tuple[Any, int]], name: str) -> int:
    """How many values an event stands for."""
    if not isinstance(event, yaml.AliasEvent):
        sizes[event.anchor] = 1
        return 1
    if any(anchor == event.anchor for anchor, _ in parts):
        raise SteeringError(
            f"{name}{_line(event)} *{event.anchor} stands inside what it stands for.", "texts.", "Mend that line."
        )
    return sizes.get(event.anchor, 1)


def _line(event: Any) -> str:
    return f", line {event.start_mark.line + 1},"
