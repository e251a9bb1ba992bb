"""The left side of the Features panel: the form, the buttons, and about how long each takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from pydantic import BaseModel

from panels.features.form import (
    SHIPPED,
    SIZED,
    UPLOADED,
    cause_settings,
    checked,
    dictionaries,
    find_settings,
    health_settings,
    of_cause,
    sections,
)
from steering.errors import SteeringError
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.features.cause_settings import CauseSettings
from steering.studies.features.chosen import READ_ONLY
from steering.studies.features.health_settings import HealthSettings
from steering.studies.features.settings import FeaturesSettings
from workbench.controls.estimate_words import in_short
from workbench.controls.fields import Filled, place_fields
from workbench.controls.offers import fitting
from workbench.library.packed_dictionary import keep_dictionary
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import note


class FeaturesControls:
    """Places the form and the buttons."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay them out."""
        self._ui = ui
        events = {"another_dictionary": ("dictionary",), "sized": SIZED}
        self.form = place_fields(
            ui,
            "features",
            sections(here=ui.bench.only_here),
            settings=FeaturesSettings,
            check=checked,
            events=events,
            keeps={UPLOADED: self._keep},
        )
        with gr.Row(elem_classes="sw-actions"):
            self.find = gr.Button("Find", variant="primary", elem_id="features-run")
            self.health = gr.Button("Health", elem_id="features-check")
            self.cause = gr.Button("Cause", elem_id="features-cause")
            self.stop = gr.Button("Stop", interactive=False, elem_id="features-stop")
            self._size = html_block("", elem_id="features-size", elem_classes="sw-estimate")
        ui.watch("shelf", "model", call=self._offer, inputs={"form": self.form}, outputs=[self.form])
        triggers = (self.form.sized, ui.job_id.change)
        ui.watch("model", *triggers, call=self._tell, inputs={"form": self.form}, outputs=[self._size])
        ui.receive(lambda given: {self.form: self.form.of_settings(given)}, [self.form], HealthSettings)
        ui.receive(lambda given: {self.form: of_cause(given)}, [self.form], CauseSettings)

    def settings(self, kind: str, form: Filled) -> BaseModel:
        """What a study is given.

        Raises:
            SteeringError: Naming the field that is wrong.
        """
        return self._read(kind)(form.values())

    def _read(self, kind: str) -> Callable[[Mapping[str, Any]], BaseModel]:
        shelf = str(self._ui.workspace.shelf)
        return {
            "features": lambda values: find_settings(values, shelf),
            "dictionary_health": health_settings,
            "feature_cause": cause_settings,
        }[kind]

    def _keep(self, path: Path) -> tuple[str, str]:
        """An uploaded dictionary, which is one of the workspace's from now on."""
        name = keep_dictionary(path, self._ui.workspace.dictionaries)
        return name, f"It is kept among your dictionaries as {name}."

    def _offer(self, form: Filled) -> Outputs:
        """The dictionaries of the model at hand, and the vectors that fit it."""
        host = self._ui.host
        demo = host is None or host.info.demo
        model = "" if host is None else host.info.name
        offered = dictionaries(model, demo=demo, here=self._ui.bench.only_here)
        vectors = [("None", ""), *((name, name) for name in fitting(self._ui))]
        foreign = not demo and form.ready["dictionary"].startswith(SHIPPED)
        choices = {"dictionary": offered, "vector": vectors}
        return {self.form: self.form.offering(choices, {"dictionary": ""} if foreign else None)}

    def _tell(self, form: Filled) -> Outputs:
        """About how much each button does."""
        host = self._ui.host
        if host is None:
            return {self._size: ""}
        words = {"features": "Find", "dictionary_health": "Health", "feature_cause": "Cause"}
        said = {word: self._in_short(kind, form, host) for kind, word in words.items()}
        if len(set(said.values())) == 1:  # what keeps all of them from running
            return {self._size: note(said["Find"])}
        return {self._size: note(" · ".join(f"{word}: {size}" for word, size in said.items()))}

    def _in_short(self, kind: str, form: Filled, host: Host) -> str:
        size = STUDIES[kind].size
        assert size is not None
        try:
            return in_short(size(host, self.settings(kind, form)), host)
        except SteeringError as error:
            # What the dictionary's card says in full beside it is not said again under the buttons.
            return "the dictionary is read only" if READ_ONLY in error.given else str(error)
