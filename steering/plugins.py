"""What installed packages add: extraction methods, operations, judges, measures, training losses, question layouts,
probing templates, studies and panels, all through one door.

A package names what it offers in an entry-point group, `steering_workbench.methods` and so on; each `Registry` takes
those of its kind beside its own. Packages are imported when somebody first asks for what is not the project's own, so
that a package that imports the library is not imported while it imports it. What is broken becomes a `Problem`, which
stops nothing. Set `STEERING_WORKBENCH_PLUGINS=off` to leave all of it out.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, metadata
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from steering.errors import SteeringError


T = TypeVar("T")
SWITCH = "STEERING_WORKBENCH_PLUGINS"
"""Environment variable; "off" leaves out what packages and folders add."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,59}")


@dataclass(frozen=True)
class Kind:
    """One kind of thing that a package can add."""

    group: str
    """Of its entry points."""
    title: str
    """In a sentence, such as "extraction method"."""
    home: str = ""
    """Its registry, as "module:name"."""


KINDS: Mapping[str, Kind] = {
    "panel": Kind("steering_workbench.panels", "panel"),
    "study": Kind("steering_workbench.studies", "study", "steering.studies:STUDIES"),
    "method": Kind("steering_workbench.methods", "extraction method", "steering.extraction:METHODS"),
    "operation": Kind("steering_workbench.operations", "operation", "steering.recipes.modes:MODES"),
    "judge": Kind("steering_workbench.judges", "judge", "steering.judges.further:JUDGES"),
    "measure": Kind("steering_workbench.measures", "measure", "steering.studies.tradeoff.measures:MEASURES"),
    "loss": Kind("steering_workbench.losses", "training loss", "steering.training.losses:LOSSES"),
    "layout": Kind("steering_workbench.layouts", "question layout", "steering.texts.layouts:LAYOUTS"),
    "template": Kind(
        "steering_workbench.templates", "probing template", "steering.studies.probing.templates:TEMPLATES"
    ),
}
"""Everything that packages can add, by the word that `workbench plugins` uses."""


@dataclass(frozen=True)
class Plugin:
    """One thing that an installed package says it adds."""

    kind: str
    """A key of `KINDS`."""
    name: str
    point: EntryPoint

    @property
    def package(self) -> str:
        """Name and version of the package, such as "acme-methods 1.2"."""
        made = self.point.dist
        return f"{made.name} {made.version}" if made is not None else "an unnamed package"

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        return f"entry point {self.name} ({self.point.value}) of {self.package}"


@dataclass(frozen=True)
class Problem:
    """Something that was found and cannot be used."""

    source: str
    """Module, entry point or file."""
    error: SteeringError
    """What is wrong with it and what to do."""
    kind: str = "panel"


def allowed() -> bool:
    """Whether packages and folders may add anything."""
    return os.environ.get(SWITCH, "").lower() not in ("off", "0", "false", "no")


def entry_points(group: str) -> EntryPoints:
    """What installed packages offer in a group."""
    offered: EntryPoints = _all_offered(tuple((place, _changed(place)) for place in sys.path)).select(group=group)
    return offered


@lru_cache(maxsize=1)
def _all_offered(places: tuple[tuple[str, int], ...]) -> Any:
    """Read once for all groups, since that is a file of every package, until something is installed or removed."""
    return metadata.entry_points()


def _changed(place: str) -> int:
    """When a folder in which packages are looked for was changed; 0 where there is none."""
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:
        return 0


def found(kind: str) -> tuple[Plugin, ...]:
    """What installed packages say they add of a kind, in the order of their names; nothing of it is imported."""
    if not allowed():
        return ()
    points = sorted(entry_points(group=KINDS[kind].group), key=lambda point: (point.name, point.value))
    return tuple(Plugin(kind, point.name, point) for point in points)


def fetched(source: str, fetch: Callable[[], Any], what: str) -> Any:
    """What somebody else's module offers.

    Args:
        source: Where it comes from.
        fetch: Imports it.
        what: What it is to be, such as "panel".

    Raises:
        SteeringError: It cannot be imported.
    """
    try:
        return fetch()
    except SteeringError:
        raise
    except (Exception, SystemExit) as error:  # a third party's module may raise anything while it is imported
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise SteeringError(
            f"The {what} from {source} failed to load: {type(error).__name__}: {error} "
            f"({Path(where.filename).name}, line {where.lineno}).",
            f"a module that imports cleanly and offers the {what}.",
            "Mend it, or remove the package; everything else works without it.",
        ) from error


