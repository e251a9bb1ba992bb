"""The contract of a panel: one object that the page, a notebook and a headless command can all use.

A panel names itself, says what it needs of a model, describes its settings as a pydantic model and runs without a
screen. Laying out its own controls is optional: without `build` of its own it gets a form made from its settings.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from steering.errors import SteeringError


if TYPE_CHECKING:
    from steering.lane import Job
    from steering.model.host import Host
    from steering.studies.study import Result

ID = re.compile(r"[a-z][a-z0-9-]*")
"""What a panel's id looks like."""


class Panel(ABC):
    """One page of the workbench.

    A module offers its panel as a variable named `panel`; a package offers it by an entry point in the group
    `steering_workbench.panels`.
    """

    id: str
    """Unique, in lower case, such as "vectors"."""
    title: str
    """The page's name in the navigation, one or two words."""
    summary: str
    """One sentence: what the panel is for."""
    order: float = 100
    """Place among the pages, low numbers first; vectors has 10, steer 20."""
    settings: type[BaseModel] | None = None
    """What `run` takes, with a description and a default for every field; None where there is nothing to set."""
    receives: bool = False
    """Whether other panels can send it a prompt with recipes; `build` takes them with `ui.receive`, a form made
    from the settings in those named `user` or `prompt` and `system` and in those that hold a recipe.
    """
    size: Any = None
    """Optional: `size(host, settings)` counts what a run will do, as a `steering.studies.size.Size`, without touching
    the model; the page says so beside Run, and the command line before it runs.
    """

    def needs(self, host: Host) -> str | None:
        """Why the panel cannot work on this model, as a sentence above the greyed-out panel; None where it can."""
        return None

    @abstractmethod
    def run(self, host: Host, settings: Any, job: Job[Any]) -> Result:
        """Do the panel's work without a screen, on the model thread.

        Args:
            host: The loaded model.
            settings: An instance of `settings`, or None.
            job: For `job.report(done, total, message)`, which also ends the work when a stop was asked for.

        Raises:
            SteeringError: The user can mend it; shown as a card.
        """

    def build(self, ui: Any) -> Any:
        """Lay out the panel's controls and results; without a layout of its own it gets a form made from `settings`.

        Args:
            ui: A `workbench.page.context.PanelContext`, which is not imported here: a headless run needs no Gradio.
        """
        return NotImplemented


def check_contract(panel: Any, source: str) -> Panel:
    """Return `panel` if it keeps the contract.

    Args:
        panel: Whatever a module or entry point offered.
        source: Where it came from, for the message.

    Raises:
        SteeringError: Naming the first thing that is wrong.
    """
    for wrong in _faults(panel):
        raise SteeringError(
            f"The panel from {source} cannot be used: {wrong}",
            "a workbench.panel.Panel with id, title, summary and run(host, settings, job).",
            "Mend the panel, or remove it from where it is found.",
        )
    return panel


def _faults(panel: Any) -> list[str]:
    if not isinstance(panel, Panel):
        return [f"it offers {type(panel).__name__!r}, not an instance of Panel."]
    faults = [f"its {name} is missing." for name in ("id", "title", "summary") if not _text(panel, name)]
    if not faults and not ID.fullmatch(panel.id):
        faults.append(f"its id {panel.id!r} is not made of lower-case letters, digits and hyphens.")
    if not isinstance(panel.order, int | float):
        faults.append("its order is not a number.")
    settings = panel.settings
    if settings is not None and not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        faults.append("its settings are not a pydantic model class.")
    return faults


def _text(panel: Any, name: str) -> bool:
    value = getattr(panel, name, None)
    return isinstance(value, str) and bool(value.strip())
