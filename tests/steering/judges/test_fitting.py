"""Which judge marks what, where nobody names one."""

from __future__ import annotations

import pytest

from steering.errors import SteeringError
from steering.judges.fitting import OF_PREFERENCES, judge_of_label, judge_of_preferences
from steering.judges.marks import load_marks
from steering.texts.contrast import ContrastSet
from steering.texts.preferences import load_preferences


@pytest.mark.parametrize(
    ("name", "judge"), [("formality", "formal"), ("sentiment", "cheerful"), ("harm", "refusal"), ("sea", "sea")]
)
def test_the_label_of_a_set_says_who_judges(name, judge) -> None:
    label = ContrastSet.load(name).positive_label
    assert judge_of_label(label, name) == judge
    assert judge_of_label(label, name, "gloomy") == "gloomy", "whoever is named judges"


@pytest.mark.parametrize("name", OF_PREFERENCES)
def test_shipped_preferences_have_a_judge_that_marks_the_chosen_reply_higher(demo, name) -> None:
    pairs = load_preferences(name)[:20]
    marks, asked = load_marks(demo, judge_of_preferences(name)), [each.messages for each in pairs]
    chosen, rejected = marks(asked, [each.chosen for each in pairs]), marks(asked, [each.rejected for each in pairs])
    assert all(one > other for one, other in zip(chosen, rejected, strict=True))


def test_where_no_rule_fits_a_name_is_asked_for() -> None:
    with pytest.raises(SteeringError, match=r"'morning', a side of the set.*refusal, compliance, formal.*Name one"):
        judge_of_label("morning", "the set")
    with pytest.raises(SteeringError, match="no rule fits the preferences 'demo-sums'"):
        judge_of_preferences("demo-sums")
    assert judge_of_preferences("demo-sums", "self") == "self"
