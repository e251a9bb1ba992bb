"""Which pages there are, and the links to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradio.routes import INTERNAL_ROUTES

from steering.errors import SteeringError
from workbench.discovery import Catalogue
from workbench.doors.pages import OWN_PATHS, SIGN_OUT
from workbench.page.markup import escape
from workbench.page.terms import glossary_html
from workbench.panel import Panel


@dataclass(frozen=True)
class Place:
    """A page beside the start page."""

    path: str
    """Its address below the workbench's, such as "steer"."""
    title: str
    panel: Panel | None = None
    problem: SteeringError | None = None
    """Why there is no panel."""
    html: str = ""
    """What stands on a page that is no panel's."""


def places_of(catalogue: Catalogue) -> tuple[Place, ...]:
    """A page for every panel in their order, one for each that could not be used, which says why, and the glossary."""
    places: dict[str, Place] = {}
    for panel in catalogue.panels:
        path = _free(panel.id, places)
        places[path] = Place(path, panel.title, panel)
    for problem in catalogue.broken:
        name = _named(problem.source)
        path = _free(re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "panel", places)
        places[path] = Place(path, name, problem=problem.error)
    path = _free("glossary", places)
    places[path] = Place(path, "Glossary", html=glossary_html())
    return tuple(places.values())


def navigation(places: Sequence[Place], here: Place | None, *, signs_in: bool = False) -> str:
    """Links to all pages; relative ones, so that they hold behind a proxy's prefix too.

    Args:
        places: Of the workbench.
        here: The page on which they stand.
        signs_in: Whether visitors sign in, and may sign out.
    """
    links = [_link("./", "Start", here is None)]
    links += [
        _link(f"./{place.path}", place.title, place == here, broken=place.problem is not None) for place in places
    ]
    links += [_link(f".{SIGN_OUT}", "Sign out", False)] if signs_in else []
    return f'<nav aria-label="Pages">{"".join(links)}</nav>{_KEYS}{_THEME}'


_KEYS = '<button type="button" class="sw-keys-open" title="Keys" aria-label="Keys">?</button>'
_THEME = '<button type="button" class="sw-theme" title="Light or dark" aria-label="Light or dark">◐</button>'
THEME_SCRIPT = """
element.querySelector('.sw-theme').addEventListener('click', () => {
  const theme = document.body.classList.toggle('dark') ? 'dark' : 'light';
  localStorage.setItem('sw-theme', theme);
  const query = new URLSearchParams(location.search);
  query.set('__theme', theme);
  history.replaceState(history.state, '', location.pathname + '?' + query + location.hash);
});
"""
"""Of the navigation's block."""


def _link(to: str, title: str, current: bool, *, broken: bool = False) -> str:
    mark = ' aria-current="page"' if current else ""
    name = ' class="sw-broken"' if broken else ""
    return f'<a href="{escape(to)}"{mark}{name}>{escape(title)}</a>'


def _named(source: str) -> str:
    """What a panel without a title of its own is called: the name of its file, entry point or folder."""
    if source.startswith("entry point "):
        return source.split()[2]
    if source.endswith(".py"):
        return Path(source).stem
    *_, folder, name = ("panels", *source.split("."))
    return folder if name == "panel" else name


def _free(path: str, places: dict[str, Place]) -> str:
    """The path, or with a number where another page or Gradio itself has it."""
    taken, number = {*places, *INTERNAL_ROUTES, *OWN_PATHS}, 2
    free = path
    while free in taken:
        free, number = f"{path}-{number}", number + 1
    return free
