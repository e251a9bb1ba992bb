"""What a visitor's panels showed last, so that it stands again when a page is opened anew.

Each panel is a page of its own: going to another one and back lays out the first anew, empty. What its handlers had
changed is therefore kept here, by visitor and component, until the server ends. What somebody typed is kept by the
browser (`workbench.page.settings`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


MOST_VISITORS = 60
"""So many visitors' results are kept; of more, those go first that were here longest ago."""
Changes = Mapping[Any, Any]
"""Component -> value, or `gr.update(...)`."""
Properties = dict[Any, dict[str, Any]]
"""Component -> its changed properties, such as `value`."""


@dataclass(frozen=True)
class Made:
    """Of which model a panel's results are, and since when."""

    model: str
    """Its name."""
    summary: str
    """What the model bar says of it: shape, precision, device."""
    when: datetime
    run: str = ""
    """Id of the run in the list; "" where there is none."""

    def of(self, model: str, summary: str) -> bool:
        """Whether they are of that model."""
        return (self.model, self.summary) == (model, summary)

    def __str__(self) -> str:
        """Such as "demo-base, of 14:05"; with the day where that was not today."""
        day = "" if self.when.date() == datetime.now().date() else "%d %b "
        return f"{self.model}, of {self.when.strftime(f'{day}%H:%M')}"


class Memory:
    """The last state of what panels show, by visitor."""

    def __init__(self) -> None:
        self._visits: OrderedDict[str, dict[str, dict[Any, dict[str, Any]]]] = OrderedDict()
        self._lock = threading.Lock()  # handlers run on threads of their own

    def keep(self, visitor: str, panel: str, changes: Changes) -> None:
        """Take down what a handler changed.

        Args:
            visitor: Who they are; nothing is kept of somebody without a name.
            panel: The panel's id; "" for what belongs to all pages.
            changes: Component -> value or update.
        """
        if not visitor or not changes:
            return
        with self._lock:
            shown = self._visits.setdefault(visitor, {}).setdefault(panel, {})
            self._visits.move_to_end(visitor)
            join_all(shown, changed(changes))
            while len(self._visits) > MOST_VISITORS:
                self._visits.popitem(last=False)

    def forget(self, visitor: str) -> None:
        """A visitor is gone."""
        with self._lock:
            self._visits.pop(visitor, None)

    def of(self, visitor: str, panel: str) -> dict[Any, dict[str, Any]]:
        """What a panel showed last to a visitor: component -> properties that were changed, such as `value`."""
        with self._lock:
            shown = self._visits.get(visitor, {}).get(panel, {})
            return {component: dict(properties) for component, properties in shown.items()}

    def value(self, visitor: str, panel: str, component: Any, default: Any = None) -> Any:
        """The last value of one component."""
        with self._lock:
            return self._visits.get(visitor, {}).get(panel, {}).get(component, {}).get("value", default)


def joined(component: Any, known: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Changed properties with later ones over them; a control that takes changes in parts says how (`joined`)."""
    join = getattr(component, "joined", None)
    return join(known, change) if join else {**known, **change}


def join_all(known: Properties, changes: Properties) -> None:
    """Put changed properties over those that are known, in place."""
    for component, change in changes.items():
        known[component] = joined(component, known.get(component, {}), change)


def changed(changes: Changes) -> Properties:
    """The properties that a handler's changes change."""
    return {component: properties(change) for component, change in changes.items()}


def properties(change: Any) -> dict[str, Any]:
    """The properties of a component that a handler's value or update changes."""
    if isinstance(change, dict) and change.get("__type__") == "update":
        return {name: value for name, value in change.items() if name != "__type__"}
    made = getattr(change, "constructor_args", None)  # Gradio also takes a new component for an update
    if isinstance(made, dict):
        return dict(made)
    return {"value": change}
