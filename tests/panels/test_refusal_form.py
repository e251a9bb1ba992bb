"""The form of the Refusal panel and its settings say the same; quick is what `--quick` is; numbers are for readers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import gradio as gr
import pytest

from panels.refusal.controls import parsed
from panels.refusal.form import READ, sections
from panels.refusal.numbers import figure, nats, rate, spread
from steering.errors import SteeringError
from steering.statistics import Estimate
from steering.studies import find_study
from steering.studies.refusal import RefusalSettings
from steering.studies.refusal.arms import ARMS, NONE
from steering.studies.size import Size, Work
from workbench.bench import Workbench
from workbench.controls.extent import Extent
from workbench.controls.field import names
from workbench.controls.fields import Fields, place_fields
from workbench.page.context import PanelContext
from workbench.page.state import PageState


ELSEWHERE = {"seed", "chat", "until", "kept"}
"""Settings that no field of the form sets."""


STUDY = find_study("refusal")


@pytest.fixture(scope="module")
def placed(tmp_path_factory) -> Iterator[tuple[Fields, Extent]]:
    bench = Workbench(workspace=tmp_path_factory.mktemp("home"))
    with gr.Blocks():
        ui = PanelContext(bench, PageState(), "Refusal", "refusal")
        form = place_fields(ui, "refusal", sections(), settings=RefusalSettings)
        yield form, Extent(form, STUDY, elem_id="extent")
    bench.lane.close()


@pytest.fixture
def form(placed) -> Fields:
    return placed[0]


def test_every_setting_has_a_field_and_what_stands_there_first_is_the_study_s_own(form) -> None:
    assert set(form.fields) == set(RefusalSettings.model_fields) - ELSEWHERE
    assert set(READ) <= set(names(sections()))
    ready = form.preprocess({}).values()
    assert parsed(ready, "effects") == RefusalSettings(arms=tuple(key for key in ARMS if key != NONE))
    assert parsed({**ready, "prompts": "one\n\n two "}, "tokens").prompts == ("one", " two ")
    assert parsed({**ready, "tokens": ["#5"], "arms": []}, "tokens").arms == ()
    with pytest.raises(SteeringError, match="n_test"):
        parsed({**ready, "n_test": 1}, "effects")


def test_quick_and_full_set_the_numbers_of_the_command_line_and_say_which_stands(placed, demo) -> None:
    form, extent = placed

    def click(name: str) -> dict:
        return extent._chosen(gr.EventData(None, {"pick": name}))

    ready = form.preprocess({}).ready
    quick = parsed({**ready, **click("quick")}, "effects")
    assert quick == STUDY.parse({"arms": [key for key in ARMS if key != NONE]}, quick=True)
    assert parsed({**ready, **click("quick"), **click("full")}, "effects") == parsed(ready, "effects")
    assert click("<odd>") == {}

    def count(values) -> Size:
        return Size((Work("readings", values["n_test"], 1),))

    html = extent.html(demo, {**ready, **click("quick")}, count)
    assert [part.split('"')[0] for part in html.split('aria-pressed="')[1:]] == ["true", "false"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0"),
        (2.22e-16, "0"),
        (1e-6, "&lt; 0.0001"),
        (-1e-6, "&gt; −0.0001"),
        (-5.708, "-5.71"),
        (1234.5, "1,234"),
        (0.0168, "0.0168"),
    ],
)
def test_a_number_has_no_exponent(value, shown) -> None:
    assert figure(value) == shown


def test_a_divergence_has_two_digits() -> None:
    assert [nats(value) for value in (0.0, 2e-16, 4e-4, 0.00664, 0.4388, 250.0)] == [
        "0",
        "0",
        "&lt; 0.001",
        "0.0066",
        "0.44",
        "250",
    ]


def test_an_interval_stands_below_its_share_and_a_range_only_where_there_is_one() -> None:
    assert rate(Estimate(0.5, 0.25, 0.75), "*") == "50*<small>25 to 75</small>"
    assert spread([100.0, 100.0]) == "100"
    assert spread([80.0, 90.0]) == "85<small>80 to 90</small>"
    assert spread([]) == "–"
