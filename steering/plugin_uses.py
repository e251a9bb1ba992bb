"""What a run used of packages: taken down with it, and looked for where it is to be run again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from steering.errors import SteeringError
from steering.plugins import KINDS, registries


def used_by(settings: Any, study: str = "") -> dict[str, str]:
    """What of some settings comes from packages, as `Origin.plugins` keeps it.

    Args:
        settings: As plain data.
        study: Name of the study that they are of.

    Returns:
        Kind and name, such as "method mine" -> package and version, such as "acme-methods 1.2".
    """
    named = set(_texts(settings))
    return {
        f"{plugin.kind} {name}": plugin.package
        for kind, registry in registries().items()
        for name, plugin in registry.plugins.items()
        if (name == study if kind == "study" else name in named)
    }


def missing(plugins: Mapping[str, str]) -> list[str]:
    """A sentence for each thing that a run used of a package that is not here, or is here in another version.

    Args:
        plugins: As `used_by` gave them where the run was made.
    """
    return [said for thing, package in plugins.items() if (said := _missing(thing, package))]


def require(plugins: Mapping[str, str]) -> None:
    """Refuse to go on without the packages that a run used.

    Args:
        plugins: As `used_by` gave them where the run was made.

    Raises:
        SteeringError: Naming the first that is not here.
    """
    for thing, package in plugins.items():
        if _version(package.partition(" ")[0]) is None:
            name, _, number = package.partition(" ")
            raise SteeringError(
                f"The run used the {_titled(thing)} of the package {package}, which is not installed here.",
                "the packages that the run used.",
                f"Install it: pip install {name}=={number}" if number else f"Install {name}.",
            )


def _missing(thing: str, package: str) -> str:
    name, _, number = package.partition(" ")
    here = _version(name)
    if here is None:
        return f"It used the {_titled(thing)} of the package {package}, which is not installed here."
    return f"It used the {_titled(thing)} of {package}; {here} is installed." if number and here != number else ""


def _titled(thing: str) -> str:
    kind, _, name = thing.partition(" ")
    return f"{KINDS[kind].title if kind in KINDS else kind} '{name}'"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except (PackageNotFoundError, ValueError):  # the second for an empty name, which a file may give
        return None


def _texts(value: Any) -> Iterator[str]:
    """Every text among plain data, without recursion into what is nested without end."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            stack += each.values()
        elif isinstance(each, list | tuple):
            stack += each
