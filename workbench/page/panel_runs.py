"""A panel's page as a view of runs: it follows one that goes on, keeps what it showed of it, and shows one again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gradio as gr

from steering.errors import SteeringError
from steering.names import short_name
from steering.vectors.vector import SteeringVector
from workbench.memory import Properties, changed, join_all
from workbench.page.blocks import EVENT, event_of
from workbench.page.cleaning import cleaned
from workbench.page.inputs import text_of
from workbench.page.jobs import Call, Outputs
from workbench.page.kept_view import RUN, named_parts, reopened_html, shown_of, vectors_html
from workbench.page.markup import error_card
from workbench.page.settings import Settings
from workbench.page.visits import query_of, visitor_of
from workbench.runs.run import Run


if TYPE_CHECKING:
    from workbench.page.context import PanelContext


_EXTRACTION = "extract"


class PanelRuns:
    """Of one panel's page."""

    def __init__(self, ui: PanelContext) -> None:
        self._ui = ui
        self.outputs: dict[Any, None] = {}
        """Components that runs change, in order."""
        self.buttons: set[str] = set()
        """Ids of the buttons that repeat a run."""
        self.settings: Settings | None = None
        """The panel's settings, once it is laid out."""
        self._named: dict[str, Any] = {}
        """What `by_name` gave last."""
        self._laid_out = (0, 0)
        """How many components there were then, which only become more."""

    def go_on(self, event: Any) -> None:
        """Once an event has opened the page, follow the run that its address names, or what the visitor's panel began
        before, where it still goes on.
        """
        if not self.outputs:
            return
        page, live = self._ui.page, self._ui.bench.live
        passing = (page.picked, page.drawn, page.go)

        def follow(request: gr.Request) -> Iterator[Outputs]:
            named = query_of(request).get(RUN, "")
            run = live.with_id(named) if named else live.of(visitor_of(request), self._ui.panel)
            if run is None:  # without any update, Gradio would empty all outputs
                yield {self._ui.line: gr.skip()}
                return
            for n, changes in enumerate(run.follow()):
                # What the run picked when it began, its visitor may have changed since.
                yield changes if n else {part: made for part, made in changes.items() if part not in passing}

        event.then(follow, outputs=list(self.outputs), **EVENT)

    def reopened(self, id: str) -> Outputs:
        """What changes on the page that shows a run of the list, as it was shown last.

        Raises:
            SteeringError: There is no such run, or another panel shows it.
        """
        ui = self._ui
        run = ui.workspace.runs.get(id)
        if run.panel != ui.panel:
            raise SteeringError(
                f"The run '{run.title}' is not one of the panel {ui.title}.",
                f"a run that was made here; this one is of {run.panel or 'no panel'}.",
                "Open it from the list of runs.",
            )
        view, parts = ui.workspace.runs.view(id) or {}, self.by_name()
        shown = view["shown"] if isinstance(view.get("shown"), dict) else {}  # a view may come from anybody
        changes = {parts[name]: gr.update(**cleaned(parts[name], shown[name])) for name in shown if name in parts}
        files = [part for part in ui.changed if isinstance(part, gr.DownloadButton)]
        changes |= {part: gr.update(interactive=False) for part in files}  # the run's own line gives all of them
        asked = _asked_on_page(run)
        if self.settings is not None:
            # What a list offers now may be something else than it was then.
            typed = asked.get("settings", view.get("settings"))
            changes |= self.settings.restored(self.settings.typed(typed, changes), {}, self.settings.components)
        if (picked := str(view.get("picked"))) in ui.workspace.names():
            changes[ui.page.picked] = picked
        changes[ui.answers.run] = id
        if ui.notice is not None:
            changes[ui.notice.html] = self._said_of(run, [name for name in shown if name not in parts])
        return changes

    def wire_vectors(self) -> None:
        """Let the vectors of a run that is shown again be put back on the shelf; for the shell."""
        ui = self._ui
        if ui.notice is None or not self.outputs:
            return
        notice = ui.notice.html

        def put_back(event: gr.EventData) -> Outputs:
            run = ui.workspace.runs.get(text_of(event, "run"))
            missing, _ = self._off_the_shelf(run)
            kept = self._vectors_of(run)
            for name in missing:
                ui.workspace.put(kept[name], name)
            return {notice: self._said_of(run)}

        ui.quick(event_of(notice, "vectors"), put_back, outputs=[notice], of_event=True)

    def _said_of(self, run: Run, lost: Sequence[str] = ()) -> str:
        """What is said above a run that is shown again; `lost` are parts that this page has no more."""
        host, again = self._ui.host, str(_asked_on_page(run).get("run", ""))
        model = short_name(host.name) if host is not None else ""
        said = reopened_html(run, lost, again if again in self.buttons else "", model)
        return said + vectors_html(run.id, *self._off_the_shelf(run))

    def _off_the_shelf(self, run: Run) -> tuple[list[str], list[str]]:
        """Of a run's vectors: those that the shelf has no more, and those that are others there by now."""
        shelf, kept = self._ui.workspace, self._vectors_of(run)
        known = {name: vector.digest for name, vector in kept.items()}
        known |= {name: str(digest) for name, digest in run.about.get("vectors", {}).items()}
        there = shelf.digests(known)
        missing = [name for name in known if name not in there and name in kept]
        if missing:  # unless it has another name by now
            named = set(shelf.digests().values())
            missing = [name for name in missing if known[name] not in named]
        return missing, [name for name in there if there[name] != known[name]]

    def _vectors_of(self, run: Run) -> dict[str, SteeringVector]:
        """What a run used, and what an extraction made: its page is about the vector, which lies on the shelf."""
        runs, made = self._ui.workspace.runs, {}
        if run.kind == _EXTRACTION:
            with suppress(SteeringError):  # damaged files; what the list knows stands
                found = runs.result(run.id)
                made = dict(found.vectors) if found is not None else {}
        return {**made, **runs.used(run.id)}

    def typed(self, given: Mapping[Any, Any]) -> dict[str, Any]:
        """What stood in the form of a handler that was given values, as plain data.

        Args:
            given: Component -> value.
        """
        return self.settings.plain(given) if self.settings is not None else {}

    def keep(self, call: Call, view: Properties) -> Outputs:
        """Keep a run that ended; gives what changes on the page.

        Args:
            call: Of the handler.
            view: What it changed.
        """
        join_all(view, changed(call.further))
        picked = view.get(self._ui.page.picked, {}).get("value")
        parts = self.by_name()
        problem = call.record.end({"shown": shown_of(parts, view), "picked": picked})
        if problem is None:
            return {}
        card = view.get(self._ui.errors, {}).get("value", "") + error_card(problem)
        return {self._ui.errors: card}

    def keep_details(self, call: Call, view: Properties) -> None:
        """Keep what clicks on the page of a run open; drawing all of it takes a while, so the page is told first."""
        kept = call.record.id and call.record.problem is None
        if kept and (details := dict(self._ui.answers.kept(view))):
            self._ui.workspace.runs.add_details(call.record.id, details)

    def by_name(self) -> Mapping[str, Any]:
        """What a kept view can hold of the page, by names that another session of the same layout gives too."""
        laid_out = len(self._ui.changed), len(self._ui.redrawn)
        if laid_out != self._laid_out:  # asked for each thing that a click may open, of which there are thousands
            parts = [*self._ui.changed, *self._ui.redrawn]
            self._named = named_parts(part for part in parts if part is not self._ui.errors)
            self._laid_out = laid_out
        return self._named


def _asked_on_page(run: Run) -> dict[str, Any]:
    """What stood in the form when a run began, and which button began it."""
    asked = run.about.get("page")
    return asked if isinstance(asked, dict) else {}