def offered(found: Any, name: str) -> Any:
    """What a module, class or object offers: the module's variable of a name, the class's instance, or the object."""
    if isinstance(found, type):
        return found()
    return getattr(found, name) if isinstance(found, ModuleType) and hasattr(found, name) else found


def taken(what: str, name: str, first: str, second: str) -> SteeringError:
    """The refusal of a second thing of a name, which names both."""
    return SteeringError(
        f"Two {what}s have the name '{name}': {first} is used, {second} is not.",
        f"a name of its own for every {what}.",
        "Rename or remove one of them.",
    )


class Registry(Mapping[str, T], Generic[T]):
    """All things of a kind by name: the project's own first, then those of packages, in the order of their names."""

    def __init__(self, kind: str, read: Callable[[str, Any], T], own: Mapping[str, T] | None = None) -> None:
        """Begin with the project's own.

        Args:
            kind: A key of `KINDS`.
            read: Called with a name and what a package offers under it; gives the thing, or raises a `SteeringError`.
            own: The project's own.
        """
        self.kind = kind
        self.own: dict[str, T] = dict(own or {})
        """The project's own, which can be asked for while modules are imported."""
        self._read = read
        self._others: dict[str, tuple[T, Plugin]] | None = None
        self._problems: list[Problem] = []
        self._lock = threading.RLock()

    def __getitem__(self, name: str) -> T:
        return self.own[name] if name in self.own else self._loaded()[name][0]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._loaded()

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self._loaded()

    def __len__(self) -> int:
        return len(self.own) + len(self._loaded())

    def add(self, name: str, value: T) -> T:
        """Add one of the project's own."""
        self.own[name] = value
        return value

    def look_again(self) -> None:
        """Forget what packages offered, so that one that was installed meanwhile is found."""
        _all_offered.cache_clear()
        with self._lock:
            self._others, self._problems = None, []

    @property
    def plugins(self) -> dict[str, Plugin]:
        """Where those of packages come from, by name."""
        return {name: plugin for name, (_, plugin) in self._loaded().items()}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What packages offer and cannot be used."""
        self._loaded()
        return tuple(self._problems)

    def _loaded(self) -> dict[str, tuple[T, Plugin]]:
        with self._lock:
            if self._others is None:
                self._others, self._problems = {}, []  # what a package sees that asks while it is imported
                for plugin in found(self.kind):
                    try:
                        self._others[plugin.name] = self._taken(plugin), plugin
                    except SteeringError as error:
                        self._problems.append(Problem(plugin.source, error, self.kind))
            return self._others

    def _taken(self, plugin: Plugin) -> T:
        """What a package offers, checked.

        Raises:
            SteeringError: It cannot be imported, is none of its kind, or has a name that is taken.
        """
        title, name = KINDS[self.kind].title, plugin.name
        if name in self.own or name in (self._others or {}):
            known = self._others or {}
            first = known[name][1].source if name in known else "the workbench's own"
            raise taken(title, name, first, plugin.source)
        if not _NAME.fullmatch(name):
            raise SteeringError(
                f"The {title} from {plugin.source} is named '{name[:80]}'.",
                "lower-case letters, digits, hyphens and underscores, a letter first.",
                "Rename the entry point.",
            )
        offered = fetched(plugin.source, plugin.point.load, title)
        return fetched(plugin.source, lambda: self._read(name, offered), title)


def of_class(kind: str, wanted: type[T]) -> Callable[[str, Any], T]:
    """A `read` for a registry that takes instances of one class as they are.

    Args:
        kind: A key of `KINDS`.
        wanted: The class.
    """

    def read(name: str, offered: Any) -> T:
        if isinstance(offered, wanted):
            return offered
        raise SteeringError(
            f"The {KINDS[kind].title} '{name}' is a {type(offered).__name__}.",
            f"a {wanted.__module__}.{wanted.__qualname__}.",
            "Mend the package, or remove it; everything else works without it.",
        )

    return read


def registries() -> dict[str, Registry[Any]]:
    """Every registry by its kind; panels have none, since they know a screen."""
    homes = {kind: each.home.partition(":") for kind, each in KINDS.items() if each.home}
    return {kind: getattr(import_module(module), name) for kind, (module, _, name) in homes.items()}


def problems() -> tuple[Problem, ...]:
    """Everything that packages offer beside panels and that cannot be used."""
    return tuple(each for registry in registries().values() for each in registry.problems)
