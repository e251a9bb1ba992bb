"""The study of made pairs: what is kept is a file that trains, and the tables say what became of the rest."""

from __future__ import annotations

from typing import Any

import pytest

from steering.errors import SteeringError
from steering.studies import find_study
from steering.studies.preferences.making import FILE, MakingSettings, judge_of
from steering.studies.study import Result
from steering.texts.contrast import ContrastSet
from steering.texts.preferences import load_preferences


@pytest.fixture(scope="module")
def made(demo: Any) -> Result:
    study = find_study("pairs")
    return study.run(demo, study.parse({"n": 4, "reply_tokens": 56}), None)  # type: ignore[arg-type]


def test_what_was_kept_can_be_read_back(made, tmp_path) -> None:
    path = tmp_path / FILE
    path.write_text(made.files[FILE], encoding="utf-8")
    kept = made.tables["pairs"][made.tables["pairs"]["outcome"] == "kept"]
    found = load_preferences(str(path))
    assert len(found) == len(kept) >= 2
    assert [(each.messages[0].content, each.chosen, each.rejected) for each in found] == list(
        zip(kept["prompt"], kept["chosen"], kept["rejected"], strict=True)
    )
    assert (kept["chosen_mark"] - kept["rejected_mark"] >= 0.1).all()


def test_every_request_has_an_outcome(made) -> None:
    outcomes = made.tables["outcomes"].set_index("outcome")["n"]
    assert outcomes.sum() == len(made.tables["pairs"]) == 4
    assert outcomes["kept"] == made.measures[0].value * 4
    assert "0.8 mean_difference" in made.notes[0], "twice the set's first one to try"
    assert set(made.tables["pairs"]["judge"]) == {"formal"}, "the one that fits the set"


def test_a_list_of_requests_and_what_it_takes_are_counted(demo, tmp_path) -> None:
    study = find_study("pairs")
    path = tmp_path / "asked.txt"
    path.write_text("Hello.\nHello.\nHow are you?\n", encoding="utf-8")
    settings = study.parse({"requests": str(path)})
    assert study.size(demo, settings).count("replies") == 4
    assert study.uses(study.parse({"vector": "sentiment"})) == {"sentiment"}
    assert study.uses(study.parse({"vector": "sentiment", "way": "prompted"})) == set()


def test_the_judge_is_that_of_what_is_steered_towards(demo) -> None:
    study = find_study("pairs")

    def found(**given: object) -> str:
        settings = study.parse(given)
        assert isinstance(settings, MakingSettings)
        return judge_of(demo, settings, ContrastSet.load(settings.contrast))

    assert found(contrast="sentiment") == "cheerful"
    assert found(contrast="sentiment", strength=-1) == "gloomy"
    assert found(contrast="sentiment", strength=-1, way="prompted", system="Be kind.") == "cheerful"
    assert found(contrast="time-of-day", judge="formal") == "formal"
    assert found(contrast="time-of-day", vector="formality") == "formal"
    with pytest.raises(SteeringError, match="no rule fits 'morning', a side of the contrast set 'time-of-day'"):
        study.run(demo, study.parse({"n": 1, "contrast": "time-of-day"}), None)  # type: ignore[arg-type]


def test_a_unit_needs_a_strength(demo) -> None:
    study = find_study("pairs")
    with pytest.raises(SteeringError, match="No strength was given"):
        study.run(demo, study.parse({"n": 1, "unit": "nats"}), None)  # type: ignore[arg-type]
