"""Opening a page: everything on it in one event, as it stood when its visitor left it.

In this order, what comes later going before: what handlers showed last (kept by the server, for the visitor), what was
typed (kept by the browser, or named in the address), what another panel sent; then all that follows the model, the
shelf and the picked vector is drawn from these.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from pydantic import BaseModel

from steering.confines import confined
from steering.errors import SteeringError
from workbench.bench import Workbench
from workbench.frame.look import Look
from workbench.memory import joined, properties
from workbench.page.blocks import EVENT, URGENT, unique
from workbench.page.context import PanelContext
from workbench.page.kept_view import RUN
from workbench.page.links import RECIPE, linked, said_html
from workbench.page.markup import error_card
from workbench.page.settings import Settings
from workbench.page.state import PageState
from workbench.page.visits import query_of, visitor_of


# A page that is loaded again shall not ask for what it has taken already.
_TAKEN = """() => {
  const query = new URLSearchParams(location.search);
  if (!query.has('take') && !query.has('recipe')) return;
  query.delete('take');
  query.delete('recipe');
  history.replaceState(history.state, '', location.pathname + '?' + query + location.hash);
}"""


_log = logging.getLogger(__name__)
_NEVER = object()


def place_opening(
    bench: Workbench,
    state: PageState,
    contexts: Sequence[PanelContext],
    kept: Settings | None,
    look: Look,
    load: Callable[..., Any],
) -> None:
    """Wire what happens when a page is opened.

    Args:
        bench: The workbench.
        state: The page's own states.
        contexts: Of its parts, in the order in which they are drawn; the panel's is last.
        kept: The panel's settings; None on the start page.
        look: What is drawn of the model, and what was seen of it and the shelf; with all that it changes.
        load: The page's `load`.
    """
    panel = contexts[-1]
    takers = panel.takers if kept else []
    parts = [*(kept.components if kept else ()), *([kept.dropped] if kept else ())]
    parts += [part for each in contexts for part in (*each.changed, *each.redrawn)]
    parts += [part for taker in takers for part in taker.outputs]
    parts += [panel.answers.run] if panel.answers.run.is_rendered else []
    parts += [panel.errors] if kept else []  # where the address names a run that is not there
    outputs = unique([*parts, state.picked, state.followed, state.drawn, *look.outputs])

    def opened(request: gr.Request, *known: Any) -> dict[Any, Any]:
        memory, visitor, query = bench.memory, visitor_of(request), query_of(request)
        again, problem = _reopened(panel, query)
        shown = {} if again else memory.of(visitor, panel.panel)
        page = _Page({part: last for part, last in shown.items() if part in outputs})
        page.change({state.picked: memory.value(visitor, "", "picked")})
        followed = memory.value(visitor, panel.panel, "followed", _NEVER)
        page.change({state.followed: None if followed is _NEVER else followed})
        own = followed is _NEVER and bool(kept and known[0])  # the server was started anew: what was typed goes on
        if kept:
            page.change(kept.restored(known[0], query, panel.redrawn) if not again else {})
        page.change(again)
        with confined(bench.confines):
            settings, note, wrong = _sent(panel, bench, query) if takers else (None, "", {})
            if settings is not None:
                own = True
                wrong = {**wrong, **_taken(page, panel, settings)}
            page.change(look.draw())
            for context in contexts:
                if context is panel and own:  # the picked vector is not to replace the one that stands here
                    page.change({state.followed: page.value(state.picked)})
                page.draw(context, visitor)
        page.change({**problem, **wrong})
        if note and panel.notice is not None:
            page.change({panel.notice.html: note})
        page.change({part: again[part] for part in again if panel.notice and part is panel.notice.html})
        memory.keep(visitor, panel.panel, {"followed": page.value(state.followed)})
        seen = (state.model_seen, state.shelf_seen, state.picked)
        page.change({state.drawn: tuple(map(page.value, seen))})
        return {part: gr.update(**changed) for part, changed in page.changes.items() if part in outputs}

    event = load(opened, inputs=[kept.state] if kept else [], outputs=outputs, **EVENT)
    panel.runs.go_on(event)
    if takers:
        event.then(None, js=_TAKEN, **URGENT)


def _sent(
    panel: PanelContext, bench: Workbench, query: Mapping[str, str]
) -> tuple[BaseModel | None, str, Mapping[Any, Any]]:
    """What the address brings for the panel's form, what is said of it, and what changes where it cannot be read."""
    if RECIPE not in query:
        taken = bench.sent.taken(query.get("take", ""))
        return (taken.settings, said_html(taken.said), {}) if taken else (None, "", {})
    try:
        found = linked(panel, query[RECIPE])
    except SteeringError as error:
        return None, "", {panel.errors: error_card(error)}
    return found.settings, said_html(("The prompt and the recipes come from a link.", *found.notes)), {}


def _taken(page: _Page, panel: PanelContext, settings: BaseModel) -> Mapping[Any, Any]:
    """Give the panel what was sent; what changes beside it where it cannot take all of it."""
    try:
        for taker in panel.takers:
            page.change(taker.take(settings) if isinstance(settings, taker.kind) else {})
    except SteeringError as error:
        return {panel.errors: error_card(error)}
    return {}


def _reopened(panel: PanelContext, query: Mapping[str, str]) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    """What changes where the address names a run, and what does where that cannot be shown; nothing of both else."""
    if RUN not in query or not panel.panel:
        return {}, {}
    try:
        return panel.runs.reopened(query[RUN]), {}
    except SteeringError as error:
        return {}, {panel.errors: error_card(error)}


class _Page:
    """What a page shows while it is put together: component -> changed properties."""

    def __init__(self, changes: dict[Any, dict[str, Any]]) -> None:
        self.changes = changes

    def change(self, changes: Mapping[Any, Any]) -> None:
        for part, change in changes.items():
            self.changes[part] = joined(part, self.changes.get(part, {}), properties(change))

    def value(self, part: Any) -> Any:
        """The value that a component has by now."""
        return self.changes.get(part, {}).get("value", part.value)

    def given(self, part: Any) -> Any:
        """The value as a handler gets it."""
        value = self.value(part)
        return part.given(value) if getattr(part, "is_setting", False) else value

    def draw(self, context: PanelContext, visitor: str) -> None:
        """Draw all that follows the model, the shelf and the picked vector."""
        for watch in context.watches:
            if not watch.follows:
                continue
            try:
                given = {name: self.given(part) for name, part in watch.inputs.items()}
                given |= {"visitor": visitor} if watch.of_visitor else {}
                self.change(context.noted(visitor, watch.call(**given)))
            except SteeringError:  # said when somebody asks for it
                continue
            except Exception:  # a third party's panel must not keep the frame from being drawn
                _log.exception("%s could not be drawn", context.title)
