"""What a panel gets while it lays out its controls: the shelf, the model, and ways to reach the model thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import gradio as gr
from pydantic import BaseModel

from steering.confines import confined
from steering.errors import SteeringError
from steering.studies.steer import SteerSettings
from workbench.bench import Workbench
from workbench.page.answers import Answers
from workbench.page.blocks import EVENT, URGENT, html_block, options_of, several, unique
from workbench.page.choices import Choices
from workbench.page.jobs import Call, Handler, Outputs, stop_job
from workbench.page.markup import error_card
from workbench.page.notice import Notice
from workbench.page.panel_runs import PanelRuns
from workbench.page.running import Wired, steps
from workbench.page.sending import Sendable, Sending
from workbench.page.state import PageState, Taker
from workbench.page.visits import visitor_of
from workbench.page.watches import Watch, wire_watches


_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from steering.model.host import Host
    from workbench.workspace import Workspace
_IN_SIGHT = """
watch('value', () => setTimeout(() => {
  element.querySelector('.sw-error')?.scrollIntoView({behavior: 'smooth', block: 'nearest'});
}, 50));
"""
"""An error card comes into sight: the button that was pressed may stand at the other end of a long form."""


class PanelContext:
    """Handed to `Panel.build`.

    A handler is a generator `handler(call, **values)`. It submits a job through `steering`, reads `call.follow(job)`
    and yields mappings from component to new value; what it leaves out stays. Progress, Stop, the queue and error cards
    are done for it.
    """

    def __init__(self, bench: Workbench, page: PageState, title: str, panel: str = "") -> None:
        self.bench = bench
        self.page = page
        self.title = title
        self.panel = panel
        """The panel's id; empty for parts of the page that are no panel."""
        self.line = html_block("", elem_classes="sw-line", render=False)
        """The panel's line in the job strip; the shell places it."""
        self.job_id = gr.State(None, render=False)
        self._runs = False
        self._stop = gr.Button("Stop", size="sm", elem_classes="sw-stop", min_width=0, render=False, interactive=False)
        self.errors = html_block("", elem_classes="sw-errors", js_on_load=_IN_SIGHT, render=False)
        """The panel's error card; `error_slot` places it."""
        self._errors_placed = False
        self.notice = Notice(bench, panel) if panel else None
        """What stands above the panel; the shell places it."""
        self.changed: dict[Any, None] = {}
        """Components that handlers change, in order."""
        self.answers = Answers(self)
        """What can be asked of a run, also of one that is shown again."""
        self.choices = Choices(self)
        """What clicks open that need what a run left."""
        self.sending = Sending(self)
        """What goes to other panels."""
        self.runs = PanelRuns(self)
        """What the panel's page follows, keeps and shows again."""
        self.takers: list[Taker] = []
        """What takes a prompt with recipes that another panel sent."""
        self.watches: list[Watch] = []
        self.redrawn: dict[Any, None] = {}
        """Components that watches change: their choices or range may depend on the model or the shelf."""

    @property
    def host(self) -> Host | None:
        """The loaded model, None while there is none."""
        return self.bench.host

    @property
    def workspace(self) -> Workspace:
        """Where vectors are kept: of whoever asks, so ask for it in each event, and keep nothing of it between two."""
        return self.bench.workspace

    def error_slot(self) -> None:
        """Place the panel's error card here; for a panel that never asks, the shell places it below everything else."""
        if not self._errors_placed:
            self.errors.render()
            self._errors_placed = True

    def on(
        self,
        trigger: Callable[..., Any] | Sequence[Callable[..., Any]],
        handler: Handler,
        *,
        inputs: Mapping[str, gr.components.Component] | None = None,
        outputs: Sequence[Any] = (),
        run: Sequence[gr.Button] = (),
        stop: gr.Button | None = None,
        again: gr.Button | None = None,
        title: str | None = None,
    ) -> None:
        """Wire an event that needs the model.

        Args:
            trigger: The event, such as `button.click`, or several.
            handler: See the class.
            inputs: Argument name -> component.
            outputs: Every component that the handler may change.
            run: Buttons to disable while it runs.
            stop: A Stop button of the panel's own, beside the one in the job strip.
            again: The button that repeats a kept run of it; the first of `run` by default.
            title: What is being done, for messages; the panel's title by default.
        """
        if not self._runs:  # a part of the page that runs nothing costs no line and no Stop
            self._runs = True
            self.job_id.render()
            self._wire_stop(self._stop)
        stops = [self._stop, *([stop] if stop is not None else [])]
        _mark("sw-key-run", run)
        _mark("sw-key-stop", stops)
        again = again or next(iter(run), None)
        wired = Wired(handler, inputs or {}, outputs, run, stops, str(again.elem_id or "") if again else "")

        def handle(request: gr.Request, *values: Any) -> Iterator[Outputs]:
            call = Call(self.bench, title or self.title, visitor=visitor_of(request), panel=self.panel)
            asked: dict[str, Any] = {"visitor": call.visitor, "panel": self.panel}
            asked["of"] = lambda: (call.job, call.record.id)
            try:
                self.bench.check_room()
                begun = self.bench.live.begin(steps(self, wired, call, values), **asked)
            except SteeringError as error:
                yield {self.errors: error_card(error)}
                return
            yield from begun.follow()

        surroundings = [self.line, self.job_id, self.errors, self.page.shelf_seen, *run, *stops]
        surroundings += [self.notice.html] if self.notice is not None else []
        changing = unique([*self._with_drawn(outputs), *surroundings])
        gr.on(several(trigger), handle, inputs=[*wired.inputs.values()], outputs=changing, **EVENT)
        self.runs.outputs.update(dict.fromkeys(changing))
        self.runs.buttons.add(wired.again)
        self.changed.update(dict.fromkeys([*outputs, self.errors]))
        if stop is not None:
            self._wire_stop(stop)

    def quick(
        self,
        trigger: Callable[..., Any] | Sequence[Callable[..., Any]],
        function: Callable[..., Outputs],
        *,
        inputs: Mapping[str, gr.components.Component] | None = None,
        outputs: Sequence[Any] = (),
        of_visitor: bool = False,
        of_event: bool = False,
    ) -> None:
        """Wire an event that needs no model thread; a `SteeringError` becomes the error card.

        Args:
            trigger: The event, such as `button.click`, or several.
            function: `function(**values)` gives what changes.
            inputs: Argument name -> component.
            outputs: Every component that may change.
            of_visitor: Whether the function gets the visitor's number too, as `visitor`.
            of_event: Whether it gets what was clicked, as `event`; see `workbench.page.inputs.text_of`.
        """
        names, components = list(inputs or {}), list((inputs or {}).values())
        errors = self.errors

        def answer(request: gr.Request, values: Sequence[Any], given: Mapping[str, Any]) -> dict[Any, Any]:
            asked = {**dict(zip(names, values, strict=True)), **given}
            asked |= {"visitor": visitor_of(request)} if of_visitor else {}
            try:
                with confined(self.bench.confines):
                    changes = dict(function(**asked))
            except SteeringError as error:
                return {errors: error_card(error)}
            except Exception as error:
                _log.exception("%s failed", self.title)
                return {errors: error_card(error, doing=self.title)}
            changes = self.remembered(visitor_of(request), changes)
            return {**changes, errors: "", self.page.shelf_seen: self.bench.seen}

        def handle(request: gr.Request, *values: Any) -> dict[Any, Any]:
            return answer(request, values, {})

        def handle_event(request: gr.Request, event: gr.EventData, *values: Any) -> dict[Any, Any]:
            return answer(request, values, {"event": event})

        self.changed.update(dict.fromkeys(outputs))
        changed = unique([*self._with_drawn(outputs), errors, self.page.shelf_seen])
        wired = handle_event if of_event else handle
        gr.on(several(trigger), wired, inputs=components, outputs=changed, **options_of(trigger))

    def watch(
        self,
        *triggers: Literal["model", "shelf", "picked"] | Callable[..., Any],
        call: Callable[..., Outputs],
        inputs: Mapping[str, Any] | None = None,
        outputs: Sequence[Any],
        of_visitor: bool = False,
    ) -> None:
        """Redraw something whenever another model stands, the shelf changes, a vector is picked or an event fires.

        The first two also happen when the page opens. The error card stays as it is: `Page` shows what is wrong.

        Args:
            triggers: "model", "shelf", "picked", or events such as `textbox.change`.
            call: `call(**values)` gives what changes.
            inputs: Argument name -> component.
            outputs: Every component that may change.
            of_visitor: Whether `call` gets the visitor's number too, as `visitor`.
        """
        page = self.page
        states = {"model": page.model_seen, "shelf": page.shelf_seen, "picked": page.picked}
        # What is seen of the shelf changes with the model: both would run twice for one change, and when a page opens.
        triggers = tuple(each for each in triggers if each != "model" or "shelf" not in triggers)
        events = [states[each].change if isinstance(each, str) else each for each in triggers]
        follows = any(isinstance(each, str) for each in triggers)
        self.watches.append(Watch(call, inputs or {}, outputs, events, follows, of_visitor))
        self.redrawn.update(dict.fromkeys(outputs))

    def wire_watches(self) -> None:
        """Listen for all that is watched or chosen from lists, once the panel is laid out; for the shell."""
        wire_watches(self.bench, self.page, self.watches, self.noted)
        self.choices.wire()

    def place_send(self, make: Callable[..., SteerSettings], inputs: Mapping[str, Any]) -> None:
        """Place a button for every other panel that takes a prompt with recipes; what a run found is sent with
        `sending.place_found`.

        Args:
            make: `make(**values)` gives what is sent.
            inputs: Argument name -> component.
        """
        self.sending.place(lambda **values: Sendable(make(**values)), inputs)

    def receive(
        self, take: Callable[[Any], Outputs], outputs: Sequence[Any], kind: type[BaseModel] = SteerSettings
    ) -> None:
        """Say what changes when settings come here, from another panel, a link or an exported file.

        Args:
            take: `take(settings)` gives what changes.
            outputs: Every component that may change.
            kind: Of the settings that it takes.
        """
        self.takers.append(Taker(take, outputs, kind))
        self.bench.sent.receives(self.panel, kind)

    def noted(self, visitor: str, changes: Outputs) -> dict[Any, Any]:
        """Changes of a watch, with a note of which vector a recipe took."""
        if self.page.followed in changes:
            self.bench.memory.keep(visitor, self.panel, {"followed": changes[self.page.followed]})
        return dict(changes)

    def remembered(self, visitor: str, changes: Outputs) -> dict[Any, Any]:
        """Keep what a handler changed, for when the page is opened anew; gives the changes."""
        made = dict(changes)
        passing = {self.page.picked, self.page.shelf_seen, self.page.go, self.line, self.job_id, self.errors}
        self.bench.memory.keep(visitor, self.panel, {part: made[part] for part in made if part not in passing})
        if self.page.picked in made:
            self.bench.memory.keep(visitor, "", {"picked": made[self.page.picked]})
            made[self.page.drawn] = None
        return made

    def _with_drawn(self, outputs: Sequence[Any]) -> list[Any]:
        return [*outputs, *([self.page.drawn] if self.page.picked in outputs else [])]

    def reveal(self, trigger: Callable[..., Any], elem_id: str, *, always: bool = False) -> None:
        """Scroll to the element with this id: on a narrow screen, where it begins out of sight above, or always.

        Call it before `on` for the same event, in whose order a browser goes: else it waits for the end of a run.
        """
        when = "true" if always else "innerWidth <= 1100 || found.getBoundingClientRect().top < 0"
        scroll = f"if ({when}) found.scrollIntoView({{behavior: 'smooth', block: 'start'}})"
        script = f"() => {{ const found = document.getElementById({elem_id!r}); {scroll}; }}"
        trigger(None, js=script, **URGENT)

    def place_strip(self) -> None:
        """Place the panel's line and its Stop in the job strip, where it runs anything; for the shell."""
        if not self._runs:
            return
        with gr.Row(elem_classes="sw-strip-row"):
            self.line.render()
            self._stop.render()

    def _wire_stop(self, button: gr.Button) -> None:
        # Not `cancels=`: the job is asked to stop, and its handler then ends by itself and keeps what there is.
        def stop(job_id: int | None) -> None:
            stop_job(self.bench.lane, job_id)

        button.click(stop, inputs=[self.job_id], **URGENT)


def _mark(name: str, buttons: Sequence[gr.Button]) -> None:
    """Let keys find buttons: `assets/keys/keys.js` presses what has this class."""
    for button in buttons:
        button.elem_classes = list(dict.fromkeys([*(button.elem_classes or []), name]))
