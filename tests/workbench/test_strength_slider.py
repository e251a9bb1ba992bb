"""The strength slider: its ends, unit and sentence for every mode, and a strength that survives a change of unit."""

from __future__ import annotations

import pytest

from steering.recipes.recipe import MODES
from steering.vectors.strength import UNITS
from tests.workbench.test_workspace import vector
from workbench.controls.strength_slider import converted, slider, told


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unit", UNITS)
def test_every_mode_and_unit_has_a_value_within_its_ends_and_a_sentence(mode, unit) -> None:
    shown = slider(vector("joy"), mode, unit, None)
    strength = shown["strength"]
    assert strength["minimum"] <= strength["value"] <= strength["maximum"]
    assert strength["visible"] is (mode != "erase")
    assert shown["unit"]["value"] in [name for _, name in shown["unit"]["choices"]]
    assert shown["unit"]["value"] == shown["unit_seen"]["value"]
    assert shown["equals"]["value"]


def test_lengths_offer_every_unit_and_a_share_only_itself_and_nats() -> None:
    choices = {
        mode: [label for label, _ in slider(vector("joy"), mode, "raw", None)["unit"]["choices"]] for mode in MODES
    }
    assert choices["add"] == choices["affine"] == choices["clamp"] == list(UNITS.values())
    assert choices["ablate"] == ["share", "nats"]
    assert choices["rotate"] == ["degrees", "nats"]


def test_a_strength_is_the_same_in_every_length_and_starts_anew_in_nats() -> None:
    joy = vector("joy")  # 1 x mean difference is 1 raw, 1 x residual norm is 4
    assert converted(joy, "add", "default", 2.0, "residual_norm", "mean_difference")["strength"]["value"] == 0.5
    assert converted(joy, "add", "default", 2.0, "raw", "residual_norm")["strength"]["value"] == 8
    assert converted(joy, "add", "default", 2.0, "nats", "raw")["strength"]["value"] == 1
    assert converted(joy, "add", "default", 2.0, "raw", "nats")["strength"]["value"] == joy.suggested_strength
    assert converted(joy, "rotate", "default", 2.0, "nats", "mean_difference")["strength"]["value"] == 1


def test_the_sentence_tells_the_other_units_and_where_it_counts_from() -> None:
    joy = vector("joy")
    assert "= 0.5 × residual norm = 2 raw, at block 1" in told(joy, "add", "default", 2.0, "mean_difference")
    assert "counted from the negative side" in told(joy, "clamp", "default", 2.0, "mean_difference")
    assert "95th percentile" in told(joy, "rotate", "default", 2.0, "nats")
    assert "at the others by their own scale" in told(joy, "add", "all", 2.0, "raw")
    assert told(None, "add", "default", 2.0, "raw") == told(joy, "add", "default", None, "raw") == ""
    assert "0 to" in told(joy, "add", "9", 2.0, "raw")
