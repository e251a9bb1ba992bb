"""The form of the Train panel: the study's defaults, the quick settings, and what is marked at its field."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from panels.train.controls import TrainControls
from panels.train.form import making, parsed
from steering.model.host import Host
from steering.studies import STUDIES
from steering.studies.preferences.making import MakingSettings
from steering.studies.training.settings import TrainSettings
from workbench.bench import Workbench
from workbench.controls.filled import complaints
from workbench.page.context import PanelContext
from workbench.page.state import PageState


@pytest.fixture(scope="module")
def controls(tmp_path_factory: pytest.TempPathFactory, demo: Host) -> TrainControls:
    folder: Path = tmp_path_factory.mktemp("bench")
    bench = Workbench(workspace=folder / "workspace", panels_dir=folder / "panels")
    bench.model.host = demo
    with gr.Blocks():
        return TrainControls(PanelContext(bench, PageState(), "Train", "train"))


def _settings(controls: TrainControls, **changed: object) -> TrainSettings:
    return parsed(controls.form.given({**controls.form.value, **changed}).values())


def test_untouched_it_gives_the_study_its_own_defaults_with_its_set_by_name(controls: TrainControls) -> None:
    assert _settings(controls) == TrainSettings(data="demo-formality")
    pairs = {"contrast", "side", "pairs_judge", "pairs_n"}
    assert set(controls.form.fields) - pairs == set(TrainSettings.model_fields) - {"chat", "kept"}
    assert making(controls.form.given(controls.form.value).values()) == MakingSettings()


def test_an_empty_budget_is_none_and_no_default(controls: TrainControls) -> None:
    assert _settings(controls).budget == TrainSettings().budget is not None
    assert _settings(controls, budget=None).budget is None


def test_quick_is_what_the_command_line_takes(controls: TrainControls) -> None:
    study = STUDIES["train"]
    assert _settings(controls, **study.quick) == study.parse({"data": "demo-formality"}, quick=True)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"blocks": "99"}, "blocks"),
        ({"blocks": "three"}, "blocks"),
        ({"losses": []}, "losses"),
        ({"losses": ["reft"]}, "mode"),
        ({"numbers": "dpo.gamma=1"}, "numbers"),
        ({"span": 2}, "span"),
        ({"mode": "ablate", "span": 2}, None),
        ({"data": "no-such-set"}, "data"),
        ({}, None),
    ],
)
def test_what_is_wrong_is_marked_at_its_field(
    controls: TrainControls, changed: dict[str, object], field: str | None
) -> None:
    filled = controls.form.given({**controls.form.value, **changed})
    found = complaints(filled, TrainSettings, controls._check)
    assert [each.field for each in found] == ([] if field is None else [field])
