"""A panel's default layout: a form made from its settings, what a run will do, and a view of its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr
from pydantic import BaseModel

from steering.errors import SteeringError
from steering.lane import Job
from steering.model.host import Host
from steering.origins.origin import LEFT_OUT
from steering.studies.setting_kinds import NoSettings
from steering.studies.size import Size
from steering.studies.steer import SteerSettings
from steering.studies.study import Result, named_vectors, recipes_of
from workbench.controls.default_view import ResultView
from workbench.controls.estimate import place_estimate
from workbench.controls.fields import Fields, Filled, place_fields
from workbench.controls.offers import fitting, vectors_at_hand
from workbench.controls.recipe_settings import RecipeSettings
from workbench.controls.setting_fields import parsed, sections_of, settings_of, shown
from workbench.page.context import PanelContext
from workbench.page.jobs import Call, Outputs, coming
from workbench.runs.run import titled


if TYPE_CHECKING:
    from workbench.panel import Panel

_EMPTY = ("none: the shelf has none for this model", "")


def build_form(panel: Panel, ui: PanelContext) -> None:
    """Lay out `panel` from its settings model."""
    with gr.Row(elem_classes="sw-columns"):
        with gr.Column(elem_classes="sw-left", min_width=0):
            form = PanelForm(panel, ui)
            with gr.Row(elem_classes="sw-actions"):
                run = gr.Button("Run", variant="primary", elem_id=f"{panel.id}-run")
                stop = gr.Button("Stop", interactive=False, elem_id=f"{panel.id}-stop")
                if panel.size is not None:
                    place_estimate(ui, form.size, form.inputs, elem_id=f"{panel.id}-size")
        with gr.Column(elem_classes="sw-right", min_width=0):
            ui.error_slot()
            view = ResultView(ui, panel.id, "Nothing has run yet", f"{panel.summary} Press Run.")
    form.wire()

    def handler(call: Call, **values: Any) -> Iterator[Outputs]:
        settings, vectors = form.settings(values), vectors_at_hand(ui)
        used = {name: vectors[name] for name in named_vectors(settings) if name in vectors}
        host, recipes = call.host, recipes_of(settings)
        call.begins(panel.id, _title(panel, settings), settings, recipes=recipes, vectors=used)
        yield view.begun()
        if panel.size is not None:
            coming(lambda host: form.size(host, **values))
        given = form.given(settings)  # the job holds nothing of the page, since another process may do it
        job: Job[Any] = host.submit(lambda job: panel.run(host, given, job), title=panel.title)
        yield from _followed(call, panel, settings, view, job)

    ui.reveal(run.click, view.elem_id)
    ui.on(run.click, handler, inputs=form.inputs, outputs=view.outputs, run=[run], stop=stop)


def _followed(call: Call, panel: Panel, settings: BaseModel, view: ResultView, job: Job[Any]) -> Iterator[Outputs]:
    """What the page shows while a panel runs, and at its end; a result that it emits is one that is not whole yet."""
    host, part = call.host, None
    for items in call.follow(job):
        part = next((each for each in reversed(items) if isinstance(each, Result)), part)
        if items and part is not None and not job.finished:
            yield view.shown(part, "")
        else:
            yield {}
    if part is not None and job.state != "done":
        call.ends(_of_run(panel, host, settings, part))
        yield view.shown(part, call.record.id)
    found = _checked(panel, job.result())
    call.ends(_of_run(panel, host, settings, found))
    assert call.record.result is not None
    yield view.shown(call.record.result, call.record.id)


class PanelForm:
    """The form of a panel: one control for its settings, and an editor for each recipe among them."""

    def __init__(self, panel: Panel, ui: PanelContext) -> None:
        """Place it."""
        self._panel, self._ui = panel, ui
        self._model = panel.settings or NoSettings
        self._settings = settings_of(self._model)
        self.form = self._place_form()
        self.recipes = RecipeSettings(ui, panel.id, self._model)
        self.inputs: dict[str, Any] = {**({"form": self.form} if self.form else {}), **self.recipes.editors}

    def settings(self, values: Mapping[str, Any]) -> BaseModel:
        """What stands in the form and the editors.

        Args:
            values: As a handler gets those of `inputs`.

        Raises:
            SteeringError: Naming what is wrong.
        """
        filled: Filled | None = values.get("form")
        return self._parsed(filled.values() if filled else {}, self.recipes.given(values))

    def given(self, settings: BaseModel) -> BaseModel | None:
        """What the panel's `run` gets."""
        return settings if self._panel.settings else None

    def size(self, host: Host, **values: Any) -> Size | None:
        """How much a run will do; None where the panel cannot tell."""
        return self._panel.size(host, self.given(self.settings(values)))

    def wire(self) -> None:
        """Follow the shelf, and take what other panels, links and files send."""
        ui = self._ui
        self.recipes.wire()
        if self._vector_fields and self.form:
            ui.watch("shelf", "model", "picked", call=self._offered, inputs=self._offering, outputs=[self.form])
        ui.receive(self._shown, [*self.inputs.values()], self._model)
        if self._panel.receives:
            ui.receive(self._received, [*self.inputs.values()])

    def _place_form(self) -> Fields | None:
        if not self._settings:
            return None

        def check(values: dict[str, Any]) -> BaseModel:
            return self._parsed(values, self.recipes.least())

        return place_fields(self._ui, self._panel.id, sections_of(self._settings), check=check)

    def _parsed(self, values: Mapping[str, Any], beside: Mapping[str, Any]) -> BaseModel:
        places = {"vectors": str(self._ui.workspace.shelf)} if "vectors" in self._model.model_fields else {}
        return parsed(self._model, self._settings, values, {**places, **beside}, self._panel.title)

    @property
    def _vector_fields(self) -> list[str]:
        return [name for name, each in self._settings.items() if each.vector]

    @property
    def _offering(self) -> dict[str, Any]:
        page = self._ui.page
        return {"form": self.form, "picked": page.picked, "followed": page.followed}

    def _offered(self, form: Filled, picked: str | None, followed: str | None) -> Outputs:
        """The shelf's vectors in the fields that take them; the first field takes what is picked there."""
        assert self.form is not None
        names, renamed, values = fitting(self._ui), self._ui.workspace.renamed(), {}
        fields = {name: self._settings[name].field for name in self._vector_fields}
        choices = {name: [*each.choices, *((one, one) for one in names)] for name, each in fields.items()}
        choices |= {name: [_EMPTY] for name, each in fields.items() if each.kind == "choice" and not choices[name]}
        for n, name in enumerate(name for name, each in fields.items() if each.kind == "choice"):
            now = renamed.get(form.ready[name], form.ready[name])
            kept = now in names or (not now and fields[name].choices)
            taken = n == 0 and picked in names and picked != followed
            values[name] = picked if taken else now if kept else next(iter(names), "")
        changed = {name: value for name, value in values.items() if value != form.ready[name]}
        return {self.form: self.form.offering(choices, changed or None)}

    def _shown(self, settings: BaseModel) -> Outputs:
        fields = {self.form: shown(self._settings, settings)} if self.form else {}
        return {**fields, **self.recipes.shown(settings)}

    def _received(self, sent: SteerSettings) -> Outputs:
        """A prompt with recipes of another panel, in the settings that suit them."""
        texts = {"user": sent.user, "prompt": sent.user, "system": sent.system}
        fields = {name: text for name, text in texts.items() if name in self._settings}
        return {**self.recipes.received(sent.recipes), **({self.form: fields} if self.form and fields else {})}


def _title(panel: Panel, settings: BaseModel) -> str:
    """A run's title: the panel's, and how the first prompt among its settings begins."""
    texts = (getattr(settings, name) for name in type(settings).model_fields if name in LEFT_OUT)
    said = next((each for each in texts if isinstance(each, str) and each.strip()), "")
    return titled(panel.title, said) if said else panel.title


def _checked(panel: Panel, result: Any) -> Result:
    if isinstance(result, Result):
        return result
    raise SteeringError(
        f"The panel {panel.title} gave a {type(result).__name__}.",
        "a steering.studies.study.Result: of others' panels nobody checks it before.",
        "Tell whoever wrote the panel.",
    )


def _of_run(panel: Panel, host: Host, settings: BaseModel, result: Result) -> Result:
    """The result as one of this panel on this model, whatever it says of that."""
    own = Result.of(panel.id, host, settings)
    return replace(result, study=own.study, settings=own.settings, given=own.given, model=own.model)
