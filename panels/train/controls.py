"""The left side of the Train panel: the form, Run, and about how long a run takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr

from panels.train.form import SIZED, first_set, offered_sets, offered_sites, parsed, sections
from steering.confines import UPLOAD, confined
from steering.errors import SteeringError
from steering.model.host import Host
from steering.names import safe_name
from steering.studies import STUDIES
from steering.studies.preferences.making import FILE
from steering.studies.study import Result
from steering.studies.training.settings import TrainSettings
from steering.studies.training.study import parts_of
from steering.texts.preferences import find_preferences, preference_sets
from steering.texts.sources import HUB
from steering.training.course import check_together, find_loss
from workbench.controls.estimate_words import estimate
from workbench.controls.extent import Extent
from workbench.controls.fields import Filled, WrongField, place_fields
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import note


class TrainControls:
    """Places the form and the buttons."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay them out, with what a run will do below them."""
        self._ui = ui
        self.form = place_fields(
            ui, "train", sections(), settings=TrainSettings, check=self._check, events={"sized": SIZED}
        )
        with gr.Row(elem_classes="sw-actions"):
            self.run = gr.Button("Train", variant="primary", elem_id="train-run")
            self.stop = gr.Button("Stop", interactive=False, elem_id="train-stop")
            self._extent = Extent(self.form, STUDIES["train"], elem_id="train-extent")
            self._size = html_block("", elem_id="train-size", elem_classes="sw-estimate")
        ui.watch("model", call=self._offer, inputs={"form": self.form}, outputs=[self.form])
        told = [self._size, self._extent.block]
        triggers = (self.form.sized, ui.job_id.change)
        ui.watch("model", *triggers, call=self._tell, inputs={"form": self.form}, outputs=told)

    def settings(self, form: Filled, host: Host) -> TrainSettings:
        """What the study is given; what it finished before lies in the workspace.

        Raises:
            SteeringError: Naming the field that is wrong, before there is a run that could fail.
        """
        kept = self._ui.workspace.cells
        settings = parsed(form.values(), str(kept.path) if kept.path.exists() else "")
        _check_on(host, settings)
        return settings

    def taken(self, result: Result, visitor: str) -> Outputs:
        """Pairs that were made, which are kept as an upload and stand in the form from now on, with their judge.

        Args:
            result: Of the study that makes them.
            visitor: Whose they are.
        """
        pairs = result.files[FILE]
        if not pairs.strip():
            return {}
        workspace = self._ui.workspace
        name = f"pairs {safe_name(str(result.settings['contrast']))[:60]}.jsonl"
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_text(pairs, encoding="utf-8")
            owner = self._ui.bench.owner(visitor) or ""
            kept = workspace.uploads.add(path, "preferences", len(pairs.splitlines()), owner=owner)
        return {self.form: {"data": kept.source, "judge": str(result.tables["pairs"]["judge"].iloc[0])}}

    def _check(self, values: dict[str, Any]) -> None:
        """What is wrong while one types.

        Raises:
            SteeringError: Made of a report that names the wrong fields, or a `WrongField`.
        """
        settings, host = parsed(values), self._ui.host
        if host is not None:
            with confined(self._ui.bench.confines):
                _check_on(host, settings)

    def _offer(self, form: Filled) -> Outputs:
        """The preferences and sites that there are for the model."""
        host = self._ui.host
        demo = host is None or host.info.demo
        offered = offered_sets(demo=demo)
        chosen = form.ready["data"]
        foreign = chosen in preference_sets() and chosen not in [value for _, value in offered]
        empty = demo and not chosen
        choices = {"data": offered, "site": offered_sites(host)}
        return {self.form: self.form.offering(choices, {"data": first_set(demo=demo)} if foreign or empty else None)}

    def _tell(self, form: Filled) -> Outputs:
        """How much a run does and about how long it takes: as it stands there, quickly, and fully."""
        host, study = self._ui.host, STUDIES["train"]
        said: dict[Any, Any] = {self._size: "", self._extent.block: ""}
        if host is None or study.size is None:
            return said
        size = study.size
        try:
            values = form.values()
            told = estimate(size(host, parsed(values)), host)
            extents = self._extent.html(host, values, lambda other: size(host, parsed(other)))
        except SteeringError as error:
            return said | {self._size: note(str(error))}
        return {self._size: note(told), self._extent.block: extents}


def _check_on(host: Host, settings: TrainSettings) -> None:
    """What a model and the data at hand say of settings; nothing is fetched for it.

    Raises:
        WrongField: Naming the field.
    """
    with _at("data"):
        source = settings.source_on(host)
    with _at("span" if settings.span != 1 and settings.mode != "ablate" else "blocks"):
        trainee = settings.trainee_on(host)
    for name in settings.losses:
        with _at("numbers"):
            find_loss(name).settings(settings.numbers_of(name))
        with _at("mode"):
            check_together(find_loss(name), trainee)
    if source.startswith(HUB):
        return
    with _at("data"):
        find_preferences(source)
        if source in preference_sets() or source.startswith(UPLOAD):  # files of any size are read when it runs
            parts_of(settings, source)


@contextmanager
def _at(field: str) -> Iterator[None]:
    """Say at a field what is wrong inside."""
    try:
        yield
    except SteeringError as error:
        raise WrongField(field, error) from error
