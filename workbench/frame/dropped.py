"""An exported file that is dropped on a page: its run is opened where it is kept here, else its settings are shown."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from steering.confines import confined
from steering.errors import SteeringError
from steering.origins.carriers import HEAD, read_origin
from steering.origins.origin import Origin
from steering.studies import find_study
from steering.studies.again import settings_of
from workbench.bench import Workbench
from workbench.page.kept_view import RUN
from workbench.page.links import missing_here
from workbench.page.markup import error_card


_LONGEST_NAME = 300


def drop_function(bench: Workbench) -> Callable[..., Any]:
    """The function of the server that `assets/look` calls with a file's head.

    Args:
        bench: Of the page.
    """

    def dropped(given: Any) -> dict[str, str]:
        """Where to go, {"go": address}, or why nowhere, {"card": markup}."""
        try:
            with confined(bench.confines):
                return {"go": address_of(bench, read_origin(*_file(given)))}
        except SteeringError as error:
            return {"card": error_card(error)}

    return dropped


def address_of(bench: Workbench, origin: Origin) -> str:
    """The page's address that shows a run, or its settings in the form of its panel.

    Raises:
        SteeringError: No panel here is one of its study, or a setting is wrong.
    """
    kept = _kept(bench, origin)
    if kept:
        return kept
    kind = find_study(origin.study).settings
    panels = bench.catalogue.panels
    panel = next((each.id for each in panels if each.settings and issubclass(kind, each.settings)), None)
    if panel is None:
        raise SteeringError(
            f"The file is of a run of '{origin.study}', for which there is no page here.",
            "a run of one of the pages.",
            "Run it on the command line: workbench run FILE.",
        )
    said = (f"The settings are those of {origin.title}.", *missing_here(bench, origin))
    return f"./{panel}?take={bench.sent.put(settings_of(origin), said)}"


def _kept(bench: Workbench, origin: Origin) -> str:
    """The address of the run where it is kept here and has a page; "" where it is not."""
    try:
        run = bench.workspace.runs.get(origin.run)
    except SteeringError:
        return ""
    known = {panel.id for panel in bench.catalogue.panels}
    return f"./{run.panel}?{RUN}={run.id}" if run.panel in known else ""


def _file(given: Any) -> tuple[str, bytes]:
    """Name and head of the file that the script sent; never trusted.

    Raises:
        SteeringError: Something else was sent.
    """
    name, data = (given.get("name"), given.get("data")) if isinstance(given, Mapping) else (None, None)
    try:
        if not isinstance(name, str) or not isinstance(data, str) or len(data) > 2 * HEAD:
            raise ValueError
        return name[-_LONGEST_NAME:], base64.b64decode(data, validate=True)[:HEAD]
    except ValueError as error:
        raise SteeringError("The page sent no file.", "a file of the workbench.", "Load the page again.") from error
